"""Auth0 Management API v2 on loopback: users by pages up to 1,000 rows, roles, organizations and checkpoints, behind scoped tokens.

Each tenant has a path of its own below the base URL, as the real one has a domain. Of searches it knows ranges of time alone.
"""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from sandbox.seen import Seen, SeenUser, guid
from sandbox.vendor import Refusal, Vendor
from sandbox.wire import Answer, Request, Route

LIVES_SECONDS = 86_400
CREATED = "2024-03-01T08:00:00.000Z"
MOST = 1_000
SCOPES = ("read:users", "read:roles", "read:role_members", "read:organizations", "read:organization_members")
RANGE = re.compile(r"(created_at|updated_at):([\[{])(\S+) TO \*\]")


def secret_of(tenant: str) -> str:
    """The client secret of a tenant's machine-to-machine application."""
    return f"auth0-secret-of-{tenant}"


@dataclass
class Auth0Tenant:
    """One tenant: users, roles and organizations by id, and the users of both."""

    name: str
    secret: str
    scopes: tuple[str, ...] = SCOPES
    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    roles: dict[str, dict[str, Any]] = field(default_factory=dict)
    organizations: dict[str, dict[str, Any]] = field(default_factory=dict)
    members: dict[str, list[str]] = field(default_factory=dict)
    tokens: dict[str, float] = field(default_factory=dict)

    def put(self, user: str, **values: Any) -> None:
        """Makes a user, or changes some attributes; None takes one away, as Auth0 leaves out what is not set."""
        held = self.users.setdefault(user, {"user_id": user, "created_at": CREATED})
        held.update({"updated_at": CREATED, **values})
        for name in [name for name, value in values.items() if value is None]:
            del held[name]

    def delete(self, user: str) -> None:
        """Deletes a user for good."""
        del self.users[user]
        for inside in self.members.values():
            if user in inside:
                inside.remove(user)


def planted(seen: Seen) -> Auth0Tenant:
    """A tenant's people as Auth0 has them; its groups are roles, and nested ones are left out: roles do not nest."""
    made = Auth0Tenant(seen.tenant, secret_of(seen.tenant))
    users = {each.key: f"auth0|{guid(seen.tenant, 'auth0', each.key).replace('-', '')[:24]}" for each in seen.users}
    for place, each in enumerate(seen.users):
        created = f"2024-03-01T{8 + place // 3600:02}:{place // 60 % 60:02}:{place % 60:02}.000Z"
        made.put(users[each.key], **{**attributes(each), "created_at": created, "updated_at": created})
    for group in seen.groups:
        role = f"rol_{guid(seen.tenant, 'role', group.key).replace('-', '')[:16]}"
        made.roles[role] = {"id": role, "name": group.name, "description": ""}
        made.members[role] = [users[key] for key in group.users if key in users]
    return made


def attributes(user: SeenUser) -> dict[str, Any]:
    """A person in Auth0's words."""
    return {
        "username": user.user_name,
        "email": user.email,
        "name": user.display_name,
        "given_name": user.given_name,
        "family_name": user.family_name,
        "app_metadata": {"employee_number": user.employee_number} if user.employee_number else None,
        "blocked": None if user.enabled else True,
    }


