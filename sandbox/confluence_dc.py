"""A stand-in of Confluence Data Center, REST: users and groups, as the specification of 10.0.3 has them.

Unlike Jira's: names in lower case only, no address in any answer, no renaming, edges idempotent, pages that follow `_links.next`.
"""

from __future__ import annotations

import hashlib
import re
import time

from sandbox.confluence_reads import API, LICENCE, ConfluenceReads, Task
from sandbox.directory import INTERNAL, Group, Role, User, fold
from sandbox.wire import Answer, Request, Route, as_object

VERSIONS = {"7": "7.19.30", "8.4": "8.4.5", "9.2": "9.2.2", "10": "10.0.3", "10.2": "10.2.14"}
ADDRESS = re.compile(r"[^@\s]+@[^@\s]+")
UNFIT = re.compile(r"[\\,+<>'\"\s]")  # in a user name


class ConfluenceDc(ConfluenceReads):
    """Confluence. Further keys of the seed: `seats` {confluence: n}, `default_groups`, `page_limit`, `task_seconds`."""

    def _plant(self) -> None:
        self._spent: set[str] = set()
        own = set(self.seed.get("default_groups", ["confluence-users"]))
        seats = int(self.seed.get("seats", {}).get(LICENCE, 0))
        self.directory.roles[LICENCE] = Role(
            LICENCE, seats, own | set(self.seed.get("role_groups", {}).get(LICENCE, ())), own
        )
        super()._plant()
        for group in self.directory.roles[LICENCE].groups:
            self._group(group)

    def new_key(self, name: str, seeded: str | None) -> tuple[int, str]:
        """32 hexadecimal digits: the same for the same name, until the name is taken by another user."""
        number = self.directory.next_number()
        made = (f"4028d676{hashlib.sha256(f'{name}/{again}'.encode()).hexdigest()[:24]}" for again in range(number))
        key = seeded or next(each for each in made if each not in self._spent)
        self._spent.add(key)
        return number, key

    def seeded_name(self, name: str, directory: str) -> str:
        """In lower case; what LDAP or Crowd deliver stays as it is."""
        return name.lower() if directory == INTERNAL else name

    def routes(self) -> list[Route]:
        """Every route of the contract, with the version that brought it (CONFSERVER-87290, rest/v931)."""
        user, group = f"{API}/admin/user/{{username}}", f"{API}/group/{{group}}"
        edge = f"{API}/user/{{username}}/group/{{group}}"
        known = self._known
        return [
            Route("POST", f"{API}/admin/user", self.create_user, since=(8, 4), admin=True),
            Route("PUT", user, self.update_user, since=(10,), admin=True),
            Route("DELETE", user, self.delete_user, admin=True),
            Route("PUT", f"{user}/disable", self.switch, admin=True),
            Route("PUT", f"{user}/enable", self.switch, admin=True),
            Route("POST", f"{user}/password", self.password, since=(8, 4), admin=True),
            Route("POST", f"{API}/admin/group", self.create_group, admin=True),
            Route("DELETE", f"{API}/admin/group/{{group}}", self.delete_group, admin=True),
            Route("PUT", edge, self.add_member, admin=True),
            Route("DELETE", edge, self.remove_member, admin=True),
            Route("GET", f"{API}/longtask/{{id}}", known(self.task)),
            Route("GET", f"{API}/longtask/{{id}}/status", known(self.task)),
            Route("GET", f"{API}/user", known(self.get_user)),
            Route("GET", f"{API}/user/current", self.current),
            Route("GET", f"{API}/user/anonymous", self.anonymous),
            Route("GET", f"{API}/user/list", known(self.list_users), since=(8, 4)),
            Route("GET", f"{API}/user/memberof", known(self.member_of)),
            Route("GET", f"{API}/admin/users/list/active", self.list_active, since=(9, 3), admin=True),
            Route("GET", f"{API}/group", known(self.list_groups)),
            Route("GET", group, known(self.get_group)),
            Route("GET", f"{group}/member", self.members, admin=self.version >= (10,)),
            Route("GET", f"{group}/groupmember", known(self.related)),
            Route("GET", f"{group}/groupparent", known(self.related)),
            Route("GET", f"{group}/groupancestor", known(self.related), since=(10,)),
            Route("GET", f"{API}/settings/systemInfo", known(self.system_info)),
            Route("GET", "/rest/applinks/1.0/manifest", self.manifest),
        ]

    # Writes

    def create_user(self, request: Request) -> Answer:
        """POST /admin/user: a password or a mail to the user, never both; the default groups come unasked."""
        body = as_object(request.json())
        name, full_name, email = (str(body.get(each) or "") for each in ("userName", "fullName", "email"))
        complaint = _name_complaint(name) or _profile_complaint(full_name, email)
        if not complaint and bool(body.get("password")) == bool(body.get("notifyViaEmail")):
            complaint = "exactly one of password and notifyViaEmail must be given"
        if complaint:
            return self.error(400, complaint, reason=complaint)
        if not self.directory.writable(INTERNAL):
            return self.error(403, "All user directories are read-only")
        if self.directory.user(name):
            return self.error(409, f"A user with username {name} already exists")
        if self.directory.free_seats(LICENCE) == 0:
            return self.error(402, "No more licences are available to create a user")
        number, key = self.new_key(name, None)
        self.directory.add_user(User(number, key, name, email, full_name))
        for group in self.directory.roles[LICENCE].default_groups:
            self.directory.join(group, key)
        return Answer(201, {"userKey": key})

    def _user_of(self, request: Request, unknown: int = 404) -> User | Answer:
        """The user whom the path names, if the caller may change them."""
        name = request.params["username"]
        user = self.directory.user(name)
        if not user:
            return self.error(unknown, f"No user found with username : {name}")
        if not self.directory.writable(user.directory):
            return self.error(403, f"User {user.name} is in a read-only directory")
        return user

    def update_user(self, request: Request) -> Answer:
        """PUT /admin/user/{username}: full name and address; the user name is for ever. No 404 is documented, so 400."""
        user = self._user_of(request, unknown=400)
        if isinstance(user, Answer):
            return user
        body = as_object(request.json())
        full_name, email = str(body.get("fullName", user.display_name) or ""), str(body.get("email", user.email) or "")
        if complaint := _profile_complaint(full_name, email):
            return self.error(400, complaint, reason=complaint)
        self.directory.change_user(user.key, display_name=full_name, email=email)
        return Answer(204)

    def switch(self, request: Request) -> Answer:
        """PUT /admin/user/{username}/enable and /disable, as often as one likes."""
        user, active = self._user_of(request), request.path.endswith("/enable")
        if isinstance(user, Answer):
            return user
        if not active and (user.key == request.caller or self.last_admins() == [user]):
            return self.error(403, "You cannot disable yourself or the last administrator")
        self.directory.change_user(user.key, active=active)
        return Answer(204)

    def delete_user(self, request: Request) -> Answer:
        """DELETE /admin/user/{username}: 202, and gone when the long task is done."""
        user = self._user_of(request)
        if isinstance(user, Answer):
            return user
        if user.key == request.caller or self.last_admins() == [user]:
            return self.error(403, "You cannot delete yourself or the last administrator")
        number = len(self._tasks) + 1
        name = f"{number:08x}-0000-4000-8000-000000000000"
        self._tasks[name] = Task(number, user.key, time.monotonic())
        self.directory.touch()
        links = {each: f"{self.url}{API}/longtask/{name}/{each}" for each in ("result", "status")}
        return Answer(202, {"id": name, "links": links, "resultPath": "result", "statusPath": "status"})

    def password(self, request: Request) -> Answer:
        """POST /admin/user/{username}/password; the password goes nowhere."""
        user = self._user_of(request)
        if isinstance(user, Answer):
            return user
        return Answer(204) if as_object(request.json()).get("password") else self.error(400, "The password is blank")

    def create_group(self, request: Request) -> Answer:
        """POST /admin/group."""
        name = str(as_object(request.json()).get("name") or "").strip()
        if not name or len(name) > 255:
            return self.error(400, "The group name must have between 1 and 255 characters")
        if not self.directory.writable(INTERNAL):
            return self.error(403, "All user directories are read-only")
        if self.directory.group(name):
            return self.error(409, f"Group {name} already exists")
        return Answer(201, self.group_json(self.directory.add_group(name)))

    def delete_group(self, request: Request) -> Answer:
        """DELETE /admin/group/{groupName}."""
        group = self._group_of(request)
        if isinstance(group, Answer):
            return group
        if fold(group.name) in self.admin_groups:
            return self.error(400, "You cannot delete the last group of administrators")
        if not self.directory.writable(group.directory):
            return self.error(403, f"Group {group.name} is in a read-only directory")
        self.directory.remove_group(group.name)
        return Answer(204)

    def _edge(self, request: Request) -> tuple[Group, User] | Answer:
        group, user = self._group_of(request), self.directory.user(request.params["username"])
        if isinstance(group, Answer):
            return group
        if not user:
            return self.error(404, f"No user found with username : {request.params['username']}")
        if not self.directory.writable(group.directory) or self.directory.kind_of(user.directory) == "read_only":
            return self.error(403, "The group or the user is in a read-only directory")
        return group, user

    def add_member(self, request: Request) -> Answer:
        """PUT /user/{username}/group/{groupName}: 204, in already or not."""
        edge = self._edge(request)
        if isinstance(edge, Answer):
            return edge
        self.directory.join(edge[0].name, edge[1].key)
        return Answer(204)

    def remove_member(self, request: Request) -> Answer:
        """DELETE /user/{username}/group/{groupName}: 204, in or not."""
        edge = self._edge(request)
        if isinstance(edge, Answer):
            return edge
        group, user = edge
        if group.name in self.admin_groups and self.last_admins() == [user]:
            return self.error(403, "You cannot remove the last administrator")
        self.directory.leave(group.name, user.key)
        return Answer(204)


def _name_complaint(name: str) -> str:
    if not name.strip():
        return "userName must not be blank"
    if UNFIT.search(name):
        return "userName must not contain whitespace or any of \\ , + < > ' \""
    if name != name.lower():
        return "userName must not contain upper case characters"
    return "userName must not be anonymous" if name == "anonymous" else ""


def _profile_complaint(full_name: str, email: str) -> str:
    if not full_name.strip():
        return "fullName must not be blank"
    if set(full_name) & set("<>"):
        return "fullName must not contain < or >"
    if full_name.lower() == "anonymous":
        return "fullName must not be anonymous"
    return "" if ADDRESS.fullmatch(email) else "email must be a valid address"
