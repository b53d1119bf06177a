"""Resources of SCIM 2.0 (RFC 7643) as canonical columns: pure conversions, for whoever meets SCIM. How they came is not known here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.source import Rejected, Row

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
PLAIN = {"userName": "user_name", "title": "title", "locale": "locale", "timezone": "time_zone"}
EXTENDED = {"employeeNumber": "employee_number", "department": "department", "organization": "company"}
# RFC 7643, 4.1.1 names most of these words as typical. "Unknown", and what is nobody's word, stays unsaid.
USER_TYPES: Mapping[str, str] = {
    "employee": "member",
    "member": "member",
    "contractor": "member",
    "intern": "member",
    "temp": "member",
    "guest": "guest",
    "external": "external",
}


class Odd(ValueError):  # noqa: N818 - one field of one record is odd; the record is set aside
    """A value that cannot be read: which field, and what is wrong with it."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name} {problem}")
        self.name, self.problem = name, problem


def to_account(
    user: Mapping[str, Any], *, user_types: Mapping[str, str] = USER_TYPES, external_id: str = "ignore"
) -> dict[str, object]:
    """A user (RFC 7643, 4.1 and 4.3) as canonical columns. What it leaves out is absent. Raises Odd on impossible values.

    `externalId` is the provisioning client's own word, neither unique nor the same kind of thing in two services, so it
    becomes something only where the config says what. The `work` address is taken where none is primary.
    """
    row: dict[str, object] = {"native_id": _text(user, "id")}
    row |= {column: _text(user, name) for name, column in PLAIN.items() if name in user}
    name = _complex(user, "name")
    if "name" in user:
        row |= {"given_name": _text(name, "givenName"), "family_name": _text(name, "familyName")}
    if "displayName" in user or "formatted" in name:
        row["display_name"] = _text(user, "displayName") or _text(name, "formatted")
    if "emails" in user:
        row |= _addresses(_entries(user, "emails"))
    if "phoneNumbers" in user:
        row["phone"] = _chosen(_entries(user, "phoneNumbers"), ("work", "mobile"))
    if "addresses" in user:
        place = _best(_entries(user, "addresses"), ("work",))
        row["location"] = next((place[each] for each in ("locality", "formatted", "country") if place.get(each)), None)
    word = (_text(user, "userType") or "").strip().lower()
    if word in user_types:
        row["user_type"] = user_types[word]
    if "active" in user:
        row["active"] = user["active"]
    extension = _complex(user, ENTERPRISE)
    row |= {column: _text(extension, name) for name, column in EXTENDED.items() if name in extension}
    if "manager" in extension:
        manager = extension["manager"]
        row["manager_id"] = manager if isinstance(manager, str) else _text(_complex(extension, "manager"), "value")
    meta = _complex(user, "meta")
    times = {"created": "created_at", "lastModified": "updated_at"}
    row |= {column: _text(meta, name) for name, column in times.items() if name in meta}
    if external_id != "ignore" and "externalId" in user:
        row[external_id] = _text(user, "externalId")
    return row


def to_group(group: Mapping[str, Any]) -> dict[str, object]:
    """A group (RFC 7643, 4.2) as canonical columns, without its members. Raises Odd on impossible values."""
    return {"native_id": _text(group, "id"), "name": _text(group, "displayName")}


def to_edges(group: Mapping[str, Any]) -> tuple[list[Row], list[Rejected]]:
    """The members of a group as edges, and those that cannot be used. A service may leave out what a member is."""
    native_id = str(group["id"])
    members = group.get("members") or []
    if not isinstance(members, list):
        return [], [Rejected("memberships", native_id, "members", "is no list", members)]
    edges: dict[tuple[str, str | None], Row] = {}
    odd = []
    for member in members:
        entry = member if isinstance(member, dict) else {"value": member}
        value = entry.get("value")
        if not isinstance(value, str) or not value:
            odd.append(Rejected("memberships", native_id, "value", "is no id", member))
            continue
        kind = _member_kind(entry)
        edges[value, kind] = {"group_id": native_id, "member_id": value, "member_kind": kind}
    return list(edges.values()), odd


def _member_kind(member: Mapping[str, Any]) -> str | None:
    kind = str(member.get("type") or "").lower()
    if kind in {"user", "group"}:
        return kind
    reference = str(member.get("$ref") or "")
    return "group" if "/Groups/" in reference else "user" if "/Users/" in reference else None


def _text(values: Mapping[str, Any], name: str) -> str | None:
    value = values.get(name)
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)  # ids and numbers of staff are digits in some services
    raise Odd(name, "is no text")


def _complex(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = values.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Odd(name, "is no complex value")
    return value


def _entries(values: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """A multi-valued attribute; bare texts and a single entry are taken for what they mean."""
    given = values.get(name)
    listed = given if isinstance(given, list) else [] if given is None else [given]
    entries = [{"value": each} if isinstance(each, str) else each for each in listed]
    if not all(isinstance(each, dict) for each in entries):
        raise Odd(name, "holds an entry that is no complex value")
    return entries


def _best(entries: list[Mapping[str, Any]], kinds: tuple[str, ...]) -> Mapping[str, Any]:
    """The primary entry, else the first of the first kind that there is, else the first that is not private."""
    if primary := [each for each in entries if each.get("primary") is True]:
        return primary[0]
    for kind in kinds:
        for each in entries:
            if _kind(each) == kind:
                return each
    return next((each for each in entries if _kind(each) != "home"), {})


def _kind(entry: Mapping[str, Any]) -> str:
    return str(entry.get("type") or "").lower()


def _chosen(entries: list[Mapping[str, Any]], kinds: tuple[str, ...]) -> str | None:
    return _text(_best(entries, kinds), "value")


def _addresses(emails: list[Mapping[str, Any]]) -> dict[str, object]:
    """The one address, the private one, and the others as aliases in the order of the record."""
    chosen = _chosen(emails, ("work",))
    others = [(_kind(each), text) for each in emails if (text := _text(each, "value")) and text != chosen]
    private = next((text for kind, text in others if kind == "home"), None)
    aliases = list(dict.fromkeys(text for kind, text in others if kind != "home"))
    return {"email": chosen, "private_email": private, "aliases": aliases}
