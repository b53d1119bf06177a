"""Reads one Auth0 tenant through Management API v2: users, and roles and organizations as groups. Counting and judging are the runner's."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any, ClassVar
from urllib.parse import quote

from pydantic import BaseModel, Field

from connectors.auth import Grant
from connectors.increments import Watermark
from connectors.paging import Turn, begun
from connectors.records import edges_of, page_of, text_id, vanished, whole
from connectors.source import Finding, Page, SourceContext, source
from connectors.sources._auth0_client import PAGE, Auth0Client
from connectors.sources._auth0_records import FIELDS, to_account, to_organization, to_role
from core.errors import OnefoldError
from core.settings import SecretRef, Strict

SCOPES = {
    "users": "read:users",
    "roles": "read:roles",
    "role users": "read:role_members",
    "organizations": "read:organizations",
    "organization members": "read:organization_members",
}


class Auth0Settings(Strict):
    """What is special to an Auth0 tenant."""

    url: str = Field(description="https://TENANT.REGION.auth0.com")
    client_id: str = Field(min_length=1, description="of a machine-to-machine application")
    client_secret: SecretRef
    audience: str | None = Field(
        default=None, description="of the Management API; default: url/api/v2/ (not a custom domain)"
    )
    roles: bool = Field(default=True, description="roles become groups")
    organizations: bool = Field(default=True, description="organizations become groups")
    employee_number: str | None = Field(
        default=None, description="where the HR number is, such as app_metadata.employee_number"
    )
    proxy: str | None = None
    ca_bundle: str | None = None
    rate: float | None = Field(default=None, gt=0, description="requests per second; default: as the limits allow")


@source
class Auth0:
    """One tenant. The listing of users ends after 1,000 rows, so it is read in slices by the time of creation."""

    Settings: ClassVar[type[BaseModel]] = Auth0Settings
    needs: ClassVar[tuple[str, ...]] = tuple(f"{scope} (scope of the application)" for scope in SCOPES.values())
    full_every: ClassVar[timedelta] = timedelta(days=7)

    def __init__(self, settings: Auth0Settings, context: SourceContext) -> None:
        self.settings = settings
        self.client = Auth0Client(settings, context)
        self._mark = Watermark()

    def accounts(self) -> Iterator[Page]:
        """Every user, blocked ones too."""
        self._mark = Watermark(shape=self._shape())
        for turn in self.client.users("created_at", None, FIELDS):
            self._mark.saw(turn.items, updated="updated_at", created="created_at")
            if self._mark.count is None:
                self._mark.count = turn.total
            yield page_of("accounts", turn, self._account, key="user_id", lags=True)

    def groups(self) -> Iterator[Page]:
        """Roles and organizations, each page followed by its users."""
        self._mark.groups = ()
        if self.settings.roles:
            yield from self._grouped(
                self.client.counted("api/v2/roles", "roles", total=not self.settings.organizations),
                to_role,
                lambda role: self.client.checkpoints(f"api/v2/roles/{quote(role, safe='')}/users", "users"),
            )
        if self.settings.organizations:
            yield from self._grouped(
                self.client.checkpoints("api/v2/organizations", "organizations"),
                to_organization,
                lambda each: self.client.checkpoints(f"api/v2/organizations/{quote(each, safe='')}/members", "members"),
            )

    def memberships(self) -> Iterator[Page]:
        """Nothing more: groups bring their users along. Says where the next read goes on."""
        yield Page("memberships", [], 0, cursor_after=self._mark.cursor())

    def delta(self, cursor: str) -> Iterator[Page]:
        """Users that changed, and all groups anew. CursorLost when users are fewer than they must be."""
        held = self._mark = Watermark.of(cursor, self._shape(), self.client.place)
        now, known = self.client.count(None), held.groups
        held.proves_nobody_deleted(now, self.client.count(f"created_at:{{{held.created} TO *]") or 0, self.client.place)
        held.count = now
        for turn in self.client.users("updated_at", held.since(), FIELDS):
            self._mark.saw(turn.items, updated="updated_at", created="created_at")
            turn.total = None
            yield page_of("accounts", turn, self._account, key="user_id")
        for page in self.groups():
            yield whole(page) if page.object == "groups" else page
        if gone := vanished("groups", known, held.groups):
            yield gone
        yield Page("memberships", [], 0, cursor_after=held.cursor())

    def one(self, native_id: str) -> Iterator[Page]:
        """The user as they are now. Not found proves nothing."""
        query = f"fields={','.join(FIELDS)}&include_fields=true"
        answer = self.client.http.request(
            "GET", f"api/v2/users/{quote(native_id, safe='')}?{query}", ok=(200, 400, 404)
        )
        if answer.status == 200:
            yield page_of("accounts", Turn([answer.json()]), self._account, key="user_id")

    def check(self) -> Iterator[Finding]:
        """Scopes that the token has, lacks and has too many of, and what a full read will cost."""
        try:
            users = self.client.count(None) or 0
        except OnefoldError as error:
            yield Finding("error", "login", error.problem, error.remedy or "")
            return
        yield Finding("ok" if users else "warning", "users", f"{users} may be read")
        yield from self._scopes(self.client.grant)
        yield Finding("ok", "cost", f"a full read takes at least {math.ceil(users / PAGE)} requests and one a group")

    def close(self) -> None:
        """Lets go of connections."""
        self.client.close()

    def _scopes(self, grant: Grant) -> Iterator[Finding]:
        held = set(str(grant.claims().get("scope", "")).split())
        if not held:
            yield Finding("warning", "permission", "the token does not say its scopes")
            return
        wanted = {
            what: scope
            for what, scope in SCOPES.items()
            if (self.settings.roles or not what.startswith("role"))
            and (self.settings.organizations or not what.startswith("organization"))
        }
        for what, scope in wanted.items():
            if scope in held:
                yield Finding("ok", "permission", f"{scope}: {what}")
            else:
                remedy = f"Authorize the application for {scope} of the Auth0 Management API"
                yield Finding("error", "permission", f"{scope} is missing: {what} cannot be read", remedy)
        if more := sorted(held - set(SCOPES.values())):
            yield Finding(
                "warning", "permission", f"more than reading needs: {', '.join(more)}", "Take these scopes away"
            )

    def _grouped(
        self,
        turns: Iterator[Turn],
        convert: Callable[[Mapping[str, Any]], dict[str, object]],
        members: Callable[[str], Iterator[Turn]],
    ) -> Iterator[Page]:
        for turn in turns:
            page = page_of("groups", turn, convert)
            yield page
            groups = [str(row["native_id"]) for row in page.rows if isinstance(row, Mapping)]
            self._mark.groups += tuple(groups)
            for group, inside in begun(groups, members):
                for each in inside:
                    yield edges_of(group, each, lambda user: (text_id(user, "user_id"), "user"))

    def _account(self, user: Mapping[str, Any]) -> dict[str, object]:
        return to_account(user, employee_number=self.settings.employee_number)

    def _shape(self) -> str:
        return f"{self.settings.roles} {self.settings.organizations} {self.settings.employee_number or ''}"
