"""Jira Data Center by REST v2 (10.3 and 11): users, groups, one call an edge. Wire: docs/vendors/jira_dc.md.

The remote id of a user is its key, which never changes; of a group its name, because Jira has no other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import quote

from pydantic import BaseModel

from connectors.datacenter import DataCenter
from connectors.source import Finding
from connectors.target import Capabilities, RemoteGroup, RemoteUser, Seats, TargetContext, target
from connectors.targets._jira_reads import FIELDS, JiraReads, JiraSettings
from core.errors import RefusedError
from core.model import Outcome, Receipt, Verb
from core.names import fold

NO_CHANGE = "no.value.found.to.be.changed"  # 400 of a PUT that changes nothing (JRASERVER-36639)


@target
class JiraDc(JiraReads):
    """One Jira Data Center instance."""

    Settings: ClassVar[type[BaseModel]] = JiraSettings
    product: ClassVar[str] = "Jira"
    needs: ClassVar[tuple[str, ...]] = (
        "a personal access token of a user with the global permission Jira Administrators",
    )
    attributes: ClassVar[tuple[str, ...]] = tuple(FIELDS)
    verbs: ClassVar[frozenset[str]] = frozenset(verb.value for verb in Verb)

    def __init__(self, settings: JiraSettings, context: TargetContext) -> None:
        super().__init__(settings, context)
        self._able: Capabilities | None = None

    # --- what it is

    def capabilities(self) -> Capabilities:
        """Version, own account, and whether all users can be listed. RefusedError when we are nobody or no administrator."""
        if self._able is None:
            info = self.thing(self.ask("GET", "serverInfo"))
            me = self.thing(self.ask("GET", "myself"))
            if not isinstance(me.get("name"), str):
                raise RefusedError(
                    "we are nobody there", field="token", remedy="The token is wrong, expired or revoked", **self.place
                )
            self.prove()
            # Past our own `ask`: what answers an unknown path with 404 may be a web page, and that is an answer here.
            probe = DataCenter.ask(self, "GET", "user/list", params={"maxResults": 1}, ok=(200, 404, 405))
            listing = probe.status == 200
            notes = () if listing else ("no /user/list (before 10.3's late patches): users are looked up by name",)
            self._able = Capabilities(
                product="Jira Data Center",
                version=str(info.get("version", "unknown")),
                own_account=me["name"],
                complete_listing=listing,
                attributes=self.attributes,
                notes=notes,
            )
        return self._able

    def check(self) -> Iterator[Finding]:
        """What the credential may do, and the seats that are left."""
        subject = str(self.place["target"])
        able = self.capabilities()
        yield Finding("ok", subject, f"is Jira administrator as {able.own_account}")
        for seats in self.seats():
            left = "unlimited" if seats.total is None else f"{seats.remaining} of {seats.total} seats left"
            yield Finding("ok" if seats.remaining != 0 else "warning", subject, f"{seats.application}: {left}")
        for note in able.notes:
            yield Finding("warning", subject, note, "Update to the newest 10.3 or to 11")
        yield from self.blind(able.own_account)
        if shadows := self._shadows():
            yield Finding(
                "warning",
                subject,
                f"{shadows} user names exist in more than one directory; writes reach only the first",
                "See /rest/api/2/user/duplicated/list, and remove the copies",
            )

    def _shadows(self) -> int:
        """User names in more than one directory; 0 where Jira cannot say."""
        answer = self.ask("GET", "user/duplicated/count", ok=(200, 403, 404))
        body = answer.json() if answer.status == 200 else 0
        return body if isinstance(body, int) else 0

    def seats(self) -> Sequence[Seats]:
        """Seats of the applications that new users get."""
        found = []
        for role in self.applicationroles(anew=True):
            if role.get("key") in self.settings.applications:
                unlimited = role.get("hasUnlimitedSeats") or role.get("numberOfSeats") in {None, -1}
                total = None if unlimited else int(role["numberOfSeats"])
                found.append(Seats(str(role["key"]), total, None if unlimited else int(role.get("remainingSeats", 0))))
        return found

    def refuses_user_name(self, user_name: str) -> str | None:
        """Jira takes almost every name."""
        if not user_name.strip() or len(user_name) > 255:
            return "it must have 1 to 255 characters"
        return "it must not hold < > or &" if set(user_name) & set("<>&") else None

    def refuses_group_name(self, name: str) -> str | None:
        """Jira takes almost every name."""
        return "it must have 1 to 255 characters" if not name.strip() or len(name) > 255 else None

    # --- what it is told

    def create_user(self, values: Mapping[str, str | None]) -> Receipt:
        """Creates; the application access is always said, because Jira's default is not ours."""
        name = values.get("user_name") or ""
        body: dict[str, Any] = {
            FIELDS[key]: value for key, value in values.items() if key in FIELDS and value is not None
        }
        looks = 0 if self.capabilities().complete_listing else 1
        if looks and (there := self.user(user_name=name)) is not None:
            return Receipt(Outcome.ALREADY, there.remote_id, "found when looking before creating", looks)
        body.setdefault("displayName", name)  # Jira demands one, and nobody said any
        body |= {"applicationKeys": list(self.settings.applications), "notification": False}
        answer = self.ask("POST", "user", json=body, ok=(201, 400), about=name)
        if answer.status == 201:
            return Receipt(Outcome.APPLIED, self.text(self.thing(answer), "key", answer.what), requests=looks + 1)
        there = self.user(user_name=name)
        if there is None:
            raise self.rejected(answer, name)
        return Receipt(Outcome.ALREADY, there.remote_id, "a user of that name exists", looks + 2)

    def update_user(self, user: RemoteUser, values: Mapping[str, str | None]) -> Receipt:
        """Sets what is given. A null is sent as an empty text: Jira takes null for "leave it", and would say that it is done."""
        body = {FIELDS[key]: value or "" for key, value in values.items() if key in FIELDS and key != "user_name"}
        return self._put(user, body)

    def deactivate_user(self, user: RemoteUser) -> Receipt:
        """Deactivates, then ends the sessions: a session outlives its user's deactivation."""
        receipt = self._put(user, {"active": False})
        name = self.name_of(user)
        answer = self.ask("DELETE", f"user/session/{quote(name, safe='')}", ok=(200, 204, 403, 404))
        detail = "its sessions could not be ended (403)" if answer.status == 403 else receipt.detail
        return Receipt(receipt.outcome, receipt.remote_id, detail, receipt.requests + 1)

    def reactivate_user(self, user: RemoteUser) -> Receipt:
        """The opposite."""
        return self._put(user, {"active": True})

    def rename_user(self, user: RemoteUser, user_name: str) -> Receipt:
        """Another name for the same key."""
        return self._put(user, {"name": user_name})

    def delete_user(self, user: RemoteUser) -> Receipt:
        """Deletes; Jira refuses where the user still leads or owns something."""
        answer = self.ask("DELETE", "user", params={"key": user.remote_id}, ok=(204, 400, 404), about=self._label(user))
        if answer.status == 400:
            raise self.rejected(answer, self._label(user))
        outcome = Outcome.ALREADY if answer.status == 404 else Outcome.APPLIED
        return Receipt(outcome, user.remote_id)

    def create_group(self, name: str) -> Receipt:
        """Creates; 400 is also Jira's word for a group that is there."""
        answer = self.ask("POST", "group", json={"name": name}, ok=(201, 400), safe=True, about=name)
        if answer.status == 201:
            return Receipt(Outcome.APPLIED, name)
        if not self.has_group(name):
            raise self.rejected(answer, name)
        return Receipt(Outcome.ALREADY, name, "exists", 2)

    def delete_group(self, group: RemoteGroup) -> Receipt:
        """Deletes."""
        answer = self.ask("DELETE", "group", params={"groupname": group.name}, ok=(200, 400, 404), about=group.name)
        if answer.status == 400:
            raise self.rejected(answer, group.name)
        return Receipt(Outcome.ALREADY if answer.status == 404 else Outcome.APPLIED, group.remote_id)

    def add_member(self, group_name: str, user: RemoteUser) -> Receipt:
        """Adds; 400 is also Jira's word for a member who is there."""
        name = self.name_of(user)
        answer = self.ask(
            "POST",
            "group/user",
            params={"groupname": group_name},
            json={"name": name},
            ok=(201, 400),
            safe=True,
            about=f"{name} in {group_name}",
        )
        if answer.status == 201:
            return Receipt(Outcome.APPLIED, user.remote_id)
        if fold(group_name) not in {fold(each) for each in self.groups_of(user)}:
            raise self.rejected(answer, f"{name} in {group_name}")
        return Receipt(Outcome.ALREADY, user.remote_id, "is a member", 2)

    def remove_member(self, group_name: str, user: RemoteUser) -> Receipt:
        """Removes."""
        name = self.name_of(user)
        answer = self.ask(
            "DELETE",
            "group/user",
            params={"groupname": group_name, "username": name},
            ok=(200, 400, 404),
            about=f"{name} in {group_name}",
        )
        if answer.status == 200:
            return Receipt(Outcome.APPLIED, user.remote_id)
        if fold(group_name) in {fold(each) for each in self.groups_of(user)}:
            raise self.rejected(answer, f"{name} in {group_name}")
        return Receipt(Outcome.ALREADY, user.remote_id, "is no member", 2)

    # --- the wire

    def _put(self, user: RemoteUser, body: Mapping[str, Any]) -> Receipt:
        label = self._label(user)
        if not body:
            return Receipt(Outcome.ALREADY, user.remote_id, "nothing that Jira holds", 0)
        answer = self.ask("PUT", "user", params={"key": user.remote_id}, json=body, ok=(200, 400, 404), about=label)
        if answer.status == 200:
            return Receipt(Outcome.APPLIED, user.remote_id)
        if answer.status == 400 and NO_CHANGE in answer.message:
            return Receipt(Outcome.ALREADY, user.remote_id, "nothing to change")
        raise self.rejected(answer, label)

    def _label(self, user: RemoteUser) -> str:
        return user.values.get("user_name") or user.remote_id
