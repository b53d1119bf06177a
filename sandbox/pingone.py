"""PingOne on loopback: environments with users, groups and nested groups, behind the tokens of one worker application each.

Base paths are `/v1` and `/auth`. Of filters it knows the few that reading needs, and refuses all others.
"""

from __future__ import annotations

import re
import time
from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode

from sandbox.seen import Seen, SeenUser, guid
from sandbox.vendor import Refusal, Vendor
from sandbox.wire import Answer, Request, Route

LIVES_SECONDS = 3_600
CREATED = "2024-03-01T08:00:00.000Z"
MOST = 200
IN_GROUP = re.compile(r'memberOfGroups\[id eq "([^"]+)"\]')
SINCE = re.compile(r'(createdAt|updatedAt) (ge|gt) "([^"]+)"')


def secret_of(tenant: str) -> str:
    """The client secret of a tenant's worker application."""
    return f"pingone-secret-of-{tenant}"


@dataclass
class Environment:
    """One environment: users and groups by id, users of groups, and the groups that groups are in."""

    name: str
    id: str
    client_id: str
    secret: str
    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    groups: dict[str, dict[str, Any]] = field(default_factory=dict)
    members: dict[str, list[str]] = field(default_factory=dict)
    parents: dict[str, list[str]] = field(default_factory=dict)
    tokens: dict[str, float] = field(default_factory=dict)

    def put(self, user: str, **values: Any) -> None:
        """Makes a user, or changes some attributes; None takes one away, as PingOne leaves out what is not set."""
        held = self.users.setdefault(user, {"id": user, "enabled": True, "createdAt": CREATED})
        held.update({"updatedAt": CREATED, **values})
        for name in [name for name, value in values.items() if value is None]:
            del held[name]

    def delete(self, user: str) -> None:
        """Deletes a user for good."""
        del self.users[user]
        for inside in self.members.values():
            if user in inside:
                inside.remove(user)


def planted(seen: Seen) -> Environment:
    """A tenant's people as PingOne has them."""
    made = Environment(
        seen.tenant, guid(seen.tenant, "pingone"), guid(seen.tenant, "pingone", "worker"), secret_of(seen.tenant)
    )
    users = {each.key: guid(seen.tenant, "pingone", each.key) for each in seen.users}
    groups = {each.key: guid(seen.tenant, "pingone", "group", each.key) for each in seen.groups}
    for each in seen.users:
        made.put(users[each.key], **attributes(each))
    for group in seen.groups:
        here = groups[group.key]
        made.groups[here] = {"id": here, "name": group.name, "createdAt": CREATED, "updatedAt": CREATED}
        made.members[here] = [users[key] for key in group.users if key in users]
        for key in group.groups:
            if key in groups:
                made.parents.setdefault(groups[key], []).append(here)
    return made


def attributes(user: SeenUser) -> dict[str, Any]:
    """A person in PingOne's words."""
    name = {"given": user.given_name, "family": user.family_name, "formatted": user.display_name}
    return {
        "username": user.user_name,
        "email": user.email,
        "name": {key: value for key, value in name.items() if value is not None},
        "title": user.title,
        "externalId": user.employee_number,
        "enabled": user.enabled,
    }


