"""Starts the stand-ins on loopback: as a context manager in this process for tests, or until a signal for a command."""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sandbox import confluence_dc, jira_dc
from sandbox.confluence_dc import ConfluenceDc
from sandbox.faults import read
from sandbox.jira_dc import JiraDc
from sandbox.people import existing
from sandbox.providers import Providers, tenants
from sandbox.ratelimit import Rate
from sandbox.standin import Standin
from sandbox.wire import Server

TOKENS = {"jira": "jira-token-of-the-sandbox", "confluence": "confluence-token-of-the-sandbox"}
USERS = 150
ROOMY = Rate()


class Sandbox:
    """Jira and Confluence on 127.0.0.1, in threads of this process; everything is forgotten at the end.

    `seed`: `{"jira": …, "confluence": …}`, or one seed for both; without one 150 users of `people.existing`. A seed has
    `users` [{name, email, display_name, active, directory, groups; key, leads}], `groups` [name or {name, directory,
    groups}], `seats`, `default_groups`, `admin`; and may have `tokens` {token: user name}, `directories` {name:
    read_write, read_only or read_only_local_groups}, `shadows` [{name, directory, active}] and what `JiraDc` and
    `ConfluenceDc` name. `rate`: the token bucket of each user, None for none. Port 0: any free ones, else Confluence
    gets the next.
    """

    def __init__(
        self,
        seed: Mapping[str, Any] | None = None,
        faults: Iterable[Mapping[str, Any]] | Path | None = None,
        jira_version: str = "10.3",
        port: int = 0,
        *,
        confluence_version: str = "10",
        rate: Rate | None = ROOMY,
    ) -> None:
        seed = existing(1, USERS) if seed is None else seed
        rules = read(faults) if isinstance(faults, Path) else list(faults or ())
        self._port = port
        self._servers: list[Server] = []
        self.jira = JiraDc(
            seed.get("jira", seed),
            token=TOKENS["jira"],
            version=jira_dc.VERSIONS.get(jira_version, jira_version),
            rate=rate,
            faults=rules,
        )
        self.confluence = ConfluenceDc(
            seed.get("confluence", seed),
            token=TOKENS["confluence"],
            version=confluence_dc.VERSIONS.get(confluence_version, confluence_version),
            rate=rate,
            faults=rules,
        )
        self._all: dict[str, Standin] = {"jira": self.jira, "confluence": self.confluence}

    def __enter__(self) -> Self:
        """Listens; from now on both have a `url` and answer."""
        for place, standin in enumerate(self._all.values()):
            server = Server(standin.answer, self._port + place if self._port else 0)
            standin.url = f"http://127.0.0.1:{server.port}{standin.context}"
            server.start()
            self._servers.append(server)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each in self._servers:
            each.stop()
        self._servers.clear()

    def state(self, name: str) -> dict[str, Any]:
        """Everything `jira` or `confluence` holds: `kind`, `users` by key, `groups`, `edges` [[group, user name]], `roles`."""
        return self._all[name].state()

    def audit(self, name: str) -> dict[str, Any]:
        """What was asked since the last `reset_audit`; see `audit.Audit.report`."""
        return self._all[name].audit.report()

    def reset_audit(self) -> None:
        """Counts from zero at both."""
        for each in self._all.values():
            each.audit.reset()

    def faults(self, rules: Iterable[Mapping[str, Any]]) -> None:
        """Puts these rules in force at both; an empty list ends all faults. ValueError when one is wrong."""
        wanted = list(rules)
        for each in self._all.values():
            each.faults.replace(wanted)

    def announcement(self) -> dict[str, dict[str, str]]:
        """`{"jira": {"url", "token", "kind"}, "confluence": {…}}`."""
        return {name: {"url": each.url, "token": each.token, "kind": each.kind} for name, each in self._all.items()}


def serve(*, faults: Path | None, seed: int, users: int, port: int, version: str) -> None:
    """Prints one line of JSON with every URL and credential, then serves until SIGTERM or SIGINT.

    ValueError when the fault script is wrong, OSError when the port is taken.
    """
    over = threading.Event()
    before = {each: signal.signal(each, lambda *_: over.set()) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        targets = Sandbox(existing(seed, users), faults, version, port)
        vendors = Providers(tenants(seed), read(faults) if faults else (), port + 2 if port else 0)
        with targets as box, vendors as providers:
            sys.stdout.write(json.dumps({**box.announcement(), **providers.announcement()}) + "\n")
            sys.stdout.flush()
            over.wait()
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
