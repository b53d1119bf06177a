"""Reads of the stand-in of Confluence Data Center: users, groups, pages. Writes, routes and versions are in `confluence_dc`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from sandbox.directory import Group, User, fold
from sandbox.standin import Standin
from sandbox.wire import PHRASES, Answer, Handler, Request

API = "/rest/api"
LICENCE = "confluence"
USERS, GROUPS, LIMIT = 100, 200, 200  # default pages, and the page that no request exceeds
TASK_SECONDS = 0.05
MANIFEST = "<manifest><id>00000000-0000-0000-0000-000000000000</id><name>Confluence</name><typeId>confluence</typeId><version>{0}</version><buildNumber>{1}</buildNumber><url>{2}</url></manifest>"


@dataclass
class Task:
    """A deletion under way."""

    number: int
    key: str
    began: float
    done: bool = False


class ConfluenceReads(Standin):
    """What changes nothing."""

    kind = "confluence_dc"
    context = "/confluence"
    latest = "/rest/api/"
    admin_groups = ("confluence-administrators",)

    def _plant(self) -> None:
        self._tasks: dict[str, Task] = {}
        super()._plant()

    def error(self, status: int, message: str, **fields: str) -> Answer:
        """`{statusCode, data, message, reason}`."""
        data = {
            "authorized": status not in {401, 403},
            "valid": status not in {400, 409},
            "allowedInReadOnlyMode": True,
            "errors": [{"message": {"key": each, "args": []}} for each in fields.values()],
            "successful": False,
        }
        return Answer(
            status, {"statusCode": status, "data": data, "message": message, "reason": PHRASES.get(status, "")}
        )

    def refused(self, request: Request) -> Answer | None:
        """Reading without a name is 403 here, writing 401."""
        if not request.caller:
            return self.error(403 if request.method == "GET" else 401, "Not permitted to use Confluence")
        return None if self.is_admin(request.caller) else self.error(403, "Not permitted: you are not an administrator")

    def advance(self) -> None:
        """Deletes whom a long task has reached."""
        due = time.monotonic() - float(self.seed.get("task_seconds", TASK_SECONDS))
        for task in self._tasks.values():
            if not task.done and task.began <= due:
                task.done = True
                if task.key in self.directory.users:
                    self.directory.remove_user(task.key)

    def _known(self, handler: Handler) -> Handler:
        """Refuses nobodies: reading needs a name, not a right."""

        def checked(request: Request) -> Answer:
            return handler(request) if request.caller else self.error(403, "Not permitted to use Confluence")

        return checked

    # As JSON

    def person_json(self, user: User, expand: str = "") -> dict[str, Any]:
        """A user: no address, and whether active only when expanded."""
        found: dict[str, Any] = {
            "type": "known",
            "username": user.name,
            "userKey": user.key,
            "profilePicture": {
                "path": f"{self.context}/images/icons/profilepics/default.svg",
                "width": 48,
                "height": 48,
                "isDefault": True,
            },
            "displayName": user.display_name,
            "_links": {"self": f"{self.url}{API}/user?key={user.key}"},
        }
        if "status" in expand.split(","):
            return {**found, "status": "current" if user.active else "deactivated", "_expandable": {}}
        return {**found, "_expandable": {"status": ""}}

    def group_json(self, group: Group) -> dict[str, Any]:
        """A group: its name and address."""
        return {
            "type": "group",
            "name": group.name,
            "_links": {"self": f"{self.url}{API}/group/{quote(group.name, safe='')}"},
        }

    def _page(self, request: Request, rows: list[Any], default: int, shape: Callable[[Any], dict[str, Any]]) -> Answer:
        """A page of rows; the limit is lowered to what the server grants."""
        granted = int(self.seed.get("page_limit", LIMIT))
        start, limit = request.number("start", 0), min(request.number("limit", default) or default, granted)
        shown = rows[start : start + limit]
        kept = {name: values[0] for name, values in request.query.items() if name not in {"start", "limit"}}

        def link(first: int) -> str:
            return f"{quote(request.path)}?{urlencode({**kept, 'limit': limit, 'start': first})}"

        links = {"base": self.url, "context": self.context, "self": f"{self.url}{link(start)}"}
        if start + limit < len(rows):
            links["next"] = link(start + limit)
        if start:
            links["prev"] = link(max(0, start - limit))
        return Answer(
            200,
            {
                "results": [shape(each) for each in shown],
                "start": start,
                "limit": limit,
                "size": len(shown),
                "_links": links,
            },
        )

    # Reads

    def _by_query(self, request: Request) -> User | Answer:
        name, key = request.arg("username"), request.arg("key")
        found = self.directory.user(name) if name else self.directory.users.get(key)
        return found or self.error(404, f"No user found with {'username' if name else 'key'} : {name or key}")

    def get_user(self, request: Request) -> Answer:
        """GET /user."""
        user = self._by_query(request)
        return user if isinstance(user, Answer) else Answer(200, self.person_json(user, request.arg("expand")))

    def current(self, request: Request) -> Answer:
        """GET /user/current: whoever asks, a bad token is nobody."""
        if not request.caller:
            return self.anonymous(request)
        return Answer(200, self.person_json(self.directory.users[request.caller], request.arg("expand")))

    def anonymous(self, request: Request) -> Answer:
        """GET /user/anonymous."""
        del request
        path = f"{self.context}/images/icons/profilepics/anonymous.svg"
        picture = {"path": path, "width": 48, "height": 48, "isDefault": True}
        links = {"base": self.url, "context": self.context, "self": f"{self.url}{API}/user/anonymous"}
        return Answer(
            200, {"type": "anonymous", "profilePicture": picture, "displayName": "Anonymous", "_links": links}
        )

    def list_users(self, request: Request) -> Answer:
        """GET /user/list: everybody, switched off or without a licence too."""
        rows = self.directory.kept(
            "users", lambda: sorted(self.directory.users.values(), key=lambda each: fold(each.name))
        )
        return self._page(request, rows, USERS, lambda each: self.person_json(each, request.arg("expand")))

    def list_active(self, request: Request) -> Answer:
        """GET /admin/users/list/active: who holds a seat."""
        rows = [self.directory.users[key] for key in sorted(self.directory.holders(LICENCE))]
        return self._page(request, rows, USERS, lambda each: self.person_json(each, request.arg("expand")))

    def member_of(self, request: Request) -> Answer:
        """GET /user/memberof."""
        user = self._by_query(request)
        if isinstance(user, Answer):
            return user
        return self._page(request, self.directory.groups_of(user.key), GROUPS, self.group_json)

    def list_groups(self, request: Request) -> Answer:
        """GET /group."""
        rows = self.directory.kept("groups", lambda: sorted(self.directory.groups.values(), key=lambda each: each.name))
        return self._page(request, rows, GROUPS, self.group_json)

    def _group_of(self, request: Request) -> Group | Answer:
        name = request.params["group"]
        return self.directory.group(name) or self.error(404, f"No group found with name : {name}")

    def get_group(self, request: Request) -> Answer:
        """GET /group/{groupName}."""
        group = self._group_of(request)
        return group if isinstance(group, Answer) else Answer(200, self.group_json(group))

    def members(self, request: Request) -> Answer:
        """GET /group/{groupName}/member: direct members, switched off or not."""
        group = self._group_of(request)
        if isinstance(group, Answer):
            return group
        rows = self.directory.members(group.name, nested=False)
        return self._page(request, rows, GROUPS, lambda each: self.person_json(each, request.arg("expand")))

    def related(self, request: Request) -> Answer:
        """GET /group/{groupName}/groupmember, groupparent, groupancestor."""
        group = self._group_of(request)
        if isinstance(group, Answer):
            return group
        if request.path.endswith("/groupmember"):
            rows = sorted((self.directory.groups[each] for each in group.groups), key=lambda each: each.name)
        elif request.path.endswith("/groupparent"):
            rows = self.directory.parents(group.name)
        else:
            others = [each for each in self.directory.groups.values() if each is not group]
            rows = sorted(
                (each for each in others if fold(group.name) in self.directory.closure(each.name)),
                key=lambda each: each.name,
            )
        return self._page(request, rows, GROUPS, self.group_json)

    def task(self, request: Request) -> Answer:
        """GET /longtask/{id}."""
        task = self._tasks.get(request.params["id"])
        if not task:
            return self.error(404, f"No long running task found with id : {request.params['id']}")
        elapsed = time.monotonic() - task.began
        share = 100 if task.done else min(99, int(100 * elapsed / float(self.seed.get("task_seconds", TASK_SECONDS))))
        return Answer(
            200,
            {
                "id": request.params["id"],
                "name": {"key": "user.delete.long.running.task", "args": []},
                "elapsedTime": int(elapsed * 1000),
                "percentageComplete": share,
                "successful": task.done,
                "messages": [],
            },
        )

    def system_info(self, request: Request) -> Answer:
        """GET /settings/systemInfo."""
        del request
        return Answer(200, {"baseUrl": self.url, "version": self.version_text, "buildNumber": self._build()})

    def manifest(self, request: Request) -> Answer:
        """GET /rest/applinks/1.0/manifest: the version, for everybody."""
        del request
        text = MANIFEST.format(self.version_text, self._build(), self.url)
        return Answer(200, text, content_type="application/xml;charset=UTF-8")

    def _build(self) -> int:
        return self.version[0] * 1000 + self.version[1]
