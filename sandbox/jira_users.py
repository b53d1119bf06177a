"""Users of the stand-in of Jira Data Center, REST v2: what is asked of one user, and the three ways of listing them.

Codes and shapes from the published specification (10.3.24); texts, and where the wire differs, from public tickets named here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from sandbox.directory import Role, User, fold
from sandbox.standin import Standin
from sandbox.wire import Answer, Request, as_object

NO_CHANGE = "error.no.value.found.to.be.changed"  # JRASERVER-36639
TAKEN = "A user with that username already exists."
READ_ONLY = "Cannot edit user, as the user's directory is read-only."
SEATS = "You have exceeded the number of users allowed to use these products. Please contact your Jira administrators."
FIRST_KEY = 10100
LIST_PAGE, SEARCH_PAGE = 2000, 50
ADDRESS = re.compile(r"[^@\s]+@[^@\s]+")
SYSTEM_ADMINS = "jira-system-administrators"
SHUFFLE, MODULUS = 7_368_787, 15_485_863  # both prime: an order of users that is neither by name nor by age


class JiraUsers(Standin):
    """`/user` and everything below it."""

    kind = "jira_dc"
    context = "/jira"
    latest = "/rest/api/2/"
    admin_groups = ("jira-administrators", SYSTEM_ADMINS)

    def error(self, status: int, message: str, **fields: str) -> Answer:
        """`{errorMessages, errors}`; without any words an empty body, as some refusals have."""
        if not message and not fields:
            return Answer(status)
        return Answer(status, {"errorMessages": [message] if message else [], "errors": fields})

    def new_key(self, name: str, seeded: str | None) -> tuple[int, str]:
        """JIRAUSER10100 and on; users from before Jira 8 have their first name in lower case as key, by the seed."""
        del name
        number = self.directory.next_number()
        return number, seeded or f"JIRAUSER{FIRST_KEY + number - 1}"

    def advance(self) -> None:
        """Nothing in Jira happens later."""

    # As JSON

    def user_json(self, user: User) -> dict[str, Any]:
        """A user as lists hold it."""
        sizes = {"16x16": "&size=xsmall", "24x24": "&size=small", "32x32": "&size=medium", "48x48": ""}
        return {
            "self": f"{self.url}/rest/api/2/user?username={quote(user.name)}",
            "key": user.key,
            "name": user.name,
            "emailAddress": user.email,
            "avatarUrls": {size: f"{self.url}/secure/useravatar?avatarId=10122{more}" for size, more in sizes.items()},
            "displayName": user.display_name,
            "active": user.active,
            "deleted": False,
            "timeZone": "Etc/UTC",
            "locale": "en_US",
        }

    def user_full(self, user: User, expand: str = "") -> dict[str, Any]:
        """A user asked for alone: sizes always, groups (with those above them) and roles when expanded."""
        wanted = expand.split(",")
        groups = self.directory.groups_of(user.key, nested=True)
        roles = [role for role in self.directory.roles.values() if self.directory.holds(role.key, user.key)]
        return {
            **self.user_json(user),
            "groups": {
                "size": len(groups),
                "items": [self.group_ref(each.name) for each in groups] if "groups" in wanted else [],
            },
            "applicationRoles": {
                "size": len(roles),
                "items": [self.role_json(each) for each in roles] if "applicationRoles" in wanted else [],
            },
            "expand": "groups,applicationRoles",
        }

    def group_ref(self, name: str) -> dict[str, Any]:
        """A group's name and address."""
        return {"name": name, "self": f"{self.url}/rest/api/2/group?groupname={quote(name)}"}

    def role_json(self, role: Role) -> dict[str, Any]:
        """An application role with its seats; -1 means as many as one likes."""
        return {
            "key": role.key,
            "groups": sorted(role.groups),
            "name": role.key.replace("-", " ").title(),
            "defaultGroups": sorted(role.default_groups),
            "selectedByDefault": role.selected_by_default,
            "defined": True,
            "numberOfSeats": role.seats or -1,
            "remainingSeats": self.directory.free_seats(role.key),
            "userCount": len(self.directory.holders(role.key)),
            "userCountDescription": "users",
            "hasUnlimitedSeats": not role.seats,
            "platform": role.key == "jira-core",
        }

    # One user

    def found(self, request: Request) -> User | Answer:
        """The user that a request names by username or key, or what to answer instead."""
        if name := request.arg("username"):
            return self.directory.user(name) or self.error(404, f"The user named '{name}' does not exist")
        if key := request.arg("key"):  # case-sensitive
            return self.directory.users.get(key) or self.error(404, f"The user with the key '{key}' does not exist")
        return self.error(400, "Either the 'username' or the 'key' query parameters need to be provided")

    def protected(self, caller: str, user: User) -> bool:
        """Whether only a system administrator may touch this user, and the caller is none."""
        system = self._in(SYSTEM_ADMINS)
        return user.key in system and caller not in system

    def get_user(self, request: Request) -> Answer:
        """GET /user."""
        user = self.found(request)
        return user if isinstance(user, Answer) else Answer(200, self.user_full(user, request.arg("expand")))

    def create_user(self, request: Request) -> Answer:
        """POST /user. Roles' default groups come unasked unless `applicationKeys` says otherwise."""
        body = as_object(request.json())
        name, email, shown = (str(body.get(each) or "").strip() for each in ("name", "emailAddress", "displayName"))
        if not self.directory.writable("internal"):
            return self.error(403, "Cannot add user, all the user directories are read-only.")
        if wrong := self._complaints(name=name, email=email, display_name=shown):
            return self.error(400, "", **wrong)
        if self.directory.user(name):
            return self.error(400, "", username=TAKEN)
        keys = body.get("applicationKeys")
        unknown = sorted(set(keys or ()) - set(self.directory.roles))
        if unknown:
            return self.error(400, "", applicationKeys=f"Unknown application: {', '.join(unknown)}")
        # Omitted: what is selected by default; an empty list: none.
        roles = [
            each
            for each in self.directory.roles.values()
            if (each.selected_by_default if keys is None else each.key in keys)
        ]
        active = self.version < (8, 3) or as_truth(body.get("active", True))
        full = [each for each in roles if active and self.directory.free_seats(each.key) == 0]
        if full and (keys is not None and self.seed.get("over_licence", "refuse") == "refuse"):
            return self.error(400, SEATS)
        number, key = self.new_key(name, None)
        made = User(number, key, name, email, shown, active)
        self.directory.add_user(made)
        for group in {group for each in roles if each not in full for group in each.default_groups}:
            self.directory.join(group, key)  # without a seat left the user is made without access
        return Answer(201, self.user_full(made))

    def update_user(self, request: Request) -> Answer:
        """PUT /user: what is absent stays; a request that changes nothing is refused."""
        user = self.found(request)
        if isinstance(user, Answer):
            return user
        body = as_object(request.json())
        if self.protected(request.caller, user):
            return self.error(403, "You do not have permission to edit this user.")
        if not self.directory.writable(user.directory):
            return self.error(400, READ_ONLY)
        wanted = {
            ours: str(body[theirs]).strip()
            for ours, theirs in (("name", "name"), ("email", "emailAddress"), ("display_name", "displayName"))
            if body.get(theirs) is not None
        }
        if wrong := self._complaints(**wanted):
            return self.error(400, "", **wrong)
        holder = self.directory.user(wanted.get("name", user.name))
        if holder and holder.key != user.key:
            return self.error(400, "", username=TAKEN)
        active = user.active
        if body.get("active") is not None and self.version >= (8, 3):  # JRASERVER-37294
            active = as_truth(body["active"])
            if active != user.active and (refused := self._switch(request.caller, user, active=active)):
                return refused
        if not self.directory.change_user(user.key, active=active, **wanted):
            return self.error(400, NO_CHANGE)
        return Answer(200, self.user_full(self.directory.users[user.key]))

    def _switch(self, caller: str, user: User, *, active: bool) -> Answer | None:
        """Why the user may not be switched off, or on."""
        if not active and user.key == caller:
            return self.error(400, "", active="You cannot deactivate the currently logged in user.")
        if not active and user.leads:
            return self.error(400, "", active="Cannot deactivate user because they are currently lead of projects: SUP")
        if active:
            groups = {fold(each.name) for each in self.directory.groups_of(user.key, nested=True)}
            roles = [each for each in self.directory.roles.values() if groups & {fold(name) for name in each.groups}]
            if any(self.directory.free_seats(each.key) == 0 for each in roles):
                return self.error(400, SEATS)
        return None

    def _complaints(self, **fields: str) -> dict[str, str]:
        """What is wrong with the fields given, by the names that Jira's form has for them."""
        wrong = {}
        if (name := fields.get("name")) is not None:
            if not name:
                wrong["username"] = "You must specify a username."
            elif set(name) & set("<>&"):
                wrong["username"] = "The username must not contain '<', '>' or '&'."
            elif len(name) > 255:
                wrong["username"] = "The username must not exceed 255 characters in length."
        if fields.get("display_name") == "":
            wrong["fullname"] = "You must specify a full name."
        if (email := fields.get("email")) is not None and not ADDRESS.fullmatch(email):
            wrong["email"] = (
                "You must specify a valid email address." if email else "You must specify an email address."
            )
        return wrong

    def delete_user(self, request: Request) -> Answer:
        """DELETE /user."""
        user = self.found(request)
        if isinstance(user, Answer):
            return user
        if user.key == request.caller or self.protected(request.caller, user):
            return self.error(403, "You do not have permission to delete this user.")
        if user.leads or not self.directory.writable(user.directory):
            return self.error(
                400, f"Cannot delete user '{user.name}': the user leads projects or is in a read-only directory."
            )
        self.directory.remove_user(user.key)
        return Answer(204)

    def user_application(self, request: Request) -> Answer:
        """POST and DELETE /user/application: into the role's default groups, out of all its groups."""
        user, role = (
            self.directory.user(request.arg("username")),
            self.directory.roles.get(request.arg("applicationKey")),
        )
        if not user or not role:
            return self.error(400, "The user or the application does not exist.")
        if request.method == "DELETE":
            for group in role.groups:
                self.directory.leave(group, user.key)
            return Answer(204)
        if user.active and not self.directory.holds(role.key, user.key) and self.directory.free_seats(role.key) == 0:
            return self.error(400, SEATS)
        for group in role.default_groups:
            self.directory.join(group, user.key)
        return Answer(200)

    def password(self, request: Request) -> Answer:
        """PUT /user/password; the password goes nowhere."""
        user = self.found(request)
        if isinstance(user, Answer):
            return user
        return (
            Answer(204)
            if as_object(request.json()).get("password")
            else self.error(400, "", password="You must specify a password.")
        )

    def end_session(self, request: Request) -> Answer:
        """DELETE /user/session/{username}."""
        name = request.params["username"]
        return Answer(200) if self.directory.user(name) else self.error(404, f"The user named '{name}' does not exist")

    # Many users

    def search(self, request: Request) -> Answer:
        """GET /user/search: a bare list, and nothing in it says that it was cut.

        From Jira 10 nobody after the 100th is found, before nobody after the 1000th (JRASERVER-78520, -65089).
        """
        wanted = fold(request.arg("username"))
        if not request.caller:
            return Answer(200, [])
        if not wanted:
            return self.error(400, "The username query parameter was not provided")
        on, off = request.flag("includeActive", default=True), request.flag("includeInactive", default=False)
        cap = 100 if self.version >= (10,) else 1000
        ordered = self.directory.kept("by name", self._by_name)
        hits = [user for words, user in ordered if (on if user.active else off) and _hit(wanted, words)][:cap]
        start, many = request.number("startAt", 0), min(request.number("maxResults", SEARCH_PAGE), cap)
        return Answer(200, [self.user_json(user) for user in hits[start : start + many]])

    def _by_name(self) -> list[tuple[tuple[str, ...], User]]:
        users = sorted(self.directory.users.values(), key=lambda user: fold(user.name))
        return [((fold(each.name), fold(each.email), *fold(each.display_name).split()), each) for each in users]

    def list_users(self, request: Request) -> Answer:
        """GET /user/list: a stream in no order that means anything; nobody comes twice; any cursor is answered."""
        if not request.caller:
            return self.error(401, "You are not authenticated. Authentication required to perform this operation.")
        many = min(request.number("maxResults", LIST_PAGE) or LIST_PAGE, LIST_PAGE)
        cursor = request.number("cursor", 0)
        ordered = self.directory.kept("stream", self._stream)
        left = [each for each in ordered if each[0] > cursor] if cursor else ordered
        values, last = left[:many], len(left) <= many
        here = f"{self.url}/rest/api/2/user/list?maxResults={many}"
        answer: dict[str, Any] = {
            "self": f"{here}&cursor={cursor}" if cursor else here,
            "maxResults": many,
            "isLast": last,
            "values": [self.user_json(user) for _, user in values],
        }
        if not last:
            answer |= {"nextCursor": str(values[-1][0]), "nextPage": f"{here}&cursor={values[-1][0]}"}
        return Answer(200, answer)

    def _stream(self) -> list[tuple[int, User]]:
        return sorted((each.number * SHUFFLE % MODULUS, each) for each in self.directory.users.values())

    def _shadows(self) -> dict[str, list[dict[str, Any]]]:
        """Users with a namesake in another directory, by name."""
        found: dict[str, list[dict[str, Any]]] = {}
        for each in self.seed.get("shadows", ()):
            if user := self.directory.user(each["name"]):
                first = {"directoryName": user.directory, "userActive": user.active}
                other = {"directoryName": each["directory"], "userActive": each.get("active", True)}
                found.setdefault(user.name, [first]).append(other)
        return found

    def duplicated_count(self, request: Request) -> Answer:
        """GET /user/duplicated/count: a number, whatever the specification says."""
        del request
        return Answer(200, len(self._shadows()))

    def duplicated_list(self, request: Request) -> Answer:
        """GET /user/duplicated/list: names, with the directories of each."""
        del request
        return Answer(200, self._shadows())


def _hit(wanted: str, words: Iterable[str]) -> bool:
    return wanted == "." or any(word.startswith(wanted) for word in words)


def as_truth(value: object) -> bool:
    """A boolean as Jackson reads one: the text "false" is false."""
    return value.lower() == "true" if isinstance(value, str) else bool(value)
