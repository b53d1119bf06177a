"""What Jira Data Center shows: users by cursor or by prefix, groups by the picker, members by page. Writes are in `jira_dc`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import Field

from connectors.datacenter import DataCenterSettings
from connectors.target import Capabilities, RemoteGroup, RemotePage, RemoteUser, TargetContext
from connectors.targets._guarded import Guarded
from core.errors import RefusedError, TransientError
from core.names import fold

MEMBERS = 50  # the most a page of /group/member holds
PICKED = 10_000  # groups asked of the picker; the server's own limit is below
SEARCH_PAGE = 1000
SEARCH_CAP = 100  # of /user/search in Jira 10 (JRASERVER-78520); 1000 before
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789._-@"
DEEPEST = 4  # letters of a search prefix
ADMIN_LABEL = "ADMIN"  # of a group in the picker (REST reference, GroupLabelBean)
FIELDS = {"user_name": "name", "display_name": "displayName", "email": "emailAddress"}


class JiraSettings(DataCenterSettings):
    """What is special to Jira Data Center."""

    page_size: int = Field(default=1000, ge=1, le=2000, description="users asked for at once; 2000 is Jira's most")
    applications: tuple[str, ...] = Field(
        default=("jira-software",), description="applications whose default groups a new user joins; [] for none"
    )
    admin_groups: tuple[str, ...] = Field(
        default=("jira-administrators", "jira-system-administrators"),
        description="groups whose members are never touched, beside those that Jira itself marks as administrators'",
    )


class JiraReads(Guarded):
    """What changes nothing."""

    product = "Jira"

    def __init__(self, settings: JiraSettings, context: TargetContext) -> None:
        super().__init__(settings, context, base="/rest/api/2")
        self.settings = settings
        self._roles: list[dict[str, Any]] | None = None

    def capabilities(self) -> Capabilities:
        """Filled in by the target."""
        raise NotImplementedError(self.product)

    # --- users

    def users(self) -> Iterator[RemotePage]:
        """All users, inactive ones too, by cursor; where Jira has none, what searches by prefix find."""
        able = self.capabilities()
        if not able.complete_listing:
            yield from self._searched()
            return
        seen: set[str] = set()
        names: set[str] = set()
        cursor: str | None = None
        while True:
            params: dict[str, Any] = {"maxResults": self.page_size}
            if cursor is not None:
                params["cursor"] = cursor
            answer = self.ask("GET", "user/list", params=params)
            body = self.thing(answer)
            users = [self._user(row, answer.what) for row in self.listed(body.get("values"), answer.what)]
            self.fresh((user.remote_id for user in users), seen, answer.what)
            names.update(str(user.values["user_name"]) for user in users)
            yield RemotePage(users=users, received=len(users))
            last, following = body.get("isLast"), body.get("nextCursor")
            if last is True:
                self.holds_us(names, able.own_account, answer.what)
                return
            if not following or str(following) == cursor or not users:
                raise TransientError(
                    f"{answer.what} ended without saying so after {len(seen)} users",
                    remedy="Read it again; nothing is concluded from it",
                    **self.place,
                )
            cursor = str(following)

    def _searched(self) -> Iterator[RemotePage]:
        """Whom searches by the first letters find. Nobody concludes anything from who is not among them."""
        seen: set[str] = set()
        prefixes = list(LETTERS)
        while prefixes:
            prefix = prefixes.pop(0)
            params = {"username": prefix, "includeInactive": "true", "includeActive": "true", "startAt": 0}
            answer = self.ask("GET", "user/search", params={**params, "maxResults": SEARCH_PAGE})
            rows = self.listed(answer.json(), answer.what)
            if len(rows) >= SEARCH_CAP and len(prefix) < DEEPEST:
                prefixes += [prefix + letter for letter in LETTERS]
            users = [user for user in (self._user(row, answer.what) for row in rows) if user.remote_id not in seen]
            seen |= {user.remote_id for user in users}
            yield RemotePage(users=users, received=len(rows))

    def user(self, *, remote_id: str | None = None, user_name: str | None = None) -> RemoteUser | None:
        """One user by key or name."""
        params = {"key": remote_id} if remote_id is not None else {"username": user_name}
        answer = self.ask("GET", "user", params=params, ok=(200, 404))
        if answer.status == 404:
            return None
        row = self.thing(answer)
        return None if row.get("deleted") is True else self._user(row, answer.what)

    def _user(self, row: dict[str, Any], what: str) -> RemoteUser:
        key, name = self.text(row, "key", what), self.text(row, "name", what)
        values = {ours: row[theirs] for ours, theirs in FIELDS.items() if theirs in row}
        active = row.get("active")
        why = self.protection(key, name, self.capabilities().own_account)
        return RemoteUser(key, active if isinstance(active, bool) else None, values, why)

    # --- groups

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
        """Adds groups that the picker shows to `found`; returns how many it says there are."""
        answer = self.ask("GET", "groups/picker", params={"query": query, "maxResults": PICKED})
        body = self.thing(answer)
        rows = self.listed(body.get("groups"), answer.what)
        total = body.get("total")
        if not isinstance(total, int) or total < len(rows):
            raise TransientError(
                f"{answer.what} gave {len(rows)} groups and a total of {total}",
                field="total",
                remedy="Read it again later; nothing is concluded from it",
                **self.place,
            )
        implicit = {
            fold(str(name))
            for role in self.applicationroles()
            if role.get("key") in self.settings.applications
            for name in role.get("defaultGroups", ())
        }
        admins = {fold(name) for name in self.settings.admin_groups}
        for row in rows:
            name = self.text(row, "name", answer.what)
            grants = fold(name) in admins or any(
                each.get("type") == ADMIN_LABEL for each in self.listed(row.get("labels") or [], answer.what)
            )
            found[name] = RemoteGroup(name, name, grants_admin=grants, implicit=fold(name) in implicit)
        return total

    def admin_groups(self) -> Iterator[RemoteGroup]:
        """Those of the setting that exist, and those that the picker's first page marks."""
        names = dict.fromkeys(self.settings.admin_groups)
        shown: dict[str, RemoteGroup] = {}
        self._picked("", shown)
        known = {fold(name) for name in names}
        names |= dict.fromkeys(each for each in shown if shown[each].grants_admin and fold(each) not in known)
        for name in names:
            if self.has_group(name):
                yield RemoteGroup(name, name, grants_admin=True)

    def has_group(self, name: str) -> bool:
        """Whether there is a group of that name."""
        params = {"groupname": name, "maxResults": 1}
        return self.ask("GET", "group/member", params=params, ok=(200, 400, 404)).status == 200

    def members(self, group: RemoteGroup) -> Iterator[RemotePage]:
        """Keys of the members, those of subgroups among them: Jira cannot tell them apart."""
        seen: set[str] = set()
        while True:
            params = {"groupname": group.name, "includeInactiveUsers": "true"}
            answer = self.ask(
                "GET", "group/member", params={**params, "startAt": len(seen), "maxResults": MEMBERS}, about=group.name
            )
            body, what = self.thing(answer), f"{answer.what} of {group.name}"
            keys = [self.text(row, "key", what) for row in self.listed(body.get("values"), what)]
            self.fresh(keys, seen, what)
            total, last = body.get("total"), body.get("isLast")
            yield RemotePage(members=keys, received=len(keys), total=total if isinstance(total, int) else None)
            reached = last is None and isinstance(total, int) and len(seen) >= total
            if last is True or not keys or reached:
                if last is not True and not isinstance(total, int):
                    raise TransientError(
                        f"{what} ended without saying so after {len(seen)} members",
                        object=group.name,
                        remedy="Read it again; nothing is concluded from it",
                        **self.place,
                    )
                if isinstance(total, int) and len(seen) != total:
                    raise self.short(what, len(seen), total)
                return

    def groups_of(self, user: RemoteUser) -> Sequence[str]:
        """Names of the user's groups."""
        answer = self.ask("GET", "user", params={"key": user.remote_id, "expand": "groups"}, ok=(200, 404))
        if answer.status == 404:
            return ()
        shown = self.thing(answer).get("groups") or {}
        names = [self.text(each, "name", answer.what) for each in self.listed(shown.get("items", []), answer.what)]
        if isinstance(shown.get("size"), int) and shown["size"] > len(names):
            raise self.short(f"{answer.what}, groups", len(names), shown["size"])
        return names

    # --- rights and roles

    def prove(self) -> None:
        """Only administrators may read the application roles."""
        self.applicationroles(anew=True)

    def applicationroles(self, *, anew: bool = False) -> list[dict[str, Any]]:
        """Applications with their default groups and seats."""
        if self._roles is None or anew:
            answer = self.ask("GET", "applicationrole")
            self._roles = self.listed(answer.json(), answer.what)
        return self._roles
