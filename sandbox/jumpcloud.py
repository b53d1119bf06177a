"""JumpCloud on loopback: system users in the envelope of API v1, user groups and graph edges in the bare lists of v2, behind an API key."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.seen import Seen, SeenUser
from sandbox.vendor import Refusal, Vendor
from sandbox.wire import Answer, Request, Route

CREATED = "2024-03-01T08:00:00.000Z"


def key_of(tenant: str) -> str:
    """The API key of a tenant's reader."""
    return f"jumpcloud-key-of-{tenant}"


def object_id(*words: str) -> str:
    """An id of twelve bytes in hex, as JumpCloud's database makes them; the same for the same words."""
    return hashlib.blake2b("/".join(words).encode(), digest_size=12).hexdigest()


@dataclass
class Organisation:
    """One organisation: users and groups by id, and the members (id, type) of groups."""

    name: str
    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    groups: dict[str, dict[str, Any]] = field(default_factory=dict)
    members: dict[str, list[tuple[str, str]]] = field(default_factory=dict)


def planted(seen: Seen) -> Organisation:
    """A tenant's people as JumpCloud has them."""
    made = Organisation(seen.tenant)
    users = {each.key: object_id(seen.tenant, each.key) for each in seen.users}
    groups = {each.key: object_id(seen.tenant, "group", each.key) for each in seen.groups}
    for each in seen.users:
        made.users[users[each.key]] = record(each, users[each.key])
    for group in seen.groups:
        here = groups[group.key]
        made.groups[here] = {"id": here, "name": group.name, "type": "user_group", "description": ""}
        made.members[here] = [(users[key], "user") for key in group.users if key in users]
        made.members[here] += [(groups[key], "user_group") for key in group.groups if key in groups]
    return made


def record(user: SeenUser, native_id: str) -> dict[str, Any]:
    """A person in JumpCloud's words; what is not set is an empty text."""
    return {
        "_id": native_id,
        "username": user.user_name,
        "email": user.email or "",
        "alternateEmail": user.private_email or "",
        "firstname": user.given_name or "",
        "lastname": user.family_name or "",
        "displayname": user.display_name,
        "employeeIdentifier": user.employee_number or "",
        "department": user.department or "",
        "jobTitle": user.title or "",
        "company": user.company or "",
        "location": "",
        "manager": "",
        "created": CREATED,
        "state": "ACTIVATED" if user.enabled else "SUSPENDED",
        "suspended": not user.enabled,
        "activated": True,
        "account_locked": False,
        "employeeType": "",
        "phoneNumbers": [],
    }


class JumpCloud(Vendor):
    """Any number of organisations, told apart by their keys. `most`: rows of a page at most; `counts`: whether v2 counts."""

    kind = "jumpcloud"

    def __init__(
        self, tenants: Iterable[Seen], *, faults: Iterable[Mapping[str, Any]] = (), most: int = 100, counts: bool = True
    ) -> None:
        self.most, self.counts = most, counts
        self.tenants = {each.tenant: planted(each) for each in tenants}
        self.keys = {key_of(name): name for name in self.tenants}
        super().__init__(faults)

    def announcement(self) -> dict[str, Any]:
        """`{"kind", "url", "tenants": {name: {api_key}}}`."""
        keys = {name: {"api_key": key} for key, name in self.keys.items()}
        return {"kind": "jumpcloud", "url": self.url, "tenants": keys}

    def state(self) -> dict[str, Any]:
        """Everything, by tenant."""
        return {
            name: {"users": list(each.users.values()), "groups": list(each.groups.values()), "members": each.members}
            for name, each in self.tenants.items()
        }

    def error(self, status: int, message: str) -> Answer:
        """JumpCloud's envelope."""
        return Answer(status, {"message": message})

    def routes(self) -> list[Route]:
        """Users in version 1, groups and edges in version 2."""
        return [
            Route("GET", "/api/systemusers", self._users),
            Route("GET", "/api/systemusers/{id}", self._user),
            Route("GET", "/api/v2/usergroups", self._groups),
            Route("GET", "/api/v2/usergroups/{id}/members", self._members),
        ]

    def admitted(self, request: Request, route: Route) -> tuple[str, Answer | None]:
        """Whose key it is."""
        del route
        name = self.keys.get(request.headers.get("x-api-key", ""))
        return (name, None) if name else ("", self.error(401, "Unauthorized"))

    def _users(self, request: Request) -> Answer:
        rows = sorted(self.tenants[request.caller].users.values(), key=lambda each: str(each.get("_id")))
        if request.arg("sort") != "_id":  # without a unique order, rows move while pages are turned
            rows.reverse()
        shown = [self._shown(request, each) for each in self._page(request, rows)]
        return Answer(200, {"totalCount": len(rows), "results": shown})

    def _user(self, request: Request) -> Answer:
        found = self.tenants[request.caller].users.get(request.params["id"])
        if found is None:
            raise Refusal(self.error(404, "Not Found"))
        return Answer(200, self._shown(request, found))

    @staticmethod
    def _shown(request: Request, user: Mapping[str, Any]) -> dict[str, Any]:
        names = request.arg("fields").split()
        return {name: value for name, value in user.items() if not names or name in {"_id", *names}}

    def _groups(self, request: Request) -> Answer:
        rows = list(self.tenants[request.caller].groups.values())
        return self._listed(request, sorted(rows, key=lambda each: str(each["id"])))

    def _members(self, request: Request) -> Answer:
        here = self.tenants[request.caller]
        group = request.params["id"]
        if group not in here.groups:
            raise Refusal(self.error(404, "Not Found"))
        rows = [
            {"from": {"id": group, "type": "user_group"}, "to": {"id": member, "type": kind, "attributes": None}}
            for member, kind in here.members.get(group, [])
        ]
        return self._listed(request, rows)

    def _listed(self, request: Request, rows: list[dict[str, Any]]) -> Answer:
        headers = {"x-total-count": str(len(rows))} if self.counts else {}
        return Answer(200, self._page(request, rows), headers)

    def _page(self, request: Request, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        limit, skip = request.number("limit", 10), request.number("skip", 0)
        if not 1 <= limit <= 100:
            raise Refusal(self.error(400, "limit must be between 1 and 100"))
        return rows[skip : skip + min(limit, self.most)]
