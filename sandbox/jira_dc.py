"""A stand-in of Jira Data Center, REST v2: groups, members, roles, what the server says of itself. Users are in `jira_users`."""

from __future__ import annotations

import html
import re
from typing import Any
from urllib.parse import quote

from sandbox.directory import Group, Role, User, fold
from sandbox.jira_users import SEATS, SYSTEM_ADMINS, JiraUsers
from sandbox.wire import Answer, Request, Route, as_object

VERSIONS = {"8.2": "8.2.6", "9": "9.12.30", "10.0": "10.0.1", "10.3": "10.3.24", "11": "11.0.1", "11.0": "11.0.1"}
MEMBERS = 50  # members in a page, whatever was asked for
PICKED = 20  # groups in an answer of the picker, unless asked for more
GROUP_RANGE = re.compile(r"users\[(\d+):(\d+)\]")
BUILT = "2026-01-15T00:00:00.000+0000"
API = "/rest/api/2"


class JiraDc(JiraUsers):
    """Jira. Further keys of the seed: `seats` {role: n}, `default_groups`, `role_groups`, `picker_limit`, `over_licence`."""

    def _plant(self) -> None:
        seats = dict(self.seed.get("seats", {"jira-software": 0}))
        defaults = self.seed.get("default_groups", ["jira-software-users"])
        if not isinstance(defaults, dict):  # a plain list: each to the role in its name, else to the first
            first = next(iter(seats), "jira-software")
            named = {each: next((role for role in seats if each.startswith(role)), first) for each in defaults}
            defaults = {role: [each for each in defaults if named[each] == role] for role in seats}
        for place, (role, many) in enumerate(seats.items()):
            own = set(defaults.get(role, ()))
            groups = own | set(self.seed.get("role_groups", {}).get(role, ()))
            self.directory.roles[role] = Role(role, many, groups, own, selected_by_default=place == 0)
        super()._plant()
        for each in self.directory.roles.values():
            for group in each.groups:
                self._group(group)

    def routes(self) -> list[Route]:
        """Every route of the contract."""
        return [
            Route("GET", f"{API}/serverInfo", self.server_info),
            Route("GET", f"{API}/myself", self.myself),
            Route("GET", f"{API}/mypermissions", self.permissions),
            Route("GET", f"{API}/applicationrole", self.roles, admin=True),
            Route("GET", f"{API}/applicationrole/{{key}}", self.role, admin=True),
            Route("GET", f"{API}/user", self.get_user, admin=True),
            Route("POST", f"{API}/user", self.create_user, admin=True),
            Route("PUT", f"{API}/user", self.update_user, admin=True),
            Route("DELETE", f"{API}/user", self.delete_user, admin=True),
            Route("POST", f"{API}/user/application", self.user_application, admin=True),
            Route("DELETE", f"{API}/user/application", self.user_application, admin=True),
            Route("PUT", f"{API}/user/password", self.password, admin=True),
            Route("DELETE", f"{API}/user/session/{{username}}", self.end_session, admin=True),
            Route("GET", f"{API}/user/duplicated/count", self.duplicated_count, admin=True),
            Route("GET", f"{API}/user/duplicated/list", self.duplicated_list, admin=True),
            Route("GET", f"{API}/user/search", self.search),
            Route("GET", f"{API}/user/list", self.list_users, since=(10, 3)),
            Route("GET", f"{API}/group", self.get_group, admin=True),
            Route("POST", f"{API}/group", self.create_group, admin=True),
            Route("DELETE", f"{API}/group", self.delete_group, admin=True),
            Route("GET", f"{API}/group/member", self.group_members, admin=True),
            Route("POST", f"{API}/group/user", self.add_member, admin=True),
            Route("DELETE", f"{API}/group/user", self.remove_member, admin=True),
            Route("GET", f"{API}/groups/picker", self.picker),
        ]

    # The server

    def server_info(self, request: Request) -> Answer:
        """GET /serverInfo: for everybody."""
        del request
        return Answer(
            200,
            {
                "baseUrl": self.url,
                "version": self.version_text,
                "versionNumbers": list(self.version),
                "deploymentType": "Server",
                "buildNumber": self.version[0] * 100_000 + self.version[1] * 1000,
                "buildDate": BUILT,
                "databaseBuildNumber": self.version[0] * 100_000,
                "serverTime": BUILT,
                "scmInfo": "0" * 40,
                "serverTitle": "Jira",
            },
        )

    def myself(self, request: Request) -> Answer:
        """GET /myself: who the token belongs to."""
        if not request.caller:
            return self.refused(request) or Answer(401)
        return Answer(200, self.user_full(self.directory.users[request.caller], request.arg("expand")))

    def permissions(self, request: Request) -> Answer:
        """GET /mypermissions: the two that matter here."""
        held = {
            "ADMINISTER": bool(request.caller) and self.is_admin(request.caller),
            "SYSTEM_ADMIN": request.caller in self._in(SYSTEM_ADMINS),
        }
        return Answer(200, {"permissions": {key: {"key": key, "havePermission": has} for key, has in held.items()}})

    def roles(self, request: Request) -> Answer:
        """GET /applicationrole: a list, whatever the specification says."""
        del request
        return Answer(200, [self.role_json(each) for each in self.directory.roles.values()])

    def role(self, request: Request) -> Answer:
        """GET /applicationrole/{key}."""
        role = self.directory.roles.get(request.params["key"])
        return Answer(200, self.role_json(role)) if role else self.error(404, "The application does not exist.")

    # Groups

    def _named(self, request: Request) -> Group | Answer:
        name = request.arg("groupname").strip()
        if not name:
            return self.error(400, "The group name cannot be empty.")
        return self.directory.group(name) or self.error(404, f"The group named '{name}' does not exist.")

    def group_json(self, group: Group, first: int = 0, last: int = -1) -> dict[str, Any]:
        """A group, with members `first` to `last` of those it has, its subgroups' with them."""
        keys = self.directory.member_keys(group.name, nested=True)
        ordered = self.directory.members(group.name, nested=True) if last >= first else []
        shown = ordered[first : min(last, first + MEMBERS - 1) + 1]
        users = {
            "size": len(keys),
            "items": [self.user_json(each) for each in shown],
            "max-results": MEMBERS,
            "start-index": first,
            "end-index": first + len(shown) - 1 if shown else 0,
        }
        return {**self.group_ref(group.name), "users": users, "expand": "users"}

    def get_group(self, request: Request) -> Answer:
        """GET /group, of old: `expand=users` or `users[a:b]`, 50 at a time."""
        group = self._named(request)
        if isinstance(group, Answer):
            return group
        expand = request.arg("expand")
        if found := GROUP_RANGE.search(expand):
            return Answer(200, self.group_json(group, int(found[1]), int(found[2])))
        return Answer(200, self.group_json(group, 0, MEMBERS - 1 if expand == "users" else -1))

    def create_group(self, request: Request) -> Answer:
        """POST /group."""
        name = str(as_object(request.json()).get("name") or "").strip()
        if not name or len(name) > 255:
            return self.error(400, "", name="The group name must have between 1 and 255 characters.")
        if not self.directory.writable("internal"):
            return self.error(403, "All the directories are read-only.")
        if self.directory.group(name):
            return self.error(400, "A group or user with this name already exists.")
        return Answer(201, self.group_json(self.directory.add_group(name)))

    def delete_group(self, request: Request) -> Answer:
        """DELETE /group."""
        group, swap = self._named(request), request.arg("swapGroup")
        if isinstance(group, Answer):
            return group
        if swap and not self.directory.group(swap):
            return self.error(404, f"The group named '{swap}' does not exist.")
        if fold(group.name) in map(fold, self.admin_groups) or not self.directory.writable(group.directory):
            return self.error(403, f"You cannot delete the group '{group.name}'.")
        self.directory.remove_group(group.name)
        return Answer(200)

    def picker(self, request: Request) -> Answer:
        """GET /groups/picker: the only list of groups; never more than the server's limit, which `total` tells."""
        wanted, left_out = fold(request.arg("query")), {fold(each) for each in request.query.get("exclude", ())}
        names = self.directory.kept("groups", lambda: sorted(each.name for each in self.directory.groups.values()))
        hits = [each for each in names if wanted in fold(each) and fold(each) not in left_out] if request.caller else []
        many = min(request.number("maxResults", PICKED) or PICKED, int(self.seed.get("picker_limit", 1000)))
        groups = [{"name": each, "html": html.escape(each), "labels": self._labels(each)} for each in hits[:many]]
        header = f"Showing {len(groups)} of {len(hits)} matching groups"
        return Answer(200, {"header": header, "total": len(hits), "groups": groups})

    def _labels(self, name: str) -> list[dict[str, str]]:
        if name in self.admin_groups:
            return [
                {
                    "text": "Admin",
                    "title": "Users added to this group will be given administrative access",
                    "type": "ADMIN",
                }
            ]
        roles = [each.key for each in self.directory.roles.values() if name in each.groups]
        return [
            {"text": each, "title": f"Users added to this group will be given access to {each}", "type": "SINGLE"}
            for each in roles
        ]

    # Members

    def group_members(self, request: Request) -> Answer:
        """GET /group/member: subgroups' members too, inactive ones when asked; 50 in a page at most."""
        group = self._named(request)
        if isinstance(group, Answer):
            return group
        off = request.flag("includeInactiveUsers", default=False)
        members = [each for each in self.directory.members(group.name, nested=True) if each.active or off]
        start, many = request.number("startAt", 0), min(request.number("maxResults", MEMBERS) or MEMBERS, MEMBERS)
        shown, last = members[start : start + many], start + many >= len(members)
        base = f"{self.url}{API}/group/member?includeInactiveUsers={str(off).lower()}&maxResults={many}&groupname={quote(group.name)}"
        answer: dict[str, Any] = {
            "self": f"{base}&startAt={start}",
            "maxResults": many,
            "startAt": start,
            "total": len(members),
            "isLast": last,
            "values": [self.user_json(each) for each in shown],
        }
        if not last:
            answer["nextPage"] = f"{base}&startAt={start + many}"
        return Answer(200, answer)

    def _edge(self, request: Request, group: Group, name: str) -> User | Answer:
        """The user of an edge that is to be written, or why it is not."""
        user = self.directory.user(name)
        if not user:
            return self.error(404, f"The user named '{name}' does not exist")
        if fold(group.name) == SYSTEM_ADMINS and request.caller not in self._in(SYSTEM_ADMINS):
            return self.error(403, "Only system administrators may change this group.")
        # "Read Only, with Local Groups": edges of local groups may be written, nothing else (confluence.atlassian.com/x/tYR6Fw).
        if not self.directory.writable(group.directory) or self.directory.kind_of(user.directory) == "read_only":
            return self.error(
                403, f"Cannot change members of '{group.name}': the user or the group is in a read-only directory."
            )
        return user

    def add_member(self, request: Request) -> Answer:
        """POST /group/user: 400 for who is in already."""
        group = self._named(request)
        if isinstance(group, Answer):
            return group
        user = self._edge(request, group, str(as_object(request.json()).get("name") or ""))
        if isinstance(user, Answer):
            return user
        if user.key in group.users:
            return self.error(400, f"Cannot add user. User is already a member of '{group.name}'")
        for role in self.directory.roles_of_group(group.name) if user.active else ():
            if not self.directory.holds(role.key, user.key) and self.directory.free_seats(role.key) == 0:
                return self.error(400, SEATS)
        self.directory.join(group.name, user.key)
        return Answer(201, self.group_json(group))

    def remove_member(self, request: Request) -> Answer:
        """DELETE /group/user: direct members only; who comes through a subgroup is refused for ever."""
        group = self._named(request)
        if isinstance(group, Answer):
            return group
        user = self._edge(request, group, request.arg("username"))
        if isinstance(user, Answer):
            return user
        if user.key not in group.users:
            return self.error(
                400,
                f"Cannot remove user '{user.name}' from group '{group.name}' since user is not a member of '{group.name}'",
            )
        if group.name in self.admin_groups and [each.key for each in self.last_admins()] == [user.key]:
            return self.error(400, "You are trying to remove the last administrator.")
        self.directory.leave(group.name, user.key)
        return Answer(200)
