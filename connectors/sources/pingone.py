"""Reads one PingOne environment: users, groups, their direct members and nested groups. Counting and judging are the runner's."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import quote, urlencode

from pydantic import BaseModel, Field

from connectors.auth import Grant, client_credentials
from connectors.http import Http
from connectors.increments import Watermark
from connectors.paging import Turn, begun, followed
from connectors.records import edges_of, page_of, text_id, vanished, whole
from connectors.source import Finding, Page, SourceContext, source
from connectors.sources._pingone_records import to_account, to_group
from connectors.throttling import Throttling, by_status
from core.errors import OnefoldError, TerminalError
from core.settings import SecretRef, Strict

PAGE = 200  # the most that `limit` may be; pages may be smaller
Guid = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")]


class PingOneSettings(Strict):
    """What is special to a PingOne environment."""

    environment_id: Guid
    client_id: Guid = Field(description="of a worker application with the role `Identity Data Read Only`")
    client_secret: SecretRef
    region: Literal["com", "eu", "asia", "ca", "com.au", "sg"] = "com"
    url: str | None = Field(default=None, description="the API down to its version; default by region")
    login_url: str | None = Field(default=None, description="where tokens are given; default by region")
    employee_number: str | None = Field(
        default=None, description="attribute that holds the HR number: externalId, or a custom one"
    )
    nested: bool = Field(default=True, description="also ask of each group which groups it is in: a request a group")
    proxy: str | None = None
    ca_bundle: str | None = None
    rate: float | None = Field(default=None, gt=0, description="requests per second; default: as fast as it answers")


@source
class PingOne:
    """One environment. A read that goes on (`updatedAt`) sees no deletions: a count that fell short means a full read."""

    Settings: ClassVar[type[BaseModel]] = PingOneSettings
    needs: ClassVar[tuple[str, ...]] = ("Identity Data Read Only (role of the worker application, on the environment)",)
    full_every: ClassVar[timedelta] = timedelta(days=7)

    def __init__(self, settings: PingOneSettings, context: SourceContext) -> None:
        self.settings = settings
        self._place: dict[str, Any] = {"tenant": context.tenant}
        common: dict[str, Any] = {
            "place": self._place,
            "ca_bundle": settings.ca_bundle,
            "proxy": settings.proxy,
            "transport": context.transport,
        }
        secret = context.secrets["client_secret"]
        self._login = Http(settings.login_url or f"https://auth.pingone.{settings.region}", secrets=[secret], **common)
        ask = client_credentials(
            self._login,
            f"{settings.environment_id}/as/token",
            client_id=settings.client_id,
            secret=secret,
            explain=lambda _answer: "Check client id, secret and environment id of the worker application, and region",
        )
        self._grant = Grant(ask)
        self._http = Http(
            settings.url or f"https://api.pingone.{settings.region}/v1",
            credential=self._grant,
            throttling=Throttling(classify=by_status(429)),
            rate=settings.rate,
            **common,
        )
        self._mark = Watermark()

    def accounts(self) -> Iterator[Page]:
        """Every user of the environment, in whatever population."""
        self._mark = Watermark(shape=self._shape())
        yield from self._users({})

    def groups(self) -> Iterator[Page]:
        """Every group, each page followed by the direct users of its groups, and by the groups they are in."""
        self._mark.groups = ()
        for turn in self._listing("groups", "groups", {}):
            page = page_of("groups", turn, to_group)
            yield page
            groups = [str(row["native_id"]) for row in page.rows if isinstance(row, Mapping)]
            self._mark.groups += tuple(groups)
            for group, turns in begun(groups, self._members):
                for each in turns:
                    yield edges_of(group, each, lambda user: (text_id(user), "user"))
            if self.settings.nested:
                for group, turns in begun(groups, self._parents):
                    for each in turns:
                        yield _nesting(group, each)

    def memberships(self) -> Iterator[Page]:
        """Nothing more: groups bring their members along. Says where the next read goes on."""
        yield Page("memberships", [], 0, cursor_after=self._mark.cursor())

    def delta(self, cursor: str) -> Iterator[Page]:
        """Users that changed, and all groups anew. CursorLost when users are fewer than they must be."""
        held = self._mark = Watermark.of(cursor, self._shape(), self._place)
        now, known = self._count({}), held.groups
        fresh = sum(
            str(each.get("createdAt")) > str(held.created)
            for turn in self._listing("users", "users", {"filter": f'createdAt ge "{held.created}"'})
            for each in turn.items
        )
        held.proves_nobody_deleted(now, fresh, self._place)
        held.count = now
        yield from self._users({"filter": f'updatedAt ge "{held.since()}"'}, counting=False)
        for page in self.groups():
            yield whole(page) if page.object == "groups" else page
        if gone := vanished("groups", known, held.groups):
            yield gone
        yield Page("memberships", [], 0, cursor_after=held.cursor())

    def one(self, native_id: str) -> Iterator[Page]:
        """The user as they are now. Not found proves nothing."""
        path = self._path(f"users/{quote(native_id, safe='')}")
        answer = self._http.request("GET", path, ok=(200, 400, 404))
        if answer.status == 200:
            yield page_of("accounts", Turn([answer.json()]), self._account)

    def check(self) -> Iterator[Finding]:
        """Whether users and groups may be read, and what a full read will cost."""
        counts: dict[str, int] = {}
        for what in ("users", "groups"):
            try:
                counts[what] = next(self._listing(what, what, {"limit": "1"})).total or 0
            except OnefoldError as error:
                yield Finding("error", what, error.problem, error.remedy or "")
                continue
            yield Finding("ok" if counts[what] else "warning", what, f"{counts[what]} may be read")
        text = "PingOne does not say which roles a worker has: `Identity Data Read Only` is enough, any `Admin` is too much"
        yield Finding("ok", "permission", text)
        requests = sum(math.ceil(each / PAGE) for each in counts.values())
        requests += counts.get("groups", 0) * (2 if self.settings.nested else 1)
        yield Finding("ok", "cost", f"a full read takes at least {requests} requests")

    def close(self) -> None:
        """Lets go of connections."""
        self._login.close()
        self._http.close()

    def _account(self, user: Mapping[str, Any]) -> dict[str, object]:
        return to_account(user, employee_number=self.settings.employee_number)

    def _users(self, query: Mapping[str, str], *, counting: bool = True) -> Iterator[Page]:
        for turn in self._listing("users", "users", query):
            self._mark.saw(turn.items, updated="updatedAt", created="createdAt")
            if counting and self._mark.count is None:
                self._mark.count = turn.total
            elif not counting:
                turn.total = (
                    None  # the count of a filtered listing can be wrong (contract: identity-sources.md section 4)
                )
            yield page_of("accounts", turn, self._account)

    def _members(self, group: str) -> Iterator[Turn]:
        return self._listing("users", "users", {"filter": f'memberOfGroups[id eq "{group}"]'}, what="/users in a group")

    def _parents(self, group: str) -> Iterator[Turn]:
        return self._listing(f"groups/{quote(group, safe='')}/memberOfGroups", "groupMemberships", {})

    def _count(self, query: Mapping[str, str]) -> int | None:
        return next(self._listing("users", "users", {"limit": "1", **query})).total

    def _path(self, path: str) -> str:
        return f"environments/{self.settings.environment_id}/{path}"

    def _listing(self, path: str, key: str, query: Mapping[str, str], *, what: str | None = None) -> Iterator[Turn]:
        """Pages by `_links.next`, whose rows are `_embedded.{key}`. A `count` is held against what came by the runner."""

        def fetch(url: str) -> Turn:
            answer = self._http.request("GET", url)
            body = answer.json()
            rows = body.get("_embedded", {}).get(key) if isinstance(body, dict) else None
            if rows is None and isinstance(body, dict) and body.get("count") == 0:
                rows = []
            if not isinstance(rows, list):
                raise TerminalError(
                    f"{answer.what} gave no list of {key}", remedy="Check url and environment_id", **self._place
                )
            follow = body.get("_links", {}).get("next", {})
            href = follow.get("href") if isinstance(follow, dict) else None
            total = body.get("count")
            return Turn(
                rows,
                next=href if isinstance(href, str) and href else None,
                total=total if isinstance(total, int) and not isinstance(total, bool) else None,
            )

        return followed(f"{self._path(path)}?{urlencode({'limit': PAGE, **query})}", fetch, what=what or f"/{path}")

    def _shape(self) -> str:
        return f"{self.settings.environment_id} {self.settings.employee_number or ''} {self.settings.nested}"


def _nesting(group: str, turn: Turn) -> Page:
    """What groups a group is in, as edges of those groups."""
    found = edges_of(group, turn, lambda parent: (text_id(parent), "group"))
    rows = [
        {"group_id": row["member_id"], "member_id": group, "member_kind": "group"}
        for row in found.rows
        if isinstance(row, Mapping)
    ]
    return Page("memberships", rows, found.received, rejected=found.rejected, warnings=found.warnings, gaps=found.gaps)
