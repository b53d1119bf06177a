"""Jira Data Center by REST v2 (10.3 and 11): users, groups, one call an edge. Wire: docs/vendors/jira_dc.md.

The remote id of a user is its key, which never changes; of a group its name, because Jira has no other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import quote

from pydantic import BaseModel, Field

from connectors.datacenter import DataCenter, DataCenterSettings
from connectors.source import Finding
from connectors.target import (
    Capabilities,
    RemoteGroup,
    RemotePage,
    RemoteUser,
    Seats,
    TargetContext,
    target,
)
from core.errors import RefusedError, TransientError
from core.model import Outcome, Receipt, Verb
from core.names import fold

NO_CHANGE = "no.value.found.to.be.changed"  # 400 of a PUT that changes nothing (JRASERVER-36639)
MEMBERS = 50  # the most a page of /group/member holds
SEARCH_CAP = 100  # of /user/search in Jira 10 (JRASERVER-78520); 1000 before
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789._-@"
DEEPEST = 4  # letters of a search prefix
FIELDS = {"user_name": "name", "display_name": "displayName", "email": "emailAddress"}


class JiraSettings(DataCenterSettings):
    """What is special to Jira Data Center."""

    applications: tuple[str, ...] = Field(
        default=("jira-software",), description="applications whose default groups a new user joins; [] for none"
    )
    admin_groups: tuple[str, ...] = ("jira-administrators", "jira-system-administrators")


@target
class JiraDc(DataCenter):
    """One Jira Data Center instance."""

    Settings: ClassVar[type[BaseModel]] = JiraSettings
    product: ClassVar[str] = "Jira"
    needs: ClassVar[tuple[str, ...]] = (
        "a personal access token of a user with the global permission Jira Administrators",
    )
    attributes: ClassVar[tuple[str, ...]] = tuple(FIELDS)
    verbs: ClassVar[frozenset[str]] = frozenset(verb.value for verb in Verb)

    def __init__(self, settings: JiraSettings, context: TargetContext) -> None:
        super().__init__(settings, context, base="/rest/api/2")
        self.settings = settings
        self._able: Capabilities | None = None
        self._admins: set[str] | None = None
        self._roles: list[dict[str, Any]] | None = None

    # --- what it is

    def capabilities(self) -> Capabilities:
        """Version, own account, and whether all users can be listed. RefusedError when we are nobody or no administrator."""
        if self._able is None:
            info = self.thing(self.ask("GET", "serverInfo"))
            me = self.thing(self.ask("GET", "myself"))
            self._applicationroles()
            listing = self.ask("GET", "user/list", params={"maxResults": 1}, ok=(200, 404, 405)).status == 200
            notes = () if listing else ("no /user/list (before 10.3's late patches): users are looked up by name",)
            self._able = Capabilities(
                product="Jira Data Center",
                version=str(info.get("version", "unknown")),
                own_account=str(me.get("name", "")),
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

    def seats(self) -> Sequence[Seats]:
        """Seats of the applications that new users get."""
        found = []
        for role in self._applicationroles(anew=True):
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

    # --- what it holds

    def users(self) -> Iterator[RemotePage]:
        """All users, inactive ones too, by cursor; where Jira has none, what searches by prefix find."""
        if not self.capabilities().complete_listing:
            yield from self._searched()
            return
        seen: set[str] = set()
        cursor: str | None = None
        while True:
            params: dict[str, Any] = {"maxResults": max(self.page_size, 1000)}
            if cursor is not None:
                params["cursor"] = cursor
            answer = self.ask("GET", "user/list", params=params)
            body = self.thing(answer)
            rows = self.listed(body.get("values"), answer.what)
            users = [self._user(row) for row in rows]
            self.fresh((user.remote_id for user in users), seen, answer.what)
            yield RemotePage(users=users, received=len(rows))
            last, following = body.get("isLast"), body.get("nextCursor")
            if last is True:
                return
            if not following or following == cursor or not rows:
                raise TransientError(
                    f"{answer.what} ended without saying so after {len(seen)} users",
                    remedy="Read it again; nothing is concluded from it",
                    **self.place,
                )
            cursor = str(following)

    def _searched(self) -> Iterator[RemotePage]:
        seen: set[str] = set()
        prefixes = list(LETTERS)
        while prefixes:
            prefix = prefixes.pop(0)
            params = {
                "username": prefix, "includeInactive": "true", "includeActive": "true", "startAt": 0, "maxResults": 1000,
            }  # fmt: skip
            answer = self.ask("GET", "user/search", params=params)
            rows = self.listed(answer.json(), answer.what)
            if len(rows) >= SEARCH_CAP and len(prefix) < DEEPEST:
                prefixes += [prefix + letter for letter in LETTERS]
            users = [user for user in map(self._user, rows) if user.remote_id not in seen]
            seen |= {user.remote_id for user in users}
            yield RemotePage(users=users, received=len(rows))

    def user(self, *, remote_id: str | None = None, user_name: str | None = None) -> RemoteUser | None:
        """One user by key or name."""
        params = {"key": remote_id} if remote_id is not None else {"username": user_name}
        answer = self.ask("GET", "user", params=params, ok=(200, 404))
        if answer.status == 404:
            return None
        row = self.thing(answer)
        return None if row.get("deleted") is True else self._user(row)

    def groups(self) -> Iterator[RemotePage]:
        """All groups. The picker shows a part and tells the total; the rest is asked for letter by letter."""
        found: dict[str, RemoteGroup] = {}
        total = self._picked("", found)
        for letter in LETTERS:
            if len(found) >= total:
                break
            self._picked(letter, found)
        if len(found) < total:
            raise RefusedError(
                f"the group picker shows {len(found)} of {total} groups",
                field="groups",
                remedy="Raise Jira's property jira.ajax.autocomplete.limit above the number of groups",
                **self.place,
            )
        yield RemotePage(groups=list(found.values()), received=len(found), total=total)

    def _picked(self, query: str, found: dict[str, RemoteGroup]) -> int:
        answer = self.ask("GET", "groups/picker", params={"query": query, "maxResults": 10_000})
        body = self.thing(answer)
        rows = self.listed(body.get("groups"), answer.what)
        implicit = {
            fold(str(name))
            for role in self._applicationroles()
            if role.get("key") in self.settings.applications
            for name in role.get("defaultGroups", ())
        }
        admins = {fold(name) for name in self.settings.admin_groups}
        for row in rows:
            name = str(row["name"])
            found[name] = RemoteGroup(name, name, grants_admin=fold(name) in admins, implicit=fold(name) in implicit)
        total = body.get("total")
        return total if isinstance(total, int) else len(rows)

    def members(self, group: RemoteGroup) -> Iterator[RemotePage]:
        """Keys of the members, those of subgroups among them: Jira cannot tell them apart."""
        seen: set[str] = set()
        while True:
            params = {
                "groupname": group.name,
                "includeInactiveUsers": "true",
                "startAt": len(seen),
                "maxResults": MEMBERS,
            }
            answer = self.ask("GET", "group/member", params=params)
            body = self.thing(answer)
            rows = self.listed(body.get("values"), answer.what)
            keys = [str(row["key"]) for row in rows]
            self.fresh(keys, seen, f"{answer.what} of {group.name}")
            total = body.get("total")
            yield RemotePage(members=keys, received=len(rows), total=total)
            whole = isinstance(total, int) and len(seen) >= total
            if whole or body.get("isLast") is True or not rows:
                if isinstance(total, int) and len(seen) != total:
                    raise self.short(f"{answer.what} of {group.name}", len(seen), total)
                return

    def groups_of(self, user: RemoteUser) -> Sequence[str]:
        """Names of the user's groups."""
        answer = self.ask("GET", "user", params={"key": user.remote_id, "expand": "groups"}, ok=(200, 404))
        if answer.status == 404:
            return ()
        shown = self.thing(answer).get("groups") or {}
        names = [str(each["name"]) for each in self.listed(shown.get("items", []), answer.what)]
        if isinstance(shown.get("size"), int) and shown["size"] > len(names):
            raise self.short(f"{answer.what}, groups", len(names), shown["size"])
        return names

    # --- what it is told

    def create_user(self, values: Mapping[str, str | None]) -> Receipt:
        """Creates; the application access is always said, because Jira's default is not ours."""
        name = values.get("user_name") or ""
        body: dict[str, Any] = {
            FIELDS[key]: value for key, value in values.items() if key in FIELDS and value is not None
        }
        if not self.capabilities().complete_listing and (there := self.user(user_name=name)) is not None:
            return Receipt(Outcome.ALREADY, there.remote_id, "found when looking before creating")
        body.setdefault("displayName", name)  # Jira demands one, and nobody said any
        body |= {"applicationKeys": list(self.settings.applications), "notification": False}
        answer = self.ask("POST", "user", json=body, ok=(201, 400), about=name)
        if answer.status == 201:
            return Receipt(Outcome.APPLIED, str(self.thing(answer)["key"]))
        there = self.user(user_name=name)
        if there is None:
            raise self.rejected(answer, name)
        return Receipt(Outcome.ALREADY, there.remote_id, "a user of that name exists", 2)

    def update_user(self, user: RemoteUser, values: Mapping[str, str | None]) -> Receipt:
        """Sets what is given."""
        body = {FIELDS[key]: value for key, value in values.items() if key in FIELDS and key != "user_name"}
        return self._put(user, body)

    def deactivate_user(self, user: RemoteUser) -> Receipt:
        """Deactivates, then ends the sessions: a session outlives its user's deactivation."""
        receipt = self._put(user, {"active": False})
        name = self.name_of(user)
        self.ask("DELETE", f"user/session/{quote(name, safe='')}", ok=(200, 204, 403, 404))
        return Receipt(receipt.outcome, receipt.remote_id, receipt.detail, receipt.requests + 1)

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
        there = self.ask("GET", "group/member", params={"groupname": name, "maxResults": 1}, ok=(200, 404, 400))
        if there.status != 200:
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
        answer = self.ask("PUT", "user", params={"key": user.remote_id}, json=body, ok=(200, 400, 404), about=label)
        if answer.status == 200:
            return Receipt(Outcome.APPLIED, user.remote_id)
        if answer.status == 400 and NO_CHANGE in answer.message:
            return Receipt(Outcome.ALREADY, user.remote_id, "nothing to change")
        raise self.rejected(answer, label)

    def _label(self, user: RemoteUser) -> str:
        return user.values.get("user_name") or user.remote_id

    def _user(self, row: dict[str, Any]) -> RemoteUser:
        if not isinstance(row.get("key"), str) or not isinstance(row.get("name"), str):
            raise TransientError("a user without key or name came", remedy="Read it again later", **self.place)
        values = {ours: row[theirs] for ours, theirs in FIELDS.items() if theirs in row}
        active = row.get("active")
        return RemoteUser(row["key"], active if isinstance(active, bool) else None, values, self._protection(row))

    def _protection(self, row: dict[str, Any]) -> str | None:
        if fold(row["name"]) == fold(self.capabilities().own_account):
            return "Onefold's own account"
        return "administrator" if row["key"] in self._administrators() else None

    def _administrators(self) -> set[str]:
        if self._admins is None:
            self._admins = set()
            found: set[str] = set()
            for name in self.settings.admin_groups:
                there = self.ask("GET", "group/member", params={"groupname": name, "maxResults": 1}, ok=(200, 404, 400))
                if there.status == 200:
                    for page in self.members(RemoteGroup(name, name)):
                        found.update(page.members)
            self._admins = found
        return self._admins

    def _applicationroles(self, *, anew: bool = False) -> list[dict[str, Any]]:
        if self._roles is None or anew:
            answer = self.ask("GET", "applicationrole")
            self._roles = self.listed(answer.json(), answer.what)
        return self._roles
