"""Users, roles and role members of OneLogin as canonical columns: pure conversions. How they came is not known here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.records import Odd, text_id

PLAIN = {
    "username": "user_name",
    "email": "email",
    "firstname": "given_name",
    "lastname": "family_name",
    "department": "department",
    "title": "title",
    "company": "company",
    "phone": "phone",
    "preferred_locale_code": "locale",
    "created_at": "created_at",
    "updated_at": "updated_at",
}
FIELDS = ("id", "status", "state", "manager_user_id", "external_id", "custom_attributes", "userprincipalname", *PLAIN)
# developers.onelogin.com/api-docs/1/users/update-user: what the numbers mean, and who of them may come in or is only kept
# from it by a password. Only approved users (state) may sign in at all.
STATUS = {
    0: ("Unactivated", False),
    1: ("Active", True),
    2: ("Suspended", False),
    3: ("Locked", True),
    4: ("Password expired", True),
    5: ("Awaiting password reset", True),
    7: ("Password pending", True),
    8: ("Security questions required", True),
}
STATE = {0: "Unapproved", 1: "Approved", 2: "Rejected", 3: "Unlicensed"}
APPROVED = 1


def to_account(user: Mapping[str, Any], *, employee_number: str | None = None) -> dict[str, object]:
    """A user of `/api/2/users` as canonical columns. Raises Odd on impossible values.

    `employee_number`: the field, or `custom_attributes.NAME`, that holds the HR number.
    """
    row: dict[str, object] = {"native_id": text_id(user)}
    for name, column in PLAIN.items():
        if name in user:
            row[column] = user[name] or None
    names = [user.get("firstname"), user.get("lastname")]
    row["display_name"] = " ".join(each for each in names if each) or None
    if "status" in user:
        row["status"], row["active"] = _status(user)
    if "manager_user_id" in user:
        manager = user["manager_user_id"]
        row["manager_id"] = None if manager is None else str(manager)
    if employee_number is not None:
        row["employee_number"] = _at(user, employee_number)
    return row


def to_role(role: Mapping[str, Any]) -> dict[str, object]:
    """A role of `/api/2/roles`: OneLogin's many-to-many object, hence the group."""
    return {"native_id": text_id(role), "name": role.get("name"), "kind": "role"}


def _status(user: Mapping[str, Any]) -> tuple[str, bool]:
    status, state = user["status"], user.get("state", APPROVED)
    if status not in STATUS or isinstance(status, bool):
        raise Odd("status", f"{status!r} is no status that OneLogin documents")
    word, active = STATUS[status]
    if state not in {APPROVED, None}:
        return f"{STATE.get(state, state)}, {word}", False
    return word, active


def _at(user: Mapping[str, Any], field: str) -> str | None:
    group, _, name = field.rpartition(".")
    held = user.get(group) if group else user
    found = held.get(name) if isinstance(held, Mapping) else None
    return None if found in {None, ""} else str(found)
