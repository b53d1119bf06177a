"""Users, groups and members of JumpCloud as canonical columns: pure conversions. How they came is not known here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.records import Odd, text_id

PLAIN = {
    "username": "user_name",
    "email": "email",
    "firstname": "given_name",
    "lastname": "family_name",
    "displayname": "display_name",
    "employeeIdentifier": "employee_number",
    "department": "department",
    "jobTitle": "title",
    "company": "company",
    "location": "location",
    "alternateEmail": "private_email",
    "manager": "manager_id",
    "created": "created_at",
}
FIELDS = ("_id", "state", "suspended", "activated", "account_locked", "employeeType", "phoneNumbers", *PLAIN)
STATES = frozenset({"STAGED", "ACTIVATED", "SUSPENDED"})


def to_account(user: Mapping[str, Any]) -> dict[str, object]:
    """A user of `/api/systemusers` as canonical columns. Raises Odd on impossible values.

    An empty text is JumpCloud's way to say that nothing is set. Locked users are kept from signing in for a while only.
    """
    row: dict[str, object] = {"native_id": text_id(user, "_id")}
    for name, column in PLAIN.items():
        if name in user:
            row[column] = user[name] or None
    if row.get("display_name") is None and ("firstname" in user or "lastname" in user):
        row["display_name"] = " ".join(each for each in (user.get("firstname"), user.get("lastname")) if each) or None
    row["status"], row["active"] = _status(user)
    if "phoneNumbers" in user:
        row["phone"] = _phone(user["phoneNumbers"])
    return row


def to_group(group: Mapping[str, Any]) -> dict[str, object]:
    """A group of `/api/v2/usergroups`, without its members."""
    row: dict[str, object] = {"native_id": text_id(group), "name": group.get("name"), "kind": group.get("type")}
    if "description" in group:
        row["description"] = group["description"] or None
    return row


def to_member(edge: Mapping[str, Any]) -> tuple[str, str] | None:
    """A graph edge (`/api/v2/usergroups/{id}/members`): a user or a nested group; devices and the like are nobody's."""
    there = edge.get("to")
    if not isinstance(there, Mapping):
        raise Odd("to", "is missing")
    kind = {"user": "user", "user_group": "group"}.get(str(there.get("type")))
    return None if kind is None else (text_id(there), kind)


def _status(user: Mapping[str, Any]) -> tuple[str, bool]:
    """The vendor's word, and whether the user may come in: STAGED ones may not yet, SUSPENDED ones no more."""
    state, suspended = user.get("state"), user.get("suspended")
    if suspended is True:
        return "SUSPENDED", False
    if state is None:  # organisations that have not met the states yet
        return ("ACTIVATED", True) if user.get("activated", True) is not False else ("STAGED", False)
    if state not in STATES:
        raise Odd("state", f"{state!r} is no state that JumpCloud documents")
    return str(state), state == "ACTIVATED"


def _phone(numbers: Any) -> str | None:
    if not isinstance(numbers, list):
        raise Odd("phoneNumbers", "is no list")
    found = {each.get("type"): each.get("number") for each in numbers if isinstance(each, Mapping)}
    return found.get("work") or found.get("mobile") or next((each for each in found.values() if each), None)
