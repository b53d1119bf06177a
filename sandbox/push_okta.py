"""Pushes a directory as Okta's SCIM client does: catalogue apps (PATCH to switch) and wizard apps (PUT for everything), with its rules of waiting."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx

from sandbox.push_people import Calls, PushDirectory, PushGroup, PushUser

AGENT = "Okta SCIM Client 1.0.0"
CORE = "urn:ietf:params:scim:schemas:core:2.0"
ATTEMPTS = 10
WAIT_SECONDS = 300.0  # when Retry-After is missing or no whole number
PAGE = 100


class Okta:
    """One app of one org. `wizard`: made with the App Integration Wizard."""

    def __init__(
        self,
        client: httpx.Client,
        *,
        wizard: bool = False,
        base: str = "/scim/v2",
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._wizard = wizard
        self._base = base
        self._sleep = sleep
        self._ids: dict[str, str] = {}
        self._users: dict[str, PushUser] = {}
        self._groups: dict[str, PushGroup] = {}
        self.calls = Calls()

    def cycle(self, directory: PushDirectory) -> Calls:
        """Everything that changed since the last cycle; the first error of an object stops that object only."""
        self.calls = Calls()
        for user in directory.users.values():
            if self._users.get(user.id) != user:
                self._user(user)
        for group in directory.groups.values():
            if self._groups.get(group.id) != group:
                self._group(group)
        for gone in set(self._groups) - set(directory.groups):
            self._send("DELETE", f"/Groups/{self._ids.pop(gone)}")
            del self._groups[gone]
        return self.calls

    def imported(self) -> list[dict[str, Any]]:
        """An import: all users, a hundred at a time."""
        found: list[dict[str, Any]] = []
        while True:
            page = self._send("GET", f"/Users?startIndex={len(found) + 1}&count={PAGE}").json()
            found += page["Resources"]
            if len(found) >= page["totalResults"] or not page["Resources"]:
                return found

    def _user(self, user: PushUser) -> None:
        target = self._ids.get(user.id)
        if target is None:
            if not user.provisioned:
                return
            lookup = self._send("GET", f'/Users?filter=userName eq "{user.user_name}"&startIndex=1&count=100')
            found = lookup.json()["Resources"] if lookup.status_code == 200 else []
            answer = None if found else self._send("POST", "/Users", _resource(user))
            if answer is not None and answer.status_code >= 400:
                return
            target = self._ids[user.id] = found[0]["id"] if found else answer.json()["id"]  # type: ignore[union-attr] # there is an answer where nothing was found
            if not found:
                self._users[user.id] = user
                return
        before = self._users.get(user.id)
        switched = before is not None and before.provisioned != user.provisioned
        if switched and not self._wizard:
            operation = {"op": "replace", "value": {"active": user.provisioned}}
            done = self._send("PATCH", f"/Users/{target}", {"schemas": [], "Operations": [operation]})
        elif not user.provisioned and not switched:
            return  # nothing is sent on suspension or on later deletion
        else:
            whole = self._send("GET", f"/Users/{target}").json()
            done = self._send("PUT", f"/Users/{target}", {**whole, **_resource(user), "groups": []})
        if done.status_code < 400:
            self._users[user.id] = user

    def _group(self, group: PushGroup) -> None:
        values = [{"value": self._ids[each], "display": each} for each in sorted(group.members) if each in self._ids]
        before = self._groups.get(group.id)
        if before is None:
            found = self._send("GET", f'/Groups?filter=displayName eq "{group.name}"').json()["Resources"]
            body = {"schemas": [f"{CORE}:Group"], "displayName": group.name, "members": values}
            answer = None if found else self._send("POST", "/Groups", body)
            if answer is not None and answer.status_code >= 400:
                return
            self._ids[group.id] = found[0]["id"] if found else answer.json()["id"]  # type: ignore[union-attr] # as above
        elif self._wizard:
            body = {"id": self._ids[group.id], "displayName": group.name, "members": values}
            self._send("PUT", f"/Groups/{self._ids[group.id]}", body)
        else:
            target = self._ids[group.id]
            name = {"op": "replace", "value": {"id": target, "displayName": group.name}}
            self._send("PATCH", f"/Groups/{target}", {"Operations": [name]})
            gone = sorted(self._ids[each] for each in before.members - group.members if each in self._ids)
            fresh = sorted(self._ids[each] for each in group.members - before.members if each in self._ids)
            operations: list[dict[str, Any]] = [
                {"op": "remove", "path": f'members[value eq "{each}"]'} for each in gone
            ]
            if fresh:
                operations.append({"op": "add", "path": "members", "value": [{"value": each} for each in fresh]})
            if operations:
                self._send("PATCH", f"/Groups/{target}", {"Operations": operations})
        self._groups[group.id] = group

    def _send(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """A request; 429 is waited for as Okta does, doubling, ten attempts at most."""
        wait = 0.0
        for attempt in range(ATTEMPTS):
            headers = {"User-Agent": AGENT, "Content-Type": "application/scim+json; charset=utf-8"}
            answer = self._client.request(method, self._base + path, json=body, headers=headers)
            self.calls.note(method, path.split("/")[1].partition("?")[0], answer.status_code)
            if answer.status_code != 429 or attempt == ATTEMPTS - 1:
                break
            told = answer.headers.get("retry-after", "")
            wait = wait * 2 or (float(told) if told.isdigit() else WAIT_SECONDS)
            self._sleep(wait)
        return answer


def _resource(user: PushUser) -> dict[str, Any]:
    return {
        "schemas": [f"{CORE}:User"],
        "userName": user.user_name,
        "name": {"givenName": user.given_name, "familyName": user.family_name},
        "emails": [{"primary": True, "value": user.user_name, "type": "work"}],
        "displayName": f"{user.given_name} {user.family_name}",
        "title": user.title or "",
        "userType": user.user_type or "",
        "locale": "en-US",
        "externalId": user.id,
        "groups": [],
        "password": "placeholder-0",
        "active": user.provisioned,
    }
