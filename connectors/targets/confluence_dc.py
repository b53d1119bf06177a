"""Confluence Data Center by REST (8.4 and later; built for 10): users, groups, one call an edge. Wire: docs/vendors/confluence_dc.md.

The remote id of a user is its userKey; of a group its name. Addresses can be written and never be read.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from pydantic import BaseModel

from connectors.source import Finding
from connectors.target import Capabilities, RemoteGroup, RemoteUser, TargetContext, target
from connectors.targets._confluence_reads import ConfluenceReads, ConfluenceSettings
from core.errors import RefusedError, TerminalError
from core.model import Outcome, Receipt, Verb
from core.names import fold

UNFIT = set("\\,+<>'\"")  # characters that a user name must not hold (REST reference, create user)
LONG_TASK_SECONDS = 120.0
POLL_SECONDS = 0.5


@target
class ConfluenceDc(ConfluenceReads):
    """One Confluence Data Center instance."""

    Settings: ClassVar[type[BaseModel]] = ConfluenceSettings
    product: ClassVar[str] = "Confluence"
    needs: ClassVar[tuple[str, ...]] = (
        "a personal access token of a user with the permission Confluence Administrator",
    )
    attributes: ClassVar[tuple[str, ...]] = ("user_name", "display_name", "email")
    verbs: ClassVar[frozenset[str]] = frozenset(verb.value for verb in Verb) - {Verb.RENAME_USER.value}

    def __init__(self, settings: ConfluenceSettings, context: TargetContext) -> None:
        super().__init__(settings, context)
        self._able: Capabilities | None = None

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
            self.prove()
            if self.ask("GET", "user/list", params={"start": 0, "limit": 1}, ok=(200, 404)).status == 404:
                raise RefusedError(
                    "it cannot list its users: it is older than 8.4", remedy="Update Confluence", **self.place
                )
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
        yield from self.blind(able.own_account)

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
        if why := self.uncarried(user_name):
            return why
        return "it is reserved" if user_name == "anonymous" else None

    def refuses_group_name(self, name: str) -> str | None:
        """A slash breaks every call that has the name in its path (CONFSERVER-54066)."""
        if not name.strip() or len(name) > 255:
            return "it must have 1 to 255 characters"
        return self.uncarried(name)

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
        answer = self.ask("POST", "admin/user", json=body, ok=(201, 400, 409), about=name)
        if answer.status == 201:
            return Receipt(Outcome.APPLIED, self.text(self.thing(answer), "userKey", answer.what))
        there = self.user(user_name=name)
        if there is None:
            raise self.rejected(answer, name)
        return Receipt(Outcome.ALREADY, there.remote_id, "a user of that name exists", 2)

    def update_user(self, user: RemoteUser, values: Mapping[str, str | None]) -> Receipt:
        """Sets the full name and the address. A null is sent as an empty text, so that Confluence says what it thinks of it."""
        fields = {"display_name": "fullName", "email": "email"}
        body = {fields[key]: value or "" for key, value in values.items() if key in fields}
        if not body:
            return Receipt(Outcome.ALREADY, user.remote_id, "nothing that Confluence holds", 0)
        name = self.name_of(user)
        answer = self.ask("PUT", f"admin/user/{self.part(name)}", json=body, ok=(204, 200, 400, 404), about=name)
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
        answer = self.ask("DELETE", f"admin/user/{self.part(name)}", ok=(202, 404), about=name)
        if answer.status == 404:
            return Receipt(Outcome.ALREADY, user.remote_id)
        body = self.thing(answer)
        task = (
            body.get("id")
            or str((body.get("links") or {}).get("status", "")).removesuffix("/status").rpartition("/")[2]
        )
        return self._awaited(user, name, str(task))

    def _awaited(self, user: RemoteUser, name: str, task: str) -> Receipt:
        """The receipt of a deletion: what its long task says, and what a look says where the task is gone."""
        until, polls = time.monotonic() + LONG_TASK_SECONDS, 0
        while task and time.monotonic() < until:
            polls += 1
            answer = self.ask("GET", f"longtask/{self.part(task)}", ok=(200, 404))
            if answer.status == 404:
                break
            state = self.thing(answer)
            if state.get("percentageComplete") == 100:
                if state.get("successful") is False:
                    raise TerminalError(f"was not deleted: {state.get('messages')}", object=name, **self.place)
                return Receipt(Outcome.APPLIED, user.remote_id, requests=polls + 1)
            time.sleep(POLL_SECONDS)
        if self.user(remote_id=user.remote_id) is None:
            return Receipt(Outcome.APPLIED, user.remote_id, "gone when looking", polls + 2)
        return Receipt(Outcome.UNKNOWN, user.remote_id, "the long task did not end", polls + 2)

    def create_group(self, name: str) -> Receipt:
        """Creates."""
        answer = self.ask(
            "POST", "admin/group", json={"name": name, "type": "group"}, ok=(200, 201, 400, 409), safe=True, about=name
        )
        if answer.status in {200, 201}:
            return Receipt(Outcome.APPLIED, name)
        there = self.ask("GET", f"group/{self.part(name)}", ok=(200, 404))
        if there.status != 200:
            raise self.rejected(answer, name)
        return Receipt(Outcome.ALREADY, name, "exists", 2)

    def delete_group(self, group: RemoteGroup) -> Receipt:
        """Deletes."""
        answer = self.ask("DELETE", f"admin/group/{self.part(group.name)}", ok=(204, 400, 404), about=group.name)
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
        path = f"user/{self.part(name)}/group/{self.part(group_name)}"
        answer = self.ask(method, path, ok=(204, 200, 400, 404), about=f"{name} in {group_name}")
        if answer.status not in {400, 404}:
            return Receipt(Outcome.APPLIED, user.remote_id)
        if method == "DELETE" and not self._is_in(group_name, user):
            return Receipt(Outcome.ALREADY, user.remote_id, "is no member", 2)
        raise self.rejected(answer, f"{name} in {group_name}")

    def _is_in(self, group_name: str, user: RemoteUser) -> bool:
        """Whether the user is a member; one who is gone is none."""
        if self.user(remote_id=user.remote_id) is None:
            return False
        return fold(group_name) in {fold(each) for each in self.groups_of(user)}

    def _switch(self, user: RemoteUser, word: str) -> Receipt:
        name = self.name_of(user)
        answer = self.ask("PUT", f"admin/user/{self.part(name)}/{word}", ok=(204, 200, 400, 404), about=name)
        if answer.status in {400, 404}:
            raise self.rejected(answer, name)
        return Receipt(Outcome.APPLIED, user.remote_id)
