"""The demo's partner: a provider that pushes SCIM to a served inbox, and how long it takes until Jira knows. Nothing here runs a command after a push.

The inbox is the `onefold serve` of an admin: a process of its own, which keeps the warm runner that writes.
"""

from __future__ import annotations

import atexit
import json
import random
import select
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from sandbox.push_entra import Entra
from sandbox.push_people import PushDirectory, PushGroup, PushUser
from sandbox.serve import Sandbox
from sandbox.world import World
from sandbox.world_names import deck

DOMAIN = "partner.example"
GROUP = "Jira-Partners"
PEOPLE = 40
START_SECONDS, STOP_SECONDS, LOOK_SECONDS = 60.0, 60.0, 0.05


class Served:
    """`onefold serve` as a process over one config, on a free port of loopback. A context manager; `url` is the SCIM base URL.

    RuntimeError when it does not say within a minute where it listens. What it logs goes to `serve.log` beside the config.
    """

    def __init__(self, config: Path, environment: Mapping[str, str]) -> None:
        self._config, self._environment = config, environment
        self._process: subprocess.Popen[str] | None = None
        self.url = ""

    def __enter__(self) -> Self:
        """Starts it, and waits until it listens."""
        atexit.register(self.stop)
        command = [sys.executable, "-m", "flows", "serve", "--port", "0", "--quiet", "--json"]
        with (self._config.parent / "serve.log").open("w") as told:
            self._process = subprocess.Popen(
                [*command, "--config", str(self._config)],
                env=dict(self._environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=told,
                text=True,
            )
        out = self._process.stdout
        line = out.readline() if out and select.select([out], [], [], START_SECONDS)[0] else ""
        if not line:
            self.stop()
            raise RuntimeError(f"onefold serve did not start:\n{(self._config.parent / 'serve.log').read_text()}")
        self.url = json.loads(line)["url"]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Ends it and its runner, which ends when its stdin does; again is harmless."""
        if (process := self._process) is None:
            return
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()
        self._process = None  # only now: a signal in the middle leaves the rest to the end of this process
        atexit.unregister(self.stop)


def people(world: World) -> PushDirectory:
    """The partner's directory: people whom nobody else knows, all in one group. The same for the same world."""
    known = {each.login for each in (*world.people, world.joiner)} | {each.login for each in world.strangers}
    names = (each for each in deck(random.Random(f"{world.seed}/partner")) if each.login not in known)
    users = {}
    for place in range(1, PEOPLE + 1):
        name = next(names)
        user = PushUser(f"P{place:04}", f"{name.login}@{DOMAIN}", name.given, name.family)
        users[user.id] = user
    return PushDirectory(users, {"jira": PushGroup("jira", GROUP, frozenset(users))})


@dataclass
class Partner:
    """A provider with a token, what it holds, and the stand-ins to look at."""

    directory: PushDirectory
    provider: Entra
    box: Sandbox

    @classmethod
    def of(cls, world: World, client: httpx.Client, box: Sandbox) -> Self:
        """A partner of that world behind a client that has the inbox's address and the token."""
        return cls(people(world), Entra(client, base=""), box)

    def push_all(self) -> tuple[int, float]:
        """The provider's first cycle; how many users Jira was given, and after how many seconds it held them all."""
        self.provider.test_connection()
        calls = self.provider.cycle(self.directory)
        if calls.failed:
            raise RuntimeError(f"the inbox refused {calls.failed}")
        return len(self.directory.users), self._until(lambda: self._active("jira") == len(self.directory.users), 120)

    def push_leaver(self) -> tuple[str, dict[str, float]]:
        """One user is disabled at the provider; who, and after how many seconds each target had it disabled."""
        leaver = next(iter(self.directory.users.values()))
        self.directory.users[leaver.id] = replace(leaver, active=False)
        began, took = time.monotonic(), {}
        self.provider.cycle(self.directory)
        for target in ("jira", "confluence"):
            self._until(lambda target=target: self._active(target) == len(self.directory.users) - 1, 60)  # type: ignore[misc] # mypy infers no lambda with a default
            took[target] = round(time.monotonic() - began, 1)
        return f"{leaver.given_name} {leaver.family_name}", took

    def _active(self, target: str) -> int:
        """How many of the partner's people are active there."""
        users = self.box.state(target)["users"]
        return sum(each["active"] and each["email"].endswith(f"@{DOMAIN}") for each in users)

    def _until(self, done: Callable[[], bool], seconds: float) -> float:
        """Waits until it is so; how long it took. RuntimeError when it never is."""
        began = time.monotonic()
        while not done():
            if time.monotonic() - began > seconds:
                raise RuntimeError(f"what the partner pushed has not arrived after {seconds:g} seconds")
            time.sleep(LOOK_SECONDS)
        return round(time.monotonic() - began, 1)
