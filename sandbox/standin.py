"""What the stand-ins have in common: the way of a request from the door to the audit. Routes and words are the products' own."""

from __future__ import annotations

import json
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from sandbox.audit import Audit
from sandbox.directory import INTERNAL, Directory, User, fold
from sandbox.faults import Faults, Rule, spoiled
from sandbox.ratelimit import Buckets, Rate
from sandbox.wire import Answer, Request, Route, Router, page

Seed = Mapping[str, Any]


class Standin(ABC):
    """A product on loopback. `seed` has users, groups, seats, default_groups, admin, tokens, directories, shadows."""

    kind = ""
    context = ""
    latest = ""
    admin_groups: tuple[str, ...] = ()

    def __init__(
        self, seed: Seed, *, token: str, version: str, rate: Rate | None, faults: Iterable[Mapping[str, Any]]
    ) -> None:
        self.seed, self.token = seed, token
        self.version_text, self.version = version, tuple(int(each) for each in version.split("."))
        self.url = ""
        self.audit = Audit()
        self.faults = Faults(self.context.strip("/"), faults)
        self.buckets = Buckets(rate)
        self.directory = Directory(dict(seed.get("directories", {})))
        self.admin_name = str(seed.get("admin", "admin"))
        self._lock = threading.RLock()
        self._pages: dict[str, Answer] = {}
        self._plant()
        self.tokens = {token: self.admin_name, **seed.get("tokens", {})}
        self._router = Router([each for each in self.routes() if self.version >= each.since])

    # What a product says for itself

    @abstractmethod
    def routes(self) -> list[Route]:
        """Every route, with the version that brought it."""

    @abstractmethod
    def error(self, status: int, message: str, **fields: str) -> Answer:
        """The product's error envelope; `fields` are complaints about single fields."""

    @abstractmethod
    def new_key(self, name: str, seeded: str | None) -> tuple[int, str]:
        """The number and key of the next user."""

    def seeded_name(self, name: str, directory: str) -> str:
        """A seeded user name as the product stores it."""
        del directory
        return name

    @abstractmethod
    def advance(self) -> None:
        """Lets happen what was to happen by now."""

    # Seeding

    def _plant(self) -> None:
        for group in self.seed.get("groups", ()):
            found = {"name": group} if isinstance(group, str) else group
            self.directory.add_group(found["name"], found.get("directory", INTERNAL))
        for group in self.seed.get("groups", ()):
            for child in () if isinstance(group, str) else group.get("groups", ()):
                self.directory.nest(group["name"], child)
        users = list(self.seed.get("users", ()))
        if fold(self.admin_name) not in {fold(each["name"]) for each in users}:
            users.append({"name": self.admin_name, "display_name": "Administrator"})
        for each in users:
            self._plant_user(each)
        admin = self.directory.user(self.admin_name)
        if admin and not any(each.name in self.admin_groups for each in self.directory.groups_of(admin.key)):
            self._group(self.admin_groups[0])
            self.directory.join(self.admin_groups[0], admin.key)

    def _plant_user(self, wanted: Mapping[str, Any]) -> None:
        directory = wanted.get("directory") or INTERNAL
        name = self.seeded_name(wanted["name"], directory)
        number, key = self.new_key(name, wanted.get("key"))
        user = User(
            number=number,
            key=key,
            name=name,
            email=wanted.get("email") or f"{fold(name)}@localhost.localdomain",
            display_name=wanted.get("display_name") or name,
            active=wanted.get("active", True),
            directory=directory,
            leads=wanted.get("leads", False),
        )
        self.directory.add_user(user)
        for group in wanted.get("groups", ()):
            self._group(group)
            self.directory.join(group, key)

    def _group(self, name: str) -> None:
        if not self.directory.group(name):
            self.directory.add_group(name)

    # Whom we speak with

    def is_admin(self, key: str) -> bool:
        """Whether the user is in an administrators' group."""
        return any(key in self._in(each) for each in self.admin_groups)

    def _in(self, group: str) -> set[str]:
        if not self.directory.group(group):
            return set()
        return self.directory.member_keys(group, nested=True)

    def last_admins(self) -> list[User]:
        """Active administrators."""
        keys = {key for each in self.admin_groups for key in self._in(each)}
        return [self.directory.users[key] for key in sorted(keys) if self.directory.users[key].active]

    def _caller(self, request: Request) -> tuple[str, Answer | None]:
        """The key of whom the token belongs to, empty for nobody; or a refusal. Tokens are the only way in."""
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":  # a token as password does not work (ankitpokhrel/jira-cli 268)
            refused = self.error(401, "Basic Authentication Failure")
            return "", refused.with_headers(
                {"X-Seraph-LoginReason": "AUTHENTICATED_FAILED", "X-AUSERNAME": "anonymous"}
            )
        user = self.directory.user(self.tokens.get(value.strip(), "")) if scheme.lower() == "bearer" else None
        return (user.key, None) if user and user.active else ("", None)

    # The way of a request

    def answer(self, request: Request) -> Answer:
        """Answers a request, and writes down that it came."""
        inner = request.path.removeprefix(self.context)
        if inner.startswith("/_onefold/"):
            return self._control(request.method, inner, request)
        request = replace(request, path=inner.replace("/rest/api/latest/", self.latest, 1))
        with self._lock:
            key, refusal = self._caller(request)
            caller = self.directory.users[key].name if key else "anonymous"
        request = replace(request, caller=key)
        granted, headers = (True, dict[str, str]()) if refusal or not key else self._limited(request, caller)
        picked = self.faults.pick(request.method, request.path) if granted else None
        route, params, status = self._router.find(request.method, request.path)
        if refusal:
            answer, changed = refusal, False
        elif not granted:
            answer, changed = self.error(429, "Rate limit exceeded."), False
        elif picked and picked.when == "before" and (early := self._broken(picked, None, request)):
            answer, changed = early, False
        else:
            answer, changed = self._dispatched(request, route, params, status)
            answer = self._late(picked, answer, request) if picked else self._remembered(request, answer)
        if picked and picked.fault in {"status", "html"}:
            headers = {}  # a proxy says this, it knows nothing of buckets
        answer = answer.with_headers({"X-AUSERNAME": caller, **headers, **answer.headers})
        if "cookie" not in request.headers:
            answer = answer.with_headers({"Set-Cookie": "JSESSIONID=0A1B2C3D; Path=/; HttpOnly"})
        self._noted(request, route, answer, picked, changed=changed)
        return answer

    def _limited(self, request: Request, caller: str) -> tuple[bool, dict[str, str]]:
        # What looks like a browser is not limited (jirakb 1108486797): a client that returns our cookie never meets the limiter.
        return (True, {}) if "cookie" in request.headers else self.buckets.take(caller)

    def _dispatched(
        self, request: Request, route: Route | None, params: dict[str, str], status: int
    ) -> tuple[Answer, bool]:
        if "%2f" in request.raw_path.lower() or "%5c" in request.raw_path.lower():
            return page(400, "HTTP Status 400 - Bad Request"), False  # Tomcat, without ALLOW_ENCODED_SLASH
        if route is None:
            return self.error(status, "null for uri" if status == 404 else "Method Not Allowed"), False
        with self._lock:
            self.advance()
            before = self.directory.revision
            if route.admin and (refused := self.refused(request)):
                return refused, False
            try:
                answer = route.handler(replace(request, params=params))
            except (json.JSONDecodeError, UnicodeDecodeError) as error:  # nothing has happened yet
                answer = self.error(400, f"Unexpected character: {error}")
            return answer, self.directory.revision != before

    def refused(self, request: Request) -> Answer | None:
        """Why the caller may not do what only administrators do."""
        if not request.caller:
            return self.error(401, "You are not authenticated. Authentication required to perform this operation.")
        return None if self.is_admin(request.caller) else self.error(403, "You are not an administrator.")

    # Faults

    def _broken(self, picked: Rule, done: Answer | None, request: Request) -> Answer | None:
        """What the client gets instead of the answer; None when it gets it, late or not."""
        return spoiled(picked, done, error=self.error, earlier=self._pages.get(self._page_name(request)))

    def _late(self, picked: Rule, answer: Answer, request: Request) -> Answer:
        if picked.when == "before" and picked.fault not in {"truncate", "repeat_page"}:
            return answer  # it was late already
        return self._broken(picked, answer, request) or answer

    @staticmethod
    def _page_name(request: Request) -> str:
        return f"{request.path}?{request.arg('groupname')}{request.arg('username')}"

    def _remembered(self, request: Request, answer: Answer) -> Answer:
        if request.method == "GET" and self.faults.any:
            self._pages[self._page_name(request)] = answer
        return answer

    def _noted(
        self, request: Request, route: Route | None, answer: Answer, picked: Rule | None, *, changed: bool
    ) -> None:
        self.audit.note(
            method=request.method,
            path=request.path,
            route=route.path if route else request.path,
            status=0 if answer.broken == "reset" else answer.status,
            wrote=request.method != "GET" and (changed or 200 <= answer.status < 300),
            effect=changed,
            fault=picked.fault if picked else "",
            cookie="cookie" in request.headers,
        )

    # The back door

    def state(self) -> dict[str, Any]:
        """Everything the product holds: users, groups, edges, roles."""
        with self._lock:
            self.advance()
            roles = {
                key: {"seats": each.seats, "held": len(self.directory.holders(key)), "groups": sorted(each.groups)}
                for key, each in sorted(self.directory.roles.items())
            }
            return {"kind": self.kind, **self.directory.state(), "roles": roles}

    def _control(self, method: str, path: str, request: Request) -> Answer:
        match method, path.removeprefix("/_onefold/"):
            case "GET", "audit":
                return Answer(200, self.audit.report())
            case "GET", "state":
                return Answer(200, self.state())
            case "POST", "reset-audit":
                self.audit.reset()
                return Answer(204)
            case "POST", "faults":
                try:
                    self.faults.replace(request.json() or [])
                except (TypeError, ValueError) as error:
                    return Answer(400, {"error": str(error)})
                return Answer(204)
            case _:
                return Answer(404, {"error": f"no {method} {path} here"})
