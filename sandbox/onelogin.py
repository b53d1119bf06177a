"""OneLogin API version 2 on loopback: users, roles and their users behind client credentials, and a quota by the hour.

Each account has a path of its own below the base URL, as the real one has a subdomain.
"""

from __future__ import annotations

import re
import time
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.seen import Seen, SeenUser, guid
from sandbox.vendor import Refusal, Vendor
from sandbox.wire import Answer, Request, Route

LIVES_SECONDS = 36_000
WINDOW_SECONDS = 3_600
CREATED = "2024-03-01T08:00:00.000Z"
# What a listing shows unless `fields` asks for other things (developers.onelogin.com/api-docs/2/users/list-users).
SHOWN = (
    "id", "username", "email", "firstname", "lastname", "phone", "status", "state", "group_id", "directory_id",
    "external_id", "samaccountname", "member_of", "distinguished_name", "activated_at", "last_login", "created_at",
    "updated_at", "password_changed_at", "invitation_sent_at", "invalid_login_attempts", "locked_until",
)  # fmt: skip
WHOLE = (*SHOWN, "department", "title", "company", "manager_user_id", "userprincipalname", "preferred_locale_code", "custom_attributes")  # fmt: skip
PAIR = re.compile(r"client_id:\s*(\S+),\s*client_secret:\s*(\S+)")


def secret_of(tenant: str) -> str:
    """The client secret of a tenant's API credential."""
    return f"onelogin-secret-of-{tenant}"


def number_of(*words: str) -> str:
    """OneLogin's ids are numbers; the same for the same words."""
    return str(10_000_000 + zlib.crc32("/".join(words).encode()) % 1_000_000_000)


def spoken(native_id: str) -> int | str:
    """An id as answers give it."""
    return int(native_id) if native_id.isdecimal() else native_id


@dataclass
class Account:
    """One OneLogin account: users and roles by id, users of roles, and the token that lives now."""

    name: str
    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    roles: dict[str, dict[str, Any]] = field(default_factory=dict)
    members: dict[str, list[str]] = field(default_factory=dict)
    token: str = ""
    ends: float = 0.0
    secret: str = ""
    used: int = 0
    window: float = 0.0

    def put(self, user: str, **values: Any) -> None:
        """Makes a user, or changes some of their fields. Ids are digits, which answers give as numbers."""
        blank: dict[str, Any] = {"id": spoken(user), "created_at": CREATED, "state": 1, "status": 1}
        self.users.setdefault(user, blank).update({"updated_at": CREATED, **values})

    def delete(self, user: str) -> None:
        """Deletes a user for good; OneLogin keeps no bin."""
        del self.users[user]
        for inside in self.members.values():
            if user in inside:
                inside.remove(user)


def planted(seen: Seen) -> Account:
    """A tenant's people as OneLogin has them; its groups are roles, and nested ones are left out: roles do not nest."""
    account = Account(seen.tenant, secret=secret_of(seen.tenant))
    numbers = {each.key: number_of(seen.tenant, each.key) for each in seen.users}
    for each in seen.users:
        account.put(numbers[each.key], **fields(each))
    for group in seen.groups:
        role = number_of(seen.tenant, "role", group.key)
        account.roles[role] = {"id": spoken(role), "name": group.name}
        account.members[role] = [numbers[key] for key in group.users if key in numbers]
    return account


def fields(user: SeenUser) -> dict[str, Any]:
    """A person in OneLogin's words."""
    return {
        "username": user.user_name,
        "email": user.email,
        "firstname": user.given_name,
        "lastname": user.family_name,
        "department": user.department,
        "title": user.title,
        "company": user.company,
        "external_id": user.employee_number,
        "custom_attributes": {"employee_number": user.employee_number},
        "status": 1 if user.enabled else 2,
    }


