"""What the Graph stand-in lets one ask: properties, query options, filters and their refusals. What is there to be found is in `graph_tenant`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from sandbox.vendor import Refusal
from sandbox.wire import Answer, Request

USER = [
    "id",
    "accountEnabled",
    "businessPhones",
    "city",
    "companyName",
    "country",
    "createdDateTime",
    "creationType",
    "deletedDateTime",
    "department",
    "displayName",
    "employeeHireDate",
    "employeeId",
    "employeeLeaveDateTime",
    "employeeType",
    "externalUserState",
    "externalUserStateChangeDateTime",
    "givenName",
    "identities",
    "isResourceAccount",
    "jobTitle",
    "mail",
    "mailNickname",
    "mobilePhone",
    "officeLocation",
    "onPremisesDistinguishedName",
    "onPremisesDomainName",
    "onPremisesImmutableId",
    "onPremisesSamAccountName",
    "onPremisesSecurityIdentifier",
    "onPremisesSyncEnabled",
    "onPremisesUserPrincipalName",
    "otherMails",
    "preferredLanguage",
    "proxyAddresses",
    "securityIdentifier",
    "showInAddressList",
    "surname",
    "usageLocation",
    "userPrincipalName",
    "userType",
]
GROUP = [
    "id",
    "createdDateTime",
    "deletedDateTime",
    "description",
    "displayName",
    "groupTypes",
    "isAssignableToRole",
    "mail",
    "mailEnabled",
    "mailNickname",
    "membershipRule",
    "onPremisesDomainName",
    "onPremisesNetBiosName",
    "onPremisesSamAccountName",
    "onPremisesSecurityIdentifier",
    "onPremisesSyncEnabled",
    "proxyAddresses",
    "securityEnabled",
    "uniqueName",
    "visibility",
]
USER_DEFAULT = [
    "businessPhones",
    "displayName",
    "givenName",
    "id",
    "jobTitle",
    "mail",
    "mobilePhone",
    "officeLocation",
    "preferredLanguage",
    "surname",
    "userPrincipalName",
]
ELSEWHERE = {"aboutMe", "birthday", "hireDate", "interests", "mySite", "schools", "skills", "mailboxSettings"}
PROPERTIES = {"users": USER, "groups": GROUP}
DEFAULTS = {"users": USER_DEFAULT, "groups": GROUP}
MOST = 999
KNOWN = frozenset(
    {"$select", "$top", "$filter", "$count", "$orderby", "$expand", "$search", "$skiptoken", "$deltatoken", "$skip"}
)
ADVANCED = re.compile(r"\bne\b|\bnot\b|endswith\(", re.IGNORECASE)
CLAUSE = re.compile(r"(\w+)\s+(eq|ne)\s+('(?:[^']|'')*'|true|false|null)")
STARTS = re.compile(r"startswith\((\w+),\s*'((?:[^']|'')*)'\)", re.IGNORECASE)
Match = Callable[[Mapping[str, Any]], bool]


def envelope(status: int, code: str, message: str) -> Answer:
    """Graph's error body."""
    inner = {"date": "2026-11-24T09:00:00", "request-id": "0", "client-request-id": "0"}
    return Answer(status, {"error": {"code": code, "message": message, "innerError": inner}})


def bad(message: str, code: str = "Request_BadRequest", status: int = 400) -> Refusal:
    """A refusal of what was asked."""
    return Refusal(envelope(status, code, message))


def checked(request: Request, *, delta: bool = False) -> None:
    """Refuses query options that Graph refuses on this kind of request."""
    for name in request.query:
        if name.startswith("$") and name not in KNOWN:
            raise bad(f"The query parameter '{name}' is not supported.")
    if delta:
        for name in ("$expand", "$top", "$orderby", "$search", "$count"):
            if name in request.query:
                raise bad(f"{name} is not supported on delta queries of this resource.", "Request_UnsupportedQuery")
        tokens = {"$skiptoken", "$deltatoken"} & set(request.query)
        if tokens and set(request.query) - tokens and request.arg("$deltatoken") != "latest":
            raise bad("Query options cannot be given beside a token: they are part of it.")
    if (top := request.arg("$top")) and not (top.isdecimal() and 1 <= int(top) <= MOST):
        raise bad(f"Invalid page size specified: '{top}'. Must be between 1 and 999 inclusive.")
    advanced = "$search" in request.query or request.arg("$count").lower() == "true"
    advanced = advanced or bool(ADVANCED.search(request.arg("$filter")))
    eventual = request.headers.get("consistencylevel", "").lower() == "eventual"
    counted = request.arg("$count").lower() == "true" or "$search" in request.query
    if advanced and not (eventual and counted):
        raise bad(
            "Request with $count, $search or this $filter needs the header ConsistencyLevel: eventual and $count=true.",
            "Request_UnsupportedQuery",
        )


def selected(request: Request, kind: str, *, delta: bool = False) -> list[str] | None:
    """The properties that `$select` names, or None without it."""
    text = request.arg("$select")
    if not text:
        return None
    names = [each.strip() for each in text.split(",") if each.strip()]
    for name in names:
        if name in ELSEWHERE and delta:
            raise bad(f"The property {name} is not stored in the directory.", "NotImplemented", 501)
        if name not in PROPERTIES[kind] and not (kind == "groups" and name in {"members", "owners"}):
            singular = kind.removesuffix("s")
            raise bad(f"Could not find a property named '{name}' on type 'microsoft.graph.{singular}'.")
    return names


def shown(found: Mapping[str, Any], names: list[str], *, never_set: bool) -> dict[str, Any]:
    """The properties of an object. `never_set`: what was never set is shown as null or an empty list; a delta leaves it out."""
    row: dict[str, Any] = {"id": found["id"]}
    for name in names:
        if name in found:
            row[name] = found[name]
        elif never_set and name != "members":
            row[name] = (
                [] if name in {"businessPhones", "otherMails", "proxyAddresses", "groupTypes", "identities"} else None
            )
    return row  # fmt: skip


def filtered(text: str, *, ids_only: bool = False) -> Match:
    """A condition of the few forms that are enough here; others are refused by name."""
    if not text:
        return lambda _found: True
    parts = [each.strip() for each in re.split(r"\s+or\s+", text)]
    tests: list[Match] = []
    for part in parts:
        if found := CLAUSE.fullmatch(part):
            tests.append(_equal(found[1], found[2], found[3]))
            if ids_only and (found[1], found[2]) != ("id", "eq"):
                raise bad("Only id eq … or id eq … is supported in $filter here.", "Request_UnsupportedQuery")
        elif (found := STARTS.fullmatch(part)) and not ids_only:
            tests.append(_starts(found[1], found[2]))
        else:
            raise bad(f"Unsupported or invalid query filter clause: {part}", "Request_UnsupportedQuery")
    if ids_only and len(parts) > 50:
        raise bad("Too many objects in $filter: at most 50.")
    return lambda row: any(each(row) for each in tests)


def _equal(name: str, operator: str, literal: str) -> Match:
    value = {"true": True, "false": False, "null": None}.get(literal, literal.strip("'").replace("''", "'"))
    return lambda row: (row.get(name) == value) == (operator == "eq")


def _starts(name: str, text: str) -> Match:
    return lambda row: str(row.get(name) or "").lower().startswith(text.lower())
