"""Users and groups of PingOne as canonical columns: pure conversions. How they came is not known here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.records import Odd, text_id

PLAIN = {
    "username": "user_name",
    "email": "email",
    "title": "title",
    "locale": "locale",
    "timezone": "time_zone",
    "createdAt": "created_at",
    "updatedAt": "updated_at",
}


def to_account(user: Mapping[str, Any], *, employee_number: str | None = None) -> dict[str, object]:
    """A user of `/environments/{id}/users` as canonical columns. Raises Odd on impossible values.

    PingOne leaves out what is not set: those columns are null, since a read shows users whole. `employee_number`: the
    attribute that holds the HR number.
    """
    row: dict[str, object] = {"native_id": text_id(user)}
    for name, column in PLAIN.items():
        row[column] = user.get(name)
    name = user.get("name", {})
    if not isinstance(name, Mapping):
        raise Odd("name", "is no object")
    given, family = name.get("given"), name.get("family")
    row["given_name"], row["family_name"] = given, family
    row["display_name"] = name.get("formatted") or " ".join(each for each in (given, family) if each) or None
    row["phone"] = user.get("primaryPhone") or user.get("mobilePhone")
    row["status"], row["active"] = _status(user)
    if employee_number is not None:
        found = user.get(employee_number)
        row["employee_number"] = None if found in {None, ""} else str(found)
    return row


def to_group(group: Mapping[str, Any]) -> dict[str, object]:
    """A group of `/environments/{id}/groups`, without its members."""
    kind = "dynamic" if group.get("userFilter") else None
    return {
        "native_id": text_id(group),
        "name": group.get("name"),
        "description": group.get("description"),
        "kind": kind,
    }


def _status(user: Mapping[str, Any]) -> tuple[str, bool]:
    """The vendor's word, and whether the user may come in. A locked account comes back by itself: it stays active."""
    enabled = user.get("enabled")
    if not isinstance(enabled, bool):
        raise Odd("enabled", "is missing" if enabled is None else "is no boolean")
    account = user.get("account")
    locked = isinstance(account, Mapping) and account.get("status") == "LOCKED"
    return ("LOCKED" if locked else "ENABLED") if enabled else "DISABLED", enabled