class OneLogin(Vendor):
    """Any number of accounts. Time is `clock` plus `skew` seconds.

    `quota`: requests an hour; `page`: the most rows of a page; `empty`: an empty page comes before every further one.
    """

    kind = "onelogin"

    def __init__(
        self,
        tenants: Iterable[Seen],
        *,
        faults: Iterable[Mapping[str, Any]] = (),
        quota: int = 5_000,
        page: int = 100,
        empty: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._clock, self.skew = clock, 0.0
        self.quota, self.page, self.empty = quota, page, empty
        self.tenants = {each.tenant: planted(each) for each in tenants}
        self._cursors: dict[str, tuple[str, int, bool]] = {}
        super().__init__(faults)

    def now(self) -> float:
        """Seconds since the epoch, here."""
        return self._clock() + self.skew

    def announcement(self) -> dict[str, Any]:
        """`{"kind", "tenants": {name: {url, client_id, client_secret}}}`."""
        tenants = {
            name: {
                "url": f"{self.url}/{name}",
                "client_id": guid(name, "onelogin"),
                "client_secret": each.secret,
            }
            for name, each in self.tenants.items()
        }
        return {"kind": "onelogin", "tenants": tenants}

    def state(self) -> dict[str, Any]:
        """Everything, by tenant."""
        return {
            name: {"users": list(each.users.values()), "roles": list(each.roles.values()), "members": each.members}
            for name, each in self.tenants.items()
        }

    def error(self, status: int, message: str) -> Answer:
        """OneLogin's envelope."""
        return Answer(status, {"name": "Error", "statusCode": status, "message": message})

    def routes(self) -> list[Route]:
        """Login, users, roles and their users."""
        return [
            Route("POST", "/{tenant}/auth/oauth2/v2/token", self._token),
            Route("GET", "/{tenant}/api/2/users", self._users),
            Route("GET", "/{tenant}/api/2/users/{id}", self._user),
            Route("GET", "/{tenant}/api/2/roles", self._roles),
            Route("GET", "/{tenant}/api/2/roles/{id}/users", self._members),
        ]

    def admitted(self, request: Request, route: Route) -> tuple[str, Answer | None]:
        """A token is good for its own account alone, and each request takes one of its quota."""
        if route.path.endswith("/token"):
            return "", None
        account = self.tenants.get(request.path.split("/")[1])
        if account is None:
            return "", self.error(404, "Not Found")
        word = request.headers.get("authorization", "").removeprefix("Bearer ").removeprefix("bearer:").strip()
        if not word or word != account.token or self.now() >= account.ends:
            return "", self.error(401, "Unauthorized")
        if self.now() >= account.window + WINDOW_SECONDS:
            account.used, account.window = 0, self.now()
        if account.used >= self.quota:
            return account.name, self.error(429, "rate limit exceeded")
        account.used += 1
        return account.name, None

    def finished(self, request: Request, answer: Answer) -> Answer:
        """Every answer says what is left of the quota, and in how many seconds it is given anew."""
        account = self.tenants.get(request.path.split("/")[1])
        if account is None or "/auth/" in request.path:
            return answer
        reset = max(0.0, account.window + WINDOW_SECONDS - self.now())
        return answer.with_headers(
            {
                "X-RateLimit-Limit": str(self.quota),
                "X-RateLimit-Remaining": str(self.quota - account.used),
                "X-RateLimit-Reset": str(int(reset)),
            }
        )

    def _account(self, request: Request) -> Account:
        return self.tenants[request.params["tenant"]]

    def _token(self, request: Request) -> Answer:
        account = self.tenants.get(request.params["tenant"])
        pair = PAIR.search(request.headers.get("authorization", ""))
        if account is None or pair is None or pair.groups() != (guid(account.name, "onelogin"), account.secret):
            return self.error(401, "Authentication Failure")
        if not account.token or self.now() >= account.ends:  # the same token until it ends
            account.token, account.ends = guid(account.name, "token", str(self.now())), self.now() + LIVES_SECONDS
        left = int(account.ends - self.now())
        body = {"access_token": account.token, "token_type": "bearer", "expires_in": left, "account_id": 1}
        return Answer(200, body)

    def _users(self, request: Request) -> Answer:
        account = self._account(request)
        found = list(account.users.values())
        for name, key in (("updated_since", "updated_at"), ("created_since", "created_at")):
            if since := request.arg(name):
                found = [each for each in found if each[key] >= since]
        names = [each.strip() for each in request.arg("fields").split(",") if each.strip()] or list(SHOWN)
        rows = [{name: each.get(name) for name in dict.fromkeys(("id", *names))} for each in found]
        return self._paged(request, rows)

    def _user(self, request: Request) -> Answer:
        found = self._account(request).users.get(request.params["id"])
        if found is None:
            raise Refusal(self.error(404, "The resource with the given id could not be found"))
        return Answer(200, {name: found.get(name) for name in WHOLE})

    def _roles(self, request: Request) -> Answer:
        account = self._account(request)
        return self._paged(request, [{"id": each["id"], "name": each["name"]} for each in account.roles.values()])

    def _members(self, request: Request) -> Answer:
        account, role = self._account(request), request.params["id"]
        if role not in account.roles:
            raise Refusal(self.error(404, "The resource with the given id could not be found"))
        rows = []
        for user in account.members.get(role, []):
            found = account.users[user]
            name = " ".join(each for each in (found.get("firstname"), found.get("lastname")) if each)
            rows.append({"id": spoken(user), "name": name, "username": found.get("username"), "assigned": True})
        return self._paged(request, rows)

    def _paged(self, request: Request, rows: list[dict[str, Any]]) -> Answer:
        """A page from a cursor on, which belongs to its listing alone; counts are in headers."""
        size = request.number("limit", 50)
        if not 1 <= size <= 100:
            raise Refusal(self.error(400, "limit must be between 1 and 100"))
        size = min(size, self.page)
        listing, start, empty = f"{request.path}?{request.arg('fields')}", 0, False
        if cursor := request.arg("cursor"):
            known, start, empty = self._cursors.get(cursor, ("", 0, False))
            if known != listing:
                raise Refusal(self.error(400, "Invalid cursor"))
        here = [] if empty else rows[start : start + size]
        headers = {"Total-Count": str(len(rows)), "Page-Items": str(size), "Current-Page": str(start // size + 1)}
        headers["Total-Pages"] = str(-(-len(rows) // size))
        follow = start if empty else start + size
        if follow < len(rows):
            token = guid(listing, str(follow), str(empty)).replace("-", "")
            self._cursors[token] = (listing, follow, self.empty and not empty)
            headers["After-Cursor"] = token
        return Answer(200, here, headers)