class Auth0(Vendor):
    """Any number of tenants. `most`: rows of a page; `empty`: a checkpoint page without rows comes before every further one."""

    kind = "auth0"

    def __init__(
        self,
        tenants: Iterable[Seen],
        *,
        faults: Iterable[Mapping[str, Any]] = (),
        most: int = 100,
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
        """`{"kind", "tenants": {name: {url, client_id, client_secret}}}`."""
        tenants = {
            name: {"url": f"{self.url}/{name}", "client_id": guid(name, "auth0"), "client_secret": each.secret}
            for name, each in self.tenants.items()
        }
        return {"kind": "auth0", "tenants": tenants}

    def state(self) -> dict[str, Any]:
        """Everything, by tenant."""
        return {
            name: {"users": list(each.users.values()), "roles": list(each.roles.values()), "members": each.members}
            for name, each in self.tenants.items()
        }

    def error(self, status: int, message: str) -> Answer:
        """Auth0's envelope."""
        words = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 429: "Too Many Requests"}
        return Answer(status, {"statusCode": status, "error": words.get(status, "Error"), "message": message})

    def routes(self) -> list[Route]:
        """Tokens, users, roles, organizations and who is in them."""
        base = "/{tenant}/api/v2"
        return [
            Route("POST", "/{tenant}/oauth/token", self._token),
            Route("GET", f"{base}/users", self._users),
            Route("GET", f"{base}/users/{{id}}", self._user),
            Route("GET", f"{base}/roles", self._roles),
            Route("GET", f"{base}/roles/{{id}}/users", self._inside("roles", "users", "read:role_members")),
            Route("GET", f"{base}/organizations", self._organizations),
            Route(
                "GET",
                f"{base}/organizations/{{id}}/members",
                self._inside("organizations", "members", "read:organization_members"),
            ),
        ]

    def admitted(self, request: Request, route: Route) -> tuple[str, Answer | None]:
        """A token is good for its own tenant alone."""
        if route.path.endswith("/token"):
            return "", None
        here = self.tenants.get(request.path.split("/")[1])
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if here is None or self.now() >= here.tokens.get(token, 0.0):
            return "", self.error(401, "Expired token received for JSON Web Token validation")
        return here.name, None

    def _token(self, request: Request) -> Answer:
        here = self.tenants.get(request.params["tenant"])
        kind = request.headers.get("content-type", "")
        form = (
            request.json()
            if "json" in kind
            else {name: each[0] for name, each in parse_qs(request.body.decode()).items()}
        )
        if here is None or (form.get("client_id"), form.get("client_secret")) != (
            guid(here.name, "auth0"),
            here.secret,
        ):
            return Answer(401, {"error": "access_denied", "error_description": "Unauthorized"})
        if form.get("audience") != f"{self.url}/{here.name}/api/v2/":
            return Answer(
                403, {"error": "access_denied", "error_description": f"Service not found: {form.get('audience')}"}
            )
        self._given += 1
        claims = {"scope": " ".join(here.scopes), "aud": form["audience"], "jti": str(self._given)}
        token = ".".join(_part(each) for each in ({"alg": "none"}, claims, {"of": here.name}))
        here.tokens[token] = self.now() + LIVES_SECONDS
        body = {"access_token": token, "token_type": "Bearer", "expires_in": LIVES_SECONDS, "scope": claims["scope"]}
        return Answer(200, body)

    def _here(self, request: Request, scope: str) -> Auth0Tenant:
        here = self.tenants[request.caller]
        if scope not in here.scopes:
            raise Refusal(self.error(403, f"Insufficient scope, expected any of: {scope}"))
        return here

    def _users(self, request: Request) -> Answer:
        here = self._here(request, "read:users")
        rows = list(here.users.values())
        if query := request.arg("q"):
            found = RANGE.fullmatch(query)
            if found is None or request.arg("search_engine") != "v3":
                raise Refusal(self.error(400, f"Malformed query: {query}"))
            name, edge, moment = found.groups()
            rows = [each for each in rows if each[name] > moment or (edge == "[" and each[name] == moment)]
        by, _, order = request.arg("sort", "created_at:1").partition(":")
        rows.sort(key=lambda each: str(each.get(by)), reverse=order == "-1")
        page, size = request.number("page", 0), request.number("per_page", 50)
        if size > 100:
            raise Refusal(self.error(400, "Query validation error: 'Maximum value 100' on property per_page"))
        if (page + 1) * size > MOST:
            raise Refusal(self.error(400, "You can only page through the first 1000 records."))
        size = min(size, self.most)
        names = [each for each in request.arg("fields").split(",") if each]
        here_ = [{name: value for name, value in each.items() if not names or name in names} for each in rows]
        return self._numbered(request, "users", here_, page, size)

    def _user(self, request: Request) -> Answer:
        found = self._here(request, "read:users").users.get(request.params["id"])
        if found is None:
            raise Refusal(self.error(404, "The user does not exist."))
        return Answer(200, found)

    def _roles(self, request: Request) -> Answer:
        here = self._here(request, "read:roles")
        size = min(request.number("per_page", 50), 100)
        return self._numbered(request, "roles", list(here.roles.values()), request.number("page", 0), size)

    def _organizations(self, request: Request) -> Answer:
        here = self._here(request, "read:organizations")
        return self._checkpoint(request, "organizations", list(here.organizations.values()))

    def _inside(self, kind: str, key: str, scope: str) -> Callable[[Request], Answer]:
        def answer(request: Request) -> Answer:
            here = self._here(request, scope)
            if request.params["id"] not in (here.roles if kind == "roles" else here.organizations):
                raise Refusal(self.error(404, "Not found"))
            rows = [
                {"user_id": each, "email": here.users[each].get("email"), "name": here.users[each].get("name")}
                for each in here.members.get(request.params["id"], [])
            ]
            return self._checkpoint(request, key, rows)

        return answer

    @staticmethod
    def _numbered(request: Request, key: str, rows: list[dict[str, Any]], page: int, size: int) -> Answer:
        here = rows[page * size : (page + 1) * size]
        if not request.flag("include_totals", default=False):
            return Answer(200, here)
        return Answer(200, {key: here, "start": page * size, "limit": size, "length": len(here), "total": len(rows)})

    def _checkpoint(self, request: Request, key: str, rows: list[dict[str, Any]]) -> Answer:
        """A page by `take` and `from`; without them pages by number, which end at 1,000."""
        size = min(request.number("take", 50), 100)
        start, _, mark = request.arg("from", "0").partition("e")
        if not start.isdecimal():
            raise Refusal(self.error(400, "Invalid from"))
        place, empty = int(start), bool(mark)
        body: dict[str, Any] = {key: [] if empty else rows[place : place + size]}
        follow = place if empty else place + size
        if follow < len(rows):
            body["next"] = f"{follow}{'e' if self.empty and not empty else ''}"
        return Answer(200, body)


def _part(claims: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