class PingOne(Vendor):
    """Any number of environments. `most`: rows of a page; `empty`: an empty page comes before every further one."""

    kind = "pingone"

    def __init__(
        self,
        tenants: Iterable[Seen],
        *,
        faults: Iterable[Mapping[str, Any]] = (),
        most: int = MOST,
        empty: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._clock, self.skew = clock, 0.0
        self.most, self.empty = most, empty
        self.tenants = {each.tenant: planted(each) for each in tenants}
        self._given = 0
        super().__init__(faults)

    def now(self) -> float:
        """Seconds since the epoch, here."""
        return self._clock() + self.skew

    def announcement(self) -> dict[str, Any]:
        """`{"kind", "url", "login_url", "tenants": {name: {environment_id, client_id, client_secret}}}`."""
        tenants = {
            name: {"environment_id": each.id, "client_id": each.client_id, "client_secret": each.secret}
            for name, each in self.tenants.items()
        }
        return {"kind": "pingone", "url": f"{self.url}/v1", "login_url": f"{self.url}/auth", "tenants": tenants}

    def state(self) -> dict[str, Any]:
        """Everything, by tenant."""
        return {
            name: {"users": list(each.users.values()), "groups": list(each.groups.values()), "members": each.members}
            for name, each in self.tenants.items()
        }

    def error(self, status: int, message: str) -> Answer:
        """PingOne's envelope."""
        code = {401: "ACCESS_FAILED", 403: "ACCESS_FAILED", 404: "NOT_FOUND", 429: "REQUEST_LIMITED"}
        return Answer(status, {"id": guid(message), "code": code.get(status, "INVALID_REQUEST"), "message": message})

    def routes(self) -> list[Route]:
        """Tokens, users, groups and the groups that groups are in."""
        base = "/v1/environments/{environment}"
        return [
            Route("POST", "/auth/{environment}/as/token", self._token),
            Route("GET", f"{base}/users", self._users),
            Route("GET", f"{base}/users/{{id}}", self._user),
            Route("GET", f"{base}/groups", self._groups),
            Route("GET", f"{base}/groups/{{id}}/memberOfGroups", self._parents),
        ]

    def admitted(self, request: Request, route: Route) -> tuple[str, Answer | None]:
        """A token is good for its own environment alone."""
        if route.path.endswith("/token"):
            return "", None
        here = self._named(request.path.split("/")[3])
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if here is None or self.now() >= here.tokens.get(token, 0.0):
            return "", self.error(401, "The request could not be completed. You do not have access to this resource.")
        return here.name, None

    def _named(self, environment: str) -> Environment | None:
        return next((each for each in self.tenants.values() if each.id == environment), None)

    def _token(self, request: Request) -> Answer:
        here = self._named(request.params["environment"])
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        client, secret = form.get("client_id"), form.get("client_secret")
        basic = request.headers.get("authorization", "")
        if basic.startswith("Basic "):
            client, _, secret = b64decode(basic[6:]).decode().partition(":")
        if here is None or (client, secret) != (here.client_id, here.secret):
            return Answer(
                401, {"error": "invalid_client", "error_description": "Request denied: Invalid client credentials"}
            )
        if form.get("grant_type") != "client_credentials":
            return Answer(400, {"error": "unsupported_grant_type"})
        self._given += 1
        token = guid(here.name, "token", str(self._given))
        here.tokens[token] = self.now() + LIVES_SECONDS
        return Answer(200, {"access_token": token, "token_type": "Bearer", "expires_in": LIVES_SECONDS})

    def _users(self, request: Request) -> Answer:
        here, text = self.tenants[request.caller], request.arg("filter")
        rows = list(here.users.values())
        if text:
            rows = self._filtered(here, rows, text)
        return self._paged(request, "users", rows)

    def _filtered(self, here: Environment, rows: list[dict[str, Any]], text: str) -> list[dict[str, Any]]:
        if found := IN_GROUP.fullmatch(text):
            if found[1] not in here.groups:
                raise Refusal(self.error(400, f"no group {found[1]}"))
            return [here.users[each] for each in here.members.get(found[1], [])]
        if found := SINCE.fullmatch(text):
            name, word, moment = found.groups()
            return [each for each in rows if each[name] > moment or (word == "ge" and each[name] == moment)]
        raise Refusal(self.error(400, f"The filter is not valid: {text}"))

    def _user(self, request: Request) -> Answer:
        found = self.tenants[request.caller].users.get(request.params["id"])
        if found is None:
            raise Refusal(self.error(404, "Unable to find user"))
        return Answer(200, found)

    def _groups(self, request: Request) -> Answer:
        return self._paged(request, "groups", list(self.tenants[request.caller].groups.values()))

    def _parents(self, request: Request) -> Answer:
        here = self.tenants[request.caller]
        if request.params["id"] not in here.groups:
            raise Refusal(self.error(404, "Unable to find group"))
        rows = [{"id": each, "name": here.groups[each]["name"], "type": "DIRECT"}
                for each in here.parents.get(request.params["id"], [])]  # fmt: skip
        return self._paged(request, "groupMemberships", rows)

    def _paged(self, request: Request, key: str, rows: list[dict[str, Any]]) -> Answer:
        """A page with the link to the next one; `count` is of the whole listing."""
        size = min(request.number("limit", MOST), self.most)
        if size < 1:
            raise Refusal(self.error(400, "limit must be positive"))
        start, _, mark = request.arg("cursor", "0").partition("e")
        if not start.isdecimal():
            raise Refusal(self.error(400, "The cursor is not valid"))
        place, empty = int(start), bool(mark)
        here = [] if empty else rows[place : place + size]
        body: dict[str, Any] = {"_links": {"self": {"href": f"{self.url}{request.path}"}}, "_embedded": {key: here}}
        body |= {"count": len(rows), "size": len(here)}
        follow = place if empty else place + size
        if follow < len(rows):
            query = {name: values[0] for name, values in request.query.items() if name != "cursor"}
            query["cursor"] = f"{follow}{'e' if self.empty and not empty else ''}"
            body["_links"]["next"] = {"href": f"{self.url}{request.path}?{urlencode(query)}"}
        return Answer(200, body)
