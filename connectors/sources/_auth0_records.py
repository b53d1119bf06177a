"""Users, roles and organizations of Auth0 as canonical columns: pure conversions. How they came is not known here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.records import Odd, text_id

PLAIN = {
    "email": "email",
    "name": "display_name",
    "given_name": "given_name",
    "family_name": "family_name",
    "phone_number": "phone",
    "created_at": "created_at",
    "updated_at": "updated_at",
}
FIELDS = ("user_id", "username", "blocked", "app_metadata", "user_metadata", *PLAIN)


def to_account(user: Mapping[str, Any], *, employee_number: str | None = None) -> dict[str, object]:
    """A user of `/api/v2/users` as canonical columns. Raises Odd on impossible values.

    Auth0 leaves out what is not set: those columns are null, since a read shows users whole. `employee_number`: where the
    HR number is, such as `app_metadata.employee_number`.
    """
    row: dict[str, object] = {"native_id": text_id(user, "user_id")}
    for name, column in PLAIN.items():
        row[column] = user.get(name)
    row["user_name"] = user.get("username") or user.get("email")
    blocked = user.get("blocked", False)
    if not isinstance(blocked, bool):
        raise Odd("blocked", "is no boolean")
    row["status"], row["active"] = ("Blocked", False) if blocked else ("Active", True)
    if employee_number is not None:
        row["employee_number"] = _at(user, employee_number)
    return row


def to_role(role: Mapping[str, Any]) -> dict[str, object]:
    """A role: who holds it is a group."""
    told = {"name": role.get("name"), "description": role.get("description") or None}
    return {"native_id": text_id(role), **told, "kind": "role"}


def to_organization(organization: Mapping[str, Any]) -> dict[str, object]:
    """An organization: its members are a group, named by the name that people see."""
    name = organization.get("display_name") or organization.get("name")
    return {"native_id": text_id(organization), "name": name, "kind": "organization"}


def _at(user: Mapping[str, Any], path: str) -> str | None:
    found: Any = user
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return None if found in {None, ""} else str(found)
