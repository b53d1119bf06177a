"""What Confluence Data Center shows: users, groups and members by page, and who administers. Writes are in `confluence_dc`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Literal
from urllib.parse import parse_qsl, quote, urlsplit

from pydantic import Field

from connectors.datacenter import DataCenterSettings
from connectors.target import Capabilities, RemoteGroup, RemotePage, RemoteUser, TargetContext
from connectors.targets._guarded import Guarded
from core.errors import TerminalError, TransientError
from core.names import fold

STATES = {"current": True, "active": True, "deactivated": False, "disabled": False, "inactive": False}
SLASHES = frozenset("/\\")  # in a path they break every call, however they are written (CONFSERVER-54066)
DOTS = frozenset({".", ".."})  # as a part of a path they name another path


class ConfluenceSettings(DataCenterSettings):
    """What is special to Confluence Data Center."""

    page_size: int = Field(default=200, ge=1, le=1000, description="rows asked for at once; the server may give fewer")
    users_from: Literal["own"] = Field(
        default="own", description="where its users live; `jira` and `crowd` are not built yet"
    )
    default_groups: tuple[str, ...] = Field(
        default=("confluence-users",), description="groups into which Confluence itself puts users it creates"
    )
    admin_groups: tuple[str, ...] = Field(
        default=("confluence-administrators",),
        min_length=1,
        description="groups whose members, and those of their subgroups, are never touched",
    )
    notify: bool = Field(default=False, description="let Confluence mail new users a link to set a password")


class ConfluenceReads(Guarded):
    """What changes nothing."""

    product = "Confluence"

    def __init__(self, settings: ConfluenceSettings, context: TargetContext) -> None:
        super().__init__(settings, context, base="/rest/api")
        self.settings = settings

    def capabilities(self) -> Capabilities:
        """Filled in by the target."""
        raise NotImplementedError(self.product)

    # --- users

    def users(self) -> Iterator[RemotePage]:
        """All users, disabled and unlicensed ones too."""
        seen: set[str] = set()
        names: set[str] = set()
        what = "user/list"
        for rows, what in self._pages("user/list", {"expand": "status"}):
            users = [self._user(row, what) for row in rows]
            self.fresh((user.remote_id for user in users), seen, what)
            names.update(str(user.values["user_name"]) for user in users)
            yield RemotePage(users=users, received=len(rows))
        self.holds_us(names, self.capabilities().own_account, what)

    def user(self, *, remote_id: str | None = None, user_name: str | None = None) -> RemoteUser | None:
        """One user by key or name."""
        who = {"key": remote_id} if remote_id is not None else {"username": user_name}
        answer = self.ask("GET", "user", params={**who, "expand": "status"}, ok=(200, 404))
        if answer.status == 404:
            return None
        row = self.thing(answer)
        return None if row.get("type") in {"anonymous", "unknown"} else self._user(row, answer.what)

    def _user(self, row: dict[str, Any], what: str) -> RemoteUser:
        key, name = self.text(row, "userKey", what), self.text(row, "username", what)
        values: dict[str, str | None] = {"user_name": name}
        if isinstance(row.get("displayName"), str):
            values["display_name"] = row["displayName"]
        why = self.protection(key, name, self.capabilities().own_account)
        return RemoteUser(key, STATES.get(str(row.get("status", "")).lower()), values, why)

    # --- groups

    def groups(self) -> Iterator[RemotePage]:
        """All groups."""
        admins = {fold(group.name) for group in self.admin_groups()}
        admins |= {fold(name) for name in self.settings.admin_groups}
        implicit = {fold(name) for name in self.settings.default_groups}
        seen: set[str] = set()
        for rows, what in self._pages("group", {}):
            names = [self.text(row, "name", what) for row in rows]
            self.fresh(names, seen, what)
            groups = [
                RemoteGroup(name, name, grants_admin=fold(name) in admins, implicit=fold(name) in implicit)
                for name in names
            ]
            yield RemotePage(groups=groups, received=len(rows))

    def admin_groups(self) -> Iterator[RemoteGroup]:
        """Those of the setting that exist, and their subgroups, whose members are administrators too."""
        waiting, seen = list(self.settings.admin_groups), set[str]()
        while waiting:
            name = waiting.pop(0)
            if fold(name) in seen or self.ask("GET", f"group/{self.part(name)}", ok=(200, 404)).status == 404:
                continue
            seen.add(fold(name))
            yield RemoteGroup(name, name, grants_admin=True)
            for rows, what in self._pages(f"group/{self.part(name)}/groupmember", {}, ok=(200, 404)):
                waiting += [self.text(row, "name", what) for row in rows]

    def members(self, group: RemoteGroup) -> Iterator[RemotePage]:
        """Keys of the direct members. None of a group that no call can carry: no call can write to it either."""
        if not group.grants_admin and self.uncarried(group.name):
            return
        seen: set[str] = set()
        for rows, what in self._pages(f"group/{self.part(group.name)}/member", {}, about=group.name):
            keys = [self.text(row, "userKey", what) for row in rows]
            self.fresh(keys, seen, what)
            yield RemotePage(members=keys, received=len(rows))

    def groups_of(self, user: RemoteUser) -> Sequence[str]:
        """Names of the user's groups."""
        names: list[str] = []
        for rows, what in self._pages("user/memberof", {"key": user.remote_id}):
            names += [self.text(row, "name", what) for row in rows]
        return names

    # --- the wire

    def prove(self) -> None:
        """Only administrators may read members of a group (10 and later)."""
        name = self.part(self.settings.admin_groups[0])
        self.ask("GET", f"group/{name}/member", params={"start": 0, "limit": 1}, ok=(200, 404))

    def uncarried(self, name: str) -> str | None:
        """Why no call can have that name in its path, or None."""
        if SLASHES & set(name):
            return "it holds a slash, which no call can carry"
        return "it is a path of its own" if name in DOTS else None

    def part(self, name: str) -> str:
        """A name as a part of a path. TerminalError where that would be another path."""
        if why := self.uncarried(name):
            raise TerminalError(f"cannot be named in a call: {why}", object=name, remedy="Rename it", **self.place)
        return quote(name, safe="")

    def _pages(
        self, path: str, params: Mapping[str, Any], about: str | None = None, ok: Collection[int] = (200,)
    ) -> Iterator[tuple[list[dict[str, Any]], str]]:
        """Pages in order of `_links.next`, whose own parameters count: the server lowers limits it does not like.

        Where `ok` has 404, a path that is not there has no pages.
        """
        asked: dict[str, Any] = {**params, "start": 0, "limit": self.page_size}
        received = 0
        while True:
            answer = self.ask("GET", path, params=asked, ok=ok, about=about)
            if answer.status == 404:
                return
            body = self.thing(answer)
            rows = self.listed(body.get("results"), answer.what)
            received += len(rows)
            if isinstance(body.get("size"), int) and body["size"] != len(rows):
                raise self.short(f"a page of {answer.what}", len(rows), body["size"])
            yield rows, answer.what
            following = (body.get("_links") or {}).get("next")
            total = body.get("totalCount")
            if not following:
                if isinstance(total, int) and received != total:
                    raise self.short(answer.what, received, total)
                return
            then = {**params, **dict(parse_qsl(urlsplit(str(following)).query))}
            if not rows or str(then.get("start")) == str(asked["start"]):
                raise TransientError(
                    f"{answer.what} gave {'an empty page' if not rows else 'the same page'} with another behind it",
                    object=about,
                    remedy="Read it again; nothing is concluded from it",
                    **self.place,
                )
            asked = then
