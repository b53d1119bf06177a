"""Real SCIM servers for demo and system tests: `scim2-server`, which is not ours, as a process on loopback, filled over HTTP.

It keeps everything in memory and ends with us. It pages by index, at most 1000 rows at a time, in order of random ids.
"""

from __future__ import annotations

import atexit
import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Protocol, Self

import httpx

GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
WORKERS = 4  # the server answers one at a time; more only wait in its queue
READY_SECONDS, STOP_SECONDS, ASK_SECONDS = 30.0, 5.0, 0.05
STARTS = 3  # a free port may be taken before the server binds it
PLACEHOLDER = re.compile(r"\{(user|group):([^{}]+)\}")
LOOKUP = {"user": ("Users", "userName"), "group": ("Groups", "displayName")}


class GroupSeed(Protocol):
    """A group to be made: its name, user names of its users, names of the groups in it."""

    @property
    def name(self) -> str: ...  # noqa: D102 - said above
    @property
    def users(self) -> Sequence[str]: ...  # noqa: D102 - said above
    @property
    def groups(self) -> Sequence[str]: ...  # noqa: D102 - said above


class RequestSeed(Protocol):
    """One request: `{user:NAME}` and `{group:NAME}` in path and body stand for ids."""

    @property
    def tenant(self) -> str: ...  # noqa: D102 - said above
    @property
    def method(self) -> str: ...  # noqa: D102 - said above
    @property
    def path(self) -> str: ...  # noqa: D102 - said above
    @property
    def body(self) -> Mapping[str, Any]: ...  # noqa: D102 - said above


class EventSeed(Protocol):
    """What happens: requests in their order."""

    @property
    def requests(self) -> Sequence[RequestSeed]: ...  # noqa: D102 - said above


class ScimServer:
    """One `scim2-server` process with one tenant, empty at first. Use it as a context manager; `url` is its base URL.

    With `token` it refuses requests without that bearer token. RuntimeError when it does not answer within 30 seconds.
    """

    def __init__(self, name: str, *, token: str | None = None) -> None:
        self.name, self.token = name, token
        self.url = ""
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Starts it, and waits until it answers."""
        atexit.register(self.stop)
        for _ in range(STARTS):
            if self._started():
                return self
            self.stop()
        raise RuntimeError(f"the SCIM server of {self.name} does not answer at {self.url}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Ends the process and waits for its end; again is harmless."""
        atexit.unregister(self.stop)
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _started(self) -> bool:
        """Whether it answers before it ends or READY_SECONDS are over."""
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}/{self.name}/v2"
        words = ["--hostname", "127.0.0.1", "--port", str(port), "--tenant", self.name]
        words += ["--bearer-token", self.token] if self.token else []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "scim2_server.testserver.cli", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,  # it writes a line for each request
        )
        until = time.monotonic() + READY_SECONDS
        with _client(self.url, self.token) as client:
            while time.monotonic() < until and self._process.poll() is None:
                try:
                    return client.get("ServiceProviderConfig").status_code == httpx.codes.OK
                except httpx.TransportError:
                    time.sleep(ASK_SECONDS)
        return False


def seed(
    url: str, users: Sequence[Mapping[str, Any]], groups: Sequence[GroupSeed], *, token: str | None = None
) -> dict[str, str]:
    """Creates users, then groups with their members; returns ids by userName and by displayName.

    A group must come after the groups in it (KeyError). Raises httpx.HTTPStatusError when the server refuses one.
    """
    with _client(url, token) as client:

        def create(user: Mapping[str, Any]) -> tuple[str, str]:
            return str(user["userName"]), _sent(client, "POST", "Users", user)["id"]

        with ThreadPoolExecutor(WORKERS) as pool:
            ids = dict(pool.map(create, users))
        made: dict[str, str] = {}
        for group in groups:
            members = [{"value": ids[name], "type": "User"} for name in group.users]
            members += [{"value": made[name], "type": "Group"} for name in group.groups]
            body = {"schemas": [GROUP], "displayName": group.name, "members": members}
            made[group.name] = _sent(client, "POST", "Groups", body)["id"]
    return {**ids, **made}


def apply_event(urls: Mapping[str, str], event: EventSeed, *, token: str | None = None) -> None:
    """Sends the requests of an event to the servers of their tenants, one after another.

    LookupError when a name is not there exactly once; httpx.HTTPStatusError when a server refuses.
    """
    for request in event.requests:
        with _client(urls[request.tenant], token) as client:

            def look(kind: str, name: str, client: httpx.Client = client) -> str:
                return _id(client, kind, name)

            _sent(client, request.method, _filled(request.path, look), _filled(request.body, look))


def _client(url: str, token: str | None) -> httpx.Client:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    # Loopback: whatever proxy the surroundings name is not asked.
    return httpx.Client(base_url=f"{url}/", headers=headers, timeout=30, trust_env=False)


def _sent(client: httpx.Client, method: str, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
    answer = client.request(method, path, content=json.dumps(body), headers={"Content-Type": "application/scim+json"})
    if answer.is_error:
        raise httpx.HTTPStatusError(
            f"{method} {path}: {answer.status_code} {answer.text}", request=answer.request, response=answer
        )
    found: dict[str, Any] = answer.json() if answer.content else {}
    return found


def _id(client: httpx.Client, kind: str, name: str) -> str:
    """The id of the one user or group of this name."""
    path, attribute = LOOKUP[kind]
    answer = client.get(path, params={"filter": f"{attribute} eq {json.dumps(name)}"}).raise_for_status().json()
    resources = answer.get("Resources", [])
    if len(resources) != 1:
        raise LookupError(f"{len(resources)} {path} with {attribute} {name}")
    return str(resources[0]["id"])


def _filled(value: Any, look: Callable[[str, str], str]) -> Any:
    """The value with every placeholder in its texts replaced by the id it stands for."""
    if isinstance(value, str):
        return PLACEHOLDER.sub(lambda found: look(found[1], found[2]), value)
    if isinstance(value, list):
        return [_filled(each, look) for each in value]
    if isinstance(value, dict):
        return {name: _filled(each, look) for name, each in value.items()}
    return value


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
