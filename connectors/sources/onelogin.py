"""Reads one OneLogin account through API version 2: users, and roles as groups with their direct users. Counting and judging are the runner's."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, ClassVar, Literal
from urllib.parse import quote

from pydantic import BaseModel, Field

from connectors.answer import Answer
from connectors.increments import Watermark
from connectors.pacing import number
from connectors.paging import Turn, begun
from connectors.records import edges_of, page_of, text_id, vanished, whole
from connectors.source import Finding, Page, Row, SourceContext, source
from connectors.sources._onelogin_client import PAGE, OneLoginClient, counted
from connectors.sources._onelogin_records import FIELDS, to_account, to_role
from core.errors import OnefoldError
from core.settings import SecretRef, Strict


class OneLoginSettings(Strict):
    """What is special to a OneLogin account."""

    url: str = Field(description="https://SUBDOMAIN.onelogin.com")
    client_id: str = Field(min_length=1, description="id of an API credential of scope `Read users`")
    client_secret: SecretRef
    employee_number: str | None = Field(
        default=None, description="field that holds the HR number: external_id, or custom_attributes.NAME"
    )
    proxy: str | None = None
    ca_bundle: str | None = None
    rate: float | None = Field(default=None, gt=0, description="requests per second; default: as the quota allows")


@source
class OneLogin:
    """One account. A read that goes on (`updated_since`) sees no deletions: a count that fell short means a full read."""

    Settings: ClassVar[type[BaseModel]] = OneLoginSettings
    needs: ClassVar[tuple[str, ...]] = ("API credential of scope `Read users` (users, roles and their users)",)
    full_every: ClassVar[timedelta] = timedelta(days=7)
    last_word_counts: ClassVar[bool] = False

    def __init__(self, settings: OneLoginSettings, context: SourceContext) -> None:
        self.settings = settings
        self.client = OneLoginClient(settings, context)
        self._mark = Watermark()

    def accounts(self) -> Iterator[Page]:
        """Every user, whatever their status."""
        self._mark = Watermark(shape=self._shape())
        yield from self._read_users({})

    def groups(self) -> Iterator[Page]:
        """Every role, each page followed by the users of its roles."""
        self._mark.groups = ()
        for turn in self.client.listing("api/2/roles"):
            page = page_of("groups", turn, to_role)
            yield page
            roles = [str(row["native_id"]) for row in page.rows if isinstance(row, dict)]
            self._mark.groups += tuple(roles)
            yield from self._members(roles)

    def memberships(self) -> Iterator[Page]:
        """Nothing more: roles bring their users along. Says where the next read goes on."""
        yield Page("memberships", [], 0, cursor_after=self._mark.cursor())

    def delta(self, cursor: str) -> Iterator[Page]:
        """Users that changed, and all roles anew, since a role does not say when its users changed.

        CursorLost when users are fewer than they must be: somebody was deleted, and only a full read tells who.
        """
        held = self._mark = Watermark.of(cursor, self._shape(), self.client.place)
        now, known = self.client.count("users"), held.groups
        held.proves_nobody_deleted(now, self._created_since(str(held.created)), self.client.place)
        held.count = now
        yield from self._read_users({"updated_since": held.since()}, counting=False)
        for page in self.groups():
            yield whole(page) if page.object == "groups" else page
        if gone := vanished("groups", known, held.groups):
            yield gone
        yield Page("memberships", [], 0, cursor_after=held.cursor())

    def one(self, native_id: str) -> Iterator[Page]:
        """The user as they are now. Not found proves nothing."""
        answer = self.client.http.request("GET", f"api/2/users/{quote(native_id, safe='')}", ok=(200, 404))
        if answer.status == 200:
            yield page_of("accounts", Turn([answer.json()]), self._account)

    def check(self) -> Iterator[Finding]:
        """Whether users and roles may be read, what is left of the quota, and what a full read will cost."""
        counts: dict[str, int] = {}
        for what in ("users", "roles"):
            try:
                answer = self.client.http.request("GET", f"api/2/{what}?limit=1")
            except OnefoldError as error:
                yield Finding("error", f"{what}", error.problem, error.remedy or "")
                continue
            counts[what] = counted(answer) or 0
            yield Finding("ok" if counts[what] else "warning", what, f"{counts[what]} may be read")
            yield from _quota(answer, what)
        text = "a OneLogin credential does not say its scope; `Read users` is enough, `Manage all` is too much"
        yield Finding("ok", "permission", text)
        requests = math.ceil(counts.get("users", 0) / PAGE) + math.ceil(counts.get("roles", 0) / PAGE)
        requests += counts.get("roles", 0)
        yield Finding("ok", "cost", f"a full read takes at least {requests} requests of 5,000 an hour")

    def close(self) -> None:
        """Lets go of connections."""
        self.client.close()

    def _read_users(self, since: Mapping[str, str], *, counting: bool = True) -> Iterator[Page]:
        for turn in self.client.listing("api/2/users", fields=",".join(FIELDS), **since):
            self._mark.saw(turn.items, updated="updated_at", created="created_at")
            if counting:
                self._mark.count = turn.total
            else:
                turn.total = None
            yield page_of("accounts", turn, self._account)

    def _members(self, roles: list[str]) -> Iterator[Page]:
        def users(role: str) -> Iterator[Turn]:
            return self.client.listing(f"api/2/roles/{role}/users", what="/roles/…/users")

        for role, turns in begun(roles, users):
            for turn in turns:
                yield edges_of(role, turn, lambda each: (text_id(each), "user"))

    def _account(self, user: Mapping[str, Any]) -> Row:
        return to_account(user, employee_number=self.settings.employee_number)

    def _created_since(self, moment: str) -> int:
        """How many users that are there now were created after it."""
        turns = self.client.listing("api/2/users", fields="id,created_at", created_since=moment)
        return sum(str(each.get("created_at")) > moment for turn in turns for each in turn.items)

    def _shape(self) -> str:
        return self.settings.employee_number or ""


def _quota(answer: Answer, what: str) -> Iterator[Finding]:
    left, limit = (number(answer.headers.get(f"x-ratelimit-{name}")) for name in ("remaining", "limit"))
    if left is not None and limit:
        level: Literal["ok", "warning"] = "warning" if left < limit / 10 else "ok"
        yield Finding(level, f"{what} quota", f"{left:,.0f} of {limit:,.0f} requests are left this hour")
