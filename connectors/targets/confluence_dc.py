"""Confluence Data Center by REST (8.4 and later; built for 10): users, groups, one call an edge. Wire: docs/vendors/confluence_dc.md.

The remote id of a user is its userKey; of a group its name. Addresses can be written and never be read.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal
from urllib.parse import parse_qsl, quote, urlsplit

from pydantic import BaseModel, Field

from connectors.datacenter import DataCenter, DataCenterSettings
from connectors.source import Finding
from connectors.target import Capabilities, RemoteGroup, RemotePage, RemoteUser, TargetContext, target
from core.errors import RefusedError, TerminalError, TransientError
from core.model import Outcome, Receipt, Verb
from core.names import fold

UNFIT = set("\\,+<>'\"")  # characters that a user name must not hold (REST reference, create user)
STATES = {"current": True, "active": True, "deactivated": False, "disabled": False, "inactive": False}
LONG_TASK_SECONDS = 120.0
POLL_SECONDS = 0.5


class ConfluenceSettings(DataCenterSettings):
    """What is special to Confluence Data Center."""

    users_from: Literal["own"] = Field(
        default="own", description="where its users live; `jira` and `crowd` are not built yet"
    )
    default_groups: tuple[str, ...] = Field(
        default=("confluence-users",), description="groups into which Confluence itself puts users it creates"
    )
    admin_groups: tuple[str, ...] = ("confluence-administrators",)
    notify: bool = Field(default=False, description="let Confluence mail new users a link to set a password")


@target
class ConfluenceDc(DataCenter):
    """One Confluence Data Center instance."""

    Settings: ClassVar[type[BaseModel]] = ConfluenceSettings
    product: ClassVar[str] = "Confluence"
    needs: ClassVar[tuple[str, ...]] = (
        "a personal access token of a user with the permission Confluence Administrator",
    )
    attributes: ClassVar[tuple[str, ...]] = ("user_name", "display_name", "email")
    verbs: ClassVar[frozenset[str]] = frozenset(verb.value for verb in Verb) - {Verb.RENAME_USER.value}

    def __init__(self, settings: ConfluenceSettings, context: TargetContext) -> None:
        super().__init__(settings, context, base="/rest/api")
        self.settings = settings
        self._able: Capabilities | None = None
        self._admins: set[str] | None = None

    # --- what it is

    def capabilities(self) -> Capabilities:
        """Version and own account. RefusedError when we are nobody or no administrator."""
        if self._able is None:
            me = self.thing(self.ask("GET", "user/current"))
            name = me.get("username")
            if me.get("type") == "anonymous" or not isinstance(name, str):
                raise RefusedError(
                    "we are nobody there", field="token", remedy="The token is wrong, expired or revoked", **self.place
                )
            self.ask("GET", "user/list", params={"start": 0, "limit": 1})  # 403 when we are no administrator
            info = self.ask("GET", "settings/systemInfo", ok=(200, 403, 404))
            version = self.thing(info).get("version") if info.status == 200 else None
            self._able = Capabilities(
                product="Confluence Data Center",
                version=str(version or "unknown"),
                own_account=name,
                complete_listing=True,
                attributes=self.attributes,
                unreadable=("email",),
                notes=("addresses cannot be read: drift is not seen, and adoption pairs by user_name",),
            )
        return self._able

    def check(self) -> Iterator[Finding]:
        """What the credential may do."""
        subject, able = str(self.place["target"]), self.capabilities()
        yield Finding("ok", subject, f"may list all users as {able.own_account}")
        for note in able.notes:
            yield Finding("ok", subject, note)

    def refuses_user_name(self, user_name: str) -> str | None:
        """Confluence takes lower case without spaces and some signs; anything else fails at creation."""
        if not user_name.strip():
            return "it is empty"
        if user_name != user_name.lower():
            return "only lower case is accepted"
        if any(letter.isspace() for letter in user_name):
            return "it holds a space"
        if bad := sorted(UNFIT & set(user_name)):
            return f"it holds {' '.join(bad)}"
        return "it is reserved" if user_name == "anonymous" else None

    def refuses_group_name(self, name: str) -> str | None:
        """A slash breaks every call that has the name in its path (CONFSERVER-54066)."""
        if not name.strip():
            return "it is empty"
        return "it holds a slash, which no call can carry" if {"/", "\\"} & set(name) else None

    # --- what it holds

    def users(self) -> Iterator[RemotePage]:
        """All users, disabled and unlicensed ones too."""
        seen: set[str] = set()
        for rows, what in self._pages("user/list", {"expand": "status"}):
            users = [self._user(row) for row in rows]
            self.fresh((user.remote_id for user in users), seen, what)
            yield RemotePage(users=users, received=len(rows))

    def user(self, *, remote_id: str | None = None, user_name: str | None = None) -> RemoteUser | None:
        """One user by key or name."""
        who = {"key": remote_id} if remote_id is not None else {"username": user_name}
        answer = self.ask("GET", "user", params={**who, "expand": "status"}, ok=(200, 404))
        if answer.status == 404:
            return None
        row = self.thing(answer)
        return None if row.get("type") in {"anonymous", "unknown"} else self._user(row)

    def groups(self) -> Iterator[RemotePage]:
        """All groups."""
        admins = {fold(name) for name in self.settings.admin_groups}
        implicit = {fold(name) for name in self.settings.default_groups}
        seen: set[str] = set()
        for rows, what in self._pages("group", {}):
            names = [str(row["name"]) for row in rows]
            self.fresh(names, seen, what)
            groups = [
                RemoteGroup(name, name, grants_admin=fold(name) in admins, implicit=fold(name) in implicit)
                for name in names
            ]
            yield RemotePage(groups=groups, received=len(rows))

    def members(self, group: RemoteGroup) -> Iterator[RemotePage]:
        """Keys of the members."""
        seen: set[str] = set()
        for rows, what in self._pages(f"group/{quote(group.name, safe='')}/member", {}):
            keys = [str(row["userKey"]) for row in rows]
            self.fresh(keys, seen, what)
            yield RemotePage(members=keys, received=len(rows))

    def groups_of(self, user: RemoteUser) -> Sequence[str]:
        """Names of the user's groups."""
        return [str(row["name"]) for rows, _ in self._pages("user/memberof", {"key": user.remote_id}) for row in rows]

    # --- what it is told

    def create_user(self, values: Mapping[str, str | None]) -> Receipt:
        """Creates with a random password that nobody keeps, or lets Confluence mail the user."""
        name = values.get("user_name") or ""
        body: dict[str, Any] = {
            "userName": name,
            "fullName": values.get("display_name") or name,
            "email": values.get("email") or "",
        }
        body |= {"notifyViaEmail": True} if self.settings.notify else {"password": secrets.token_urlsafe(32)}
        answer = self.ask("POST", "admin/user", json=body, ok=(201, 400, 402, 409), about=name)
        if answer.status == 201:
            return Receipt(Outcome.APPLIED, str(self.thing(answer)["userKey"]))
        if answer.status == 402:
            raise RefusedError(
                f"the licence has no seat left: {answer.message}", object=name, remedy="Free or buy seats", **self.place
            )
        there = self.user(user_name=name)
        if there is None:
            raise self.rejected(answer, name)
        return Receipt(Outcome.ALREADY, there.remote_id, "a user of that name exists", 2)

    def update_user(self, user: RemoteUser, values: Mapping[str, str | None]) -> Receipt:
        """Sets the full name and the address."""
        fields = {"display_name": "fullName", "email": "email"}
        body = {fields[key]: value for key, value in values.items() if key in fields and value is not None}
        name = self.name_of(user)
        answer = self.ask("PUT", f"admin/user/{quote(name, safe='')}", json=body, ok=(204, 200, 400, 404), about=name)
        if answer.status in {400, 404}:
            raise self.rejected(answer, name)
        return Receipt(Outcome.APPLIED, user.remote_id)

    def deactivate_user(self, user: RemoteUser) -> Receipt:
        """Disables; Confluence ends the sessions of disabled users itself."""
        return self._switch(user, "disable")

    def reactivate_user(self, user: RemoteUser) -> Receipt:
        """The opposite."""
        return self._switch(user, "enable")

    def delete_user(self, user: RemoteUser) -> Receipt:
        """Deletes and waits for the long task."""
        name = self.name_of(user)
        answer = self.ask("DELETE", f"admin/user/{quote(name, safe='')}", ok=(202, 404), about=name)
        if answer.status == 404:
            return Receipt(Outcome.ALREADY, user.remote_id)
        body = self.thing(answer)
        task = body.get("id") or str((body.get("links") or {}).get("status", "")).rpartition("/")[2]
        until = time.monotonic() + LONG_TASK_SECONDS
        while task and time.monotonic() < until:
            state = self.thing(self.ask("GET", f"longtask/{quote(str(task), safe='')}"))
            if state.get("percentageComplete") == 100:
                if state.get("successful") is False:
                    raise TerminalError(f"was not deleted: {state.get('messages')}", object=name, **self.place)
                return Receipt(Outcome.APPLIED, user.remote_id)
            time.sleep(POLL_SECONDS)
        return Receipt(Outcome.UNKNOWN, user.remote_id, "the long task did not end")

    def create_group(self, name: str) -> Receipt:
        """Creates."""
        answer = self.ask(
            "POST", "admin/group", json={"name": name, "type": "group"}, ok=(200, 201, 400, 409), safe=True, about=name
        )
        if answer.status in {200, 201}:
            return Receipt(Outcome.APPLIED, name)
        there = self.ask("GET", f"group/{quote(name, safe='')}", ok=(200, 404))
        if there.status != 200:
            raise self.rejected(answer, name)
        return Receipt(Outcome.ALREADY, name, "exists", 2)

    def delete_group(self, group: RemoteGroup) -> Receipt:
        """Deletes."""
        answer = self.ask("DELETE", f"admin/group/{quote(group.name, safe='')}", ok=(204, 400, 404), about=group.name)
        if answer.status == 400:
            raise self.rejected(answer, group.name)
        return Receipt(Outcome.ALREADY if answer.status == 404 else Outcome.APPLIED, group.remote_id)

    def add_member(self, group_name: str, user: RemoteUser) -> Receipt:
        """Adds; says 204 whether there was something to add or not."""
        return self._edge("PUT", group_name, user)

    def remove_member(self, group_name: str, user: RemoteUser) -> Receipt:
        """Removes."""
        return self._edge("DELETE", group_name, user)

    # --- the wire

    def _edge(self, method: str, group_name: str, user: RemoteUser) -> Receipt:
        name = self.name_of(user)
        path = f"user/{quote(name, safe='')}/group/{quote(group_name, safe='')}"
        answer = self.ask(method, path, ok=(204, 200, 400, 404), about=f"{name} in {group_name}")
        if answer.status in {400, 404}:
            raise self.rejected(answer, f"{name} in {group_name}")
        return Receipt(Outcome.APPLIED, user.remote_id)

    def _switch(self, user: RemoteUser, word: str) -> Receipt:
        name = self.name_of(user)
        answer = self.ask("PUT", f"admin/user/{quote(name, safe='')}/{word}", ok=(204, 200, 400, 404), about=name)
        if answer.status in {400, 404}:
            raise self.rejected(answer, name)
        return Receipt(Outcome.APPLIED, user.remote_id)

    def _pages(self, path: str, params: Mapping[str, Any]) -> Iterator[tuple[list[dict[str, Any]], str]]:
        """Pages in order of `_links.next`, whose own parameters count: the server lowers limits it does not like."""
        asked: dict[str, Any] = {**params, "start": 0, "limit": self.page_size}
        received = 0
        while True:
            answer = self.ask("GET", path, params=asked)
            body = self.thing(answer)
            rows = self.listed(body.get("results"), answer.what)
            received += len(rows)
            yield rows, answer.what
            following = (body.get("_links") or {}).get("next")
            total = body.get("totalCount")
            if not following:
                if isinstance(total, int) and received < total:
                    raise self.short(answer.what, received, total)
                return
            if not rows:
                raise TransientError(
                    f"{answer.what} gave an empty page with another behind it", remedy="Read it again", **self.place
                )
            asked = {**params, **dict(parse_qsl(urlsplit(str(following)).query))}

    def _user(self, row: dict[str, Any]) -> RemoteUser:
        key, name = row.get("userKey"), row.get("username")
        if not isinstance(key, str) or not isinstance(name, str):
            raise TransientError("a user without userKey or username came", remedy="Read it again later", **self.place)
        values = {"user_name": name}
        if isinstance(row.get("displayName"), str):
            values["display_name"] = row["displayName"]
        return RemoteUser(key, STATES.get(str(row.get("status", "")).lower()), values, self._protection(key, name))

    def _protection(self, key: str, name: str) -> str | None:
        if fold(name) == fold(self.capabilities().own_account):
            return "Onefold's own account"
        if self._admins is None:
            self._admins = set()
            found: set[str] = set()
            for group in self.settings.admin_groups:
                there = self.ask("GET", f"group/{quote(group, safe='')}", ok=(200, 404))
                if there.status == 200:
                    for page in self.members(RemoteGroup(group, group)):
                        found.update(page.members)
            self._admins = found
        return "administrator" if key in self._admins else None
