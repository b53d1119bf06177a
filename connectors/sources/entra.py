"""Reads one Microsoft Entra ID tenant through Microsoft Graph v1.0: users, groups and direct members by delta. Counting and judging are the runner's."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from itertools import chain
from typing import Annotated, ClassVar, Literal
from urllib.parse import quote

from pydantic import BaseModel, Field, model_validator

from connectors.assertions import Algorithm
from connectors.paging import Ahead, Turn
from connectors.source import CursorLost, Finding, Page, Row, SourceContext, source
from connectors.sources._entra_check import findings
from connectors.sources._entra_graph import GraphClient
from connectors.sources._entra_records import (
    GROUP_SELECT,
    NEVER_NULL,
    USER_SELECT,
    account_page,
    edge_page,
    group_page,
)
from core.settings import SecretRef, Strict

Guid = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")]


class EntraSettings(Strict):
    """What is special to an Entra tenant."""

    tenant_id: str = Field(pattern=r"^[A-Za-z0-9.\-]+$", description="directory (tenant) id")
    client_id: Guid = Field(description="application (client) id of the app registration")
    client_secret: SecretRef | None = None
    certificate: SecretRef | None = Field(
        default=None, description="PEM with the private key and its certificate, instead of client_secret"
    )
    algorithm: Algorithm = Field(default="PS256", description="how the certificate's key signs")
    cloud: Literal["global", "usgov", "dod", "china"] = "global"
    url: str | None = Field(default=None, description="Microsoft Graph down to its version; default by cloud")
    login_url: str | None = Field(default=None, description="where tokens are given; default by cloud")
    resource: str | None = Field(default=None, description="whom tokens are for; default: url without its version")
    groups: tuple[Guid, ...] = Field(
        default=(), max_length=50, description="object ids of the only groups to read; default: all"
    )
    app: Guid | None = Field(
        default=None, description="application (client) id of an enterprise app: whom it is assigned to becomes a group"
    )
    deleted: bool = Field(default=True, description="a full read also reads deleted users: their absence is explicit")
    proxy: str | None = None
    ca_bundle: str | None = None
    rate: float | None = Field(default=None, gt=0, description="requests per second; default: as Graph's headers allow")

    @model_validator(mode="after")
    def _one_proof(self) -> EntraSettings:
        if (self.client_secret is None) == (self.certificate is None):
            raise ValueError("give either client_secret or certificate")
        return self


@source
class Entra:
    """One tenant. Both rounds of deltas are read side by side, each page fetched while the one before it is landed."""

    Settings: ClassVar[type[BaseModel]] = EntraSettings
    needs: ClassVar[tuple[str, ...]] = (
        "User.Read.All (application)",
        "GroupMember.Read.All (application)",
        "Application.Read.All (application), only with `app`",
        "Member.Read.Hidden (application), only for groups whose membership is hidden",
    )
    full_every: ClassVar[timedelta] = timedelta(days=6)  # links of deltas live seven days
    last_word_counts: ClassVar[bool] = True  # a round may tell of an object several times

    def __init__(self, settings: EntraSettings, context: SourceContext) -> None:
        self.settings = settings
        self.graph = GraphClient(settings, context)
        self._now = context.now
        self._links: dict[str, str] = {}
        self._rounds: dict[str, Ahead[Turn]] = {}

    def accounts(self) -> Iterator[Page]:
        """Deleted users first, then everybody: whoever was restored in between is told of later, which counts."""
        self._begin({})
        binned: set[str] = set()  # of whom the bin tells more than the round does
        if self.settings.deleted:
            bin_ = "directory/deletedItems/microsoft.graph.user"
            for turn in self.graph.listing(bin_, f"/{bin_}", **{"$select": "id,deletedDateTime"}):
                rows: list[Row] = [
                    {"native_id": each["id"], "tombstone": True, "deleted_at": each.get("deletedDateTime")}
                    for each in turn.items
                ]
                binned |= {str(each["native_id"]) for each in rows}
                yield Page("accounts", rows, len(rows), gaps=turn.gaps, warnings=turn.warnings)
        for turn in self._round("users"):
            total = self.graph.count("users") if turn.body else None
            told = [each for each in turn.items if not _told(each, binned)]
            yield account_page(told, total=total, gaps=turn.gaps, warnings=turn.warnings)

    def groups(self) -> Iterator[Page]:
        """Every group, each page followed by the slices of members that came with it."""
        missing = set(self.settings.groups)
        for turn in self._round("groups"):
            total = self.graph.count("groups") if turn.body and not self.settings.groups else None
            if total is not None and self.settings.app:
                total += 1  # the app, which comes as a group
            missing -= {each.get("id") for each in turn.items if isinstance(each, dict) and "@removed" not in each}
            if turn.body:
                turn.warnings += [f"group {each} of `groups` is not there" for each in sorted(missing)]
            yield group_page(turn.items, total=total, gaps=turn.gaps, warnings=turn.warnings)
            yield edge_page(turn.items)

    def memberships(self) -> Iterator[Page]:
        """Whom the app is assigned to; then where the next read starts."""
        yield from self._assigned()
        yield Page("memberships", [], 0, cursor_after=self._cursor())

    def delta(self, cursor: str) -> Iterator[Page]:
        """What moved since. CursorLost when the vendor forgot where we were, or when we would read other things today.

        The first pages of both rounds are there before anything is yielded: a lost cursor is found out in time.
        """
        held = json.loads(cursor)
        if held.get("shape") != self._shape():
            raise CursorLost(
                "permissions or settings of this tenant changed since the last read",
                remedy="Nothing to do: everything is read",
                **self.graph.place,
            )
        self._begin(held)
        users, groups = self._round("users"), self._round("groups")
        first_users, first_groups = next(users), next(groups)
        for turn in chain([first_users], users):
            yield account_page(turn.items, gaps=turn.gaps, warnings=turn.warnings)
        for turn in chain([first_groups], groups):
            yield group_page(turn.items, gaps=turn.gaps, warnings=turn.warnings)
            yield edge_page(turn.items)
        yield from self._assigned()
        yield Page("memberships", [], 0, cursor_after=self._cursor())

    def one(self, native_id: str) -> Iterator[Page]:
        """The user as they are now, else their tombstone where they lie in the bin. A single user shows null for what was never set: here it is left out."""
        place = quote(native_id, safe="")
        answer = self.graph.one(f"users/{place}?$select={USERS}", ok=(200, 404))
        if answer.status == 200:
            user = answer.json()
            told = {name: value for name, value in user.items() if value is not None or name in NEVER_NULL}
            if user.get("id") == native_id:  # Graph also takes a user name here
                yield account_page([told], gaps=[], warnings=[])
            return
        answer = self.graph.one(f"directory/deletedItems/{place}?$select=id,deletedDateTime", ok=(200, 404))
        if answer.status == 200 and answer.json().get("id") == native_id:
            gone = {"native_id": native_id, "tombstone": True, "deleted_at": answer.json().get("deletedDateTime")}
            yield Page("accounts", [gone], 1)

    def check(self) -> Iterator[Finding]:
        """Permissions, expiry, and what a full read will cost."""
        yield from findings(self.graph, self.settings, self._now, select={"users": USERS, "groups": GROUPS})

    def close(self) -> None:
        """Lets go of connections and of what was read ahead."""
        for each in self._rounds.values():
            each.close()
        self._rounds.clear()
        self.graph.close()

    def _begin(self, links: Mapping[str, str]) -> None:
        """Starts both rounds, from these links or from nothing."""
        for each in self._rounds.values():
            each.close()
        self.graph.grant.headers()  # one login, before two threads need it
        only = {"$filter": " or ".join(f"id eq '{each}'" for each in self.settings.groups)}
        queries = {"users": {"$select": USERS}, "groups": {"$select": GROUPS, **(only if self.settings.groups else {})}}
        self._links = {}
        self._rounds = {
            kind: Ahead(lambda kind=kind, query=query: self.graph.round(kind, links.get(kind), **query))  # type: ignore[misc]  # a lambda's defaults have no types
            for kind, query in queries.items()
        }

    def _round(self, kind: str) -> Iterator[Turn]:
        for turn in self._rounds[kind]:
            if turn.body:
                self._links[kind] = turn.body
            yield turn

    def _cursor(self) -> str | None:
        """Both links in one, with what they depend on. None, hence a full read, when a round had no end."""
        if set(self._links) != {"users", "groups"}:
            return None
        return json.dumps({"shape": self._shape(), **self._links}, sort_keys=True)

    def _shape(self) -> str:
        """A digest of all that decides what a round shows: properties, scope, and the token's permissions."""
        roles = sorted(map(str, self.graph.grant.claims().get("roles", ())))
        parts = [USERS, GROUPS, sorted(self.settings.groups), self.settings.app, roles]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]

    def _assigned(self) -> Iterator[Page]:
        """The app as a group of those it is assigned to: users, and the *direct* users of assigned groups (nested ones have no access).

        All its members come with every read, so that they replace those of before.
        """
        if self.settings.app is None:
            return
        found = self.graph.one(f"servicePrincipals(appId='{self.settings.app}')?$select=id,displayName").json()
        app: str = found["id"]
        row: Row = {"native_id": app, "name": found.get("displayName"), "kind": "app", "members_complete": True}
        yield Page("groups", [row], 1)
        groups: list[str] = []
        gaps: list[str] = []
        users: set[str] = set()
        path = f"servicePrincipals/{app}/appRoleAssignedTo"
        for turn in self.graph.listing(path, f"/{path}"):
            gaps += turn.gaps
            users |= {each["principalId"] for each in turn.items if each.get("principalType") == "User"}
            groups += [each["principalId"] for each in turn.items if each.get("principalType") == "Group"]
        inside = {each: f"groups/{each}/members/microsoft.graph.user?$select=id&$top=999" for each in groups}
        for group, first in self.graph.batch(inside):
            users |= {each["id"] for each in first.items}
            if first.next:
                for turn in self.graph.further(first.next, f"/groups/{group}/members"):
                    gaps += turn.gaps
                    users |= {each["id"] for each in turn.items}
        rows: list[Row] = [{"group_id": app, "member_id": each, "member_kind": "user"} for each in sorted(users)]
        yield Page("memberships", rows, len(rows), gaps=gaps)


def _told(user: object, binned: set[str]) -> bool:
    """Whether this is a removal of somebody who was found in the bin."""
    return isinstance(user, dict) and "@removed" in user and user.get("id") in binned


USERS, GROUPS = ",".join(USER_SELECT), ",".join(GROUP_SELECT)
