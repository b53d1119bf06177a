"""Pushes a directory as Microsoft Entra's provisioning service does, in both of its flag modes: order of calls, shapes, escrow, quarantine."""

from __future__ import annotations

import uuid
from typing import Any

import httpx

from sandbox.push_people import Calls, PushDirectory, PushGroup, PushUser, changed

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
CORE = "urn:ietf:params:scim:schemas:core:2.0"
OLD_GROUP = "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"
FLAG = "aadOptscim062020"
BATCH = 500  # membership changes in one PATCH
ESCROW_CYCLES = 4  # an object that failed waits longer after each failure, up to so many cycles
QUARANTINE_FAILURES, QUARANTINE_SHARE, QUARANTINE_MOST = 5000, 0.4, 60_000


class Quarantined(Exception):  # noqa: N818 - Microsoft's word for the state of the job
    """The job is slowed down: bad credentials, a connection test that is not an empty list, or too many failures."""


class Entra:
    """One provisioning job of one Entra tenant. `flag`: the tenant URL carries `?aadOptscim062020`."""

    def __init__(self, client: httpx.Client, *, flag: bool = False, base: str = "/scim/v2") -> None:
        self._client = client
        self._flag = flag
        self._base = base
        self._ids: dict[str, str] = {}
        self._users: dict[str, dict[str, Any]] = {}
        self._groups: dict[str, tuple[str, frozenset[str]]] = {}
        self._escrow: dict[str, tuple[int, int]] = {}
        self._cycle = 0
        self.calls = Calls()

    def test_connection(self) -> None:
        """The portal's button. Quarantined unless a random name gives an empty list."""
        answer = self._send("GET", "/Users", query={"filter": f'userName eq "{uuid.uuid4()}"'})
        if answer.status_code != 200 or answer.json().get("totalResults") != 0:
            raise Quarantined(f"test connection: {answer.status_code}")

    def cycle(self, directory: PushDirectory) -> Calls:
        """One cycle: users, then references, then groups and their members. Only differences to what was sent are sent."""
        self.calls, self._cycle = Calls(), self._cycle + 1
        for user in directory.users.values():
            self._object(f"user {user.id}", lambda user=user: self._user(user))
        for user in directory.users.values():
            if user.manager_id and user.provisioned:
                self._object(f"manager {user.id}", lambda user=user: self._manager(user))
        for group in directory.groups.values():
            self._object(f"group {group.id}", lambda group=group: self._group(group))
        for gone in set(self._groups) - set(directory.groups):
            self._send("DELETE", f"/Groups/{self._ids.pop(gone)}")
            del self._groups[gone]
        failures, objects = len(self._escrow), len(directory.users) + len(directory.groups)
        if failures >= QUARANTINE_MOST or (failures >= QUARANTINE_FAILURES and failures > QUARANTINE_SHARE * objects):
            raise Quarantined(f"{failures} objects in escrow")
        return self.calls

    def _object(self, name: str, work: Any) -> None:
        """Does the work unless the object waits in escrow; a failure puts it there, for longer each time."""
        failed, until = self._escrow.get(name, (0, 0))
        if self._cycle < until:
            return
        try:
            work()
        except httpx.HTTPStatusError as error:
            if error.response.status_code in {401, 403}:
                raise Quarantined(f"credentials: {error.response.status_code}") from error
            self._escrow[name] = (failed + 1, self._cycle + min(2**failed, ESCROW_CYCLES))
        else:
            self._escrow.pop(name, None)

    def _user(self, user: PushUser) -> None:
        if user.deleted:
            if target := self._ids.pop(user.id, None):
                self._users.pop(user.id, None)
                self._checked("DELETE", f"/Users/{target}", tolerate=404)
            return
        wanted = _attributes(user)
        if user.id not in self._ids:
            if not user.provisioned:
                return  # users that are disabled already are not provisioned
            found = self._checked("GET", "/Users", query={"filter": f'userName eq "{user.user_name}"'}).json()[
                "Resources"
            ]
            if not found:
                self._ids[user.id] = self._checked("POST", "/Users", _resource(user)).json()["id"]
                self._users[user.id] = wanted
                return
            self._ids[user.id] = found[0]["id"]
            self._checked("GET", f"/Users/{self._ids[user.id]}")
        if different := changed(self._users.get(user.id, {}), wanted):
            self._checked("PATCH", f"/Users/{self._ids[user.id]}", self._patch(different))
            self._users[user.id] = {**self._users.get(user.id, {}), **wanted}

    def _patch(self, different: dict[str, Any]) -> dict[str, Any]:
        """Without the flag one operation a path, with strings for booleans; with it, what has no value filter in one path-less operation."""
        if not self._flag:
            operations = [
                {"op": "Replace", "path": name, "value": str(value) if isinstance(value, bool) else value}
                for name, value in different.items()
            ]
        else:
            operations = [
                {"op": "replace", "path": name, "value": value} for name, value in different.items() if "[" in name
            ]
            if plain := {name: value for name, value in different.items() if "[" not in name}:
                operations.append({"op": "replace", "value": plain})
        return {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations}

    def _manager(self, user: PushUser) -> None:
        boss = self._ids.get(user.manager_id or "")
        if boss is None or self._users[user.id].get("manager") == boss:
            return
        target = self._ids[user.id]
        probe = self._checked("GET", "/Users", query={"filter": f'id eq "{target}" and manager eq "{boss}"'})
        if not probe.json()["totalResults"]:
            path, value = (
                (f"{ENTERPRISE}:manager", boss) if self._flag else ("manager", [{"$ref": None, "value": boss}])
            )
            operation = {"op": "add" if self._flag else "Add", "path": path, "value": value}
            self._checked("PATCH", f"/Users/{target}", {"Operations": [operation]})
        self._users[user.id]["manager"] = boss

    def _group(self, group: PushGroup) -> None:
        if group.id not in self._ids:
            query = {"excludedAttributes": "members", "filter": f'displayName eq "{group.name}"'}
            found = self._checked("GET", "/Groups", query=query).json()["Resources"]
            body = {
                "schemas": [f"{CORE}:Group", OLD_GROUP],
                "externalId": group.id,
                "displayName": group.name,
                "meta": {"resourceType": "Group"},
            }
            self._ids[group.id] = found[0]["id"] if found else self._checked("POST", "/Groups", body).json()["id"]
            self._groups[group.id] = (group.name, frozenset())
        name, sent = self._groups[group.id]
        target = self._ids[group.id]
        if name != group.name:
            self._checked("PATCH", f"/Groups/{target}", self._patch({"displayName": group.name}))
            self._groups[group.id] = (group.name, sent)
        wanted = frozenset(member for member in group.members if member in self._ids)
        for change, members in (("add", wanted - sent), ("remove", sent - wanted)):
            self._members(target, change, sorted(self._ids[each] for each in members if each in self._ids))
        self._groups[group.id] = (group.name, wanted)

    def _members(self, target: str, change: str, ids: list[str]) -> None:
        for start in range(0, len(ids), BATCH):
            part = ids[start : start + BATCH]
            if self._flag and change == "remove":
                operations: list[dict[str, Any]] = [
                    {"op": "remove", "path": f'members[value eq "{each}"]'} for each in part
                ]
            else:
                op = change if self._flag else change.title()
                values = [{"$ref": None, "value": each} for each in part]
                operations = [{"op": op, "path": "members", "value": values}]
            self._checked("PATCH", f"/Groups/{target}", {"Operations": operations})

    def _checked(
        self, method: str, path: str, body: Any = None, *, tolerate: int = 0, query: dict[str, str] | None = None
    ) -> httpx.Response:
        answer = self._send(method, path, body, query)
        if answer.status_code != tolerate:
            answer.raise_for_status()
        return answer

    def _send(self, method: str, path: str, body: Any = None, query: dict[str, str] | None = None) -> httpx.Response:
        params = {FLAG: "", **(query or {})} if self._flag else query
        headers = {"User-Agent": "", "Content-Type": "application/scim+json"}
        answer = self._client.request(method, self._base + path, json=body, params=params, headers=headers)
        self.calls.note(method, path.split("/")[1], answer.status_code)
        return answer


def _attributes(user: PushUser) -> dict[str, Any]:
    """The default mapping, by path; None is skipped."""
    return {
        "userName": user.user_name,
        "active": user.provisioned,
        "displayName": f"{user.given_name} {user.family_name}",
        "title": user.title,
        'emails[type eq "work"].value': user.user_name,
        "name.givenName": user.given_name,
        "name.familyName": user.family_name,
        "externalId": user.user_name.partition("@")[0],
        f"{ENTERPRISE}:employeeNumber": user.id,
        "userType": user.user_type,
    }


def _resource(user: PushUser) -> dict[str, Any]:
    return {
        "schemas": [f"{CORE}:User", ENTERPRISE],
        "externalId": user.user_name.partition("@")[0],
        "userName": user.user_name,
        "active": True,
        "addresses": None,
        "displayName": f"{user.given_name} {user.family_name}",
        "emails": [{"primary": True, "type": "work", "value": user.user_name}],
        "meta": {"resourceType": "User"},
        "name": {"familyName": user.family_name, "formatted": None, "givenName": user.given_name},
        "roles": [],
        "title": user.title,
        "userType": user.user_type,
        ENTERPRISE: {"employeeNumber": user.id},
    }
