"""Starts a sync soon after a push: keeps the warm runner alive, hands it what moved, and asks Prefect where the runner does not deliver."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from flows.prefect_api import MOVED, PrefectApi
from flows.windows import Windows

log = logging.getLogger("onefold.soon")
LATE_SECONDS = 15.0  # without an answer of the runner: then Prefect is asked too
STOP_SECONDS = 120.0  # for the run under way when the service stops
PAUSES = (1.0, 2.0, 5.0, 15.0, 60.0)  # before a runner that died is started again


class _EndedError(Exception):
    """The runner is gone."""


@dataclass(slots=True)
class Soon:
    """One service's trigger. `command` starts the runner; None: pushes are only told to Prefect. `moved` is called on the event loop."""

    command: Sequence[str] | None
    directory: str
    windows: Windows = field(default_factory=Windows)
    prefect: PrefectApi | None = None
    answers: list[dict[str, Any]] = field(default_factory=list)  # of the last runs, newest last; for tests and the log
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _taken: tuple[list[str], bool] = field(default_factory=lambda: ([], False))

    def moved(self, tenant: str, _seq: int, reduces: bool) -> None:  # noqa: FBT001 - the service calls it by position
        """A push to `tenant` was committed."""
        self.windows.moved(tenant, reduces=reduces, now=asyncio.get_running_loop().time())
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled."""
        if self.command is None:
            while True:
                tenants, reduces = await self._closed()
                await self._ask_prefect(tenants, reduces=reduces)
        deaths = 0
        while True:
            process = await asyncio.create_subprocess_exec(
                *self.command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
            )
            try:
                before = len(self.answers)
                with suppress(_EndedError, ConnectionError):
                    await self._drive(process)
                deaths = 0 if len(self.answers) > before else deaths + 1
            finally:
                await _stop(process)
            pause = PAUSES[min(deaths, len(PAUSES)) - 1] if deaths else PAUSES[0]
            log.warning("the sync runner ended with %s; it starts again in %g s", process.returncode, pause)
            await self._back()
            await asyncio.sleep(pause)

    async def _drive(self, process: asyncio.subprocess.Process) -> None:
        """Hands windows to a living runner. _EndedError when it is gone."""
        hello = await _heard(process)
        loop = asyncio.get_running_loop()
        for tenant in hello.get("behind", []):
            self.windows.moved(tenant, reduces=True, now=loop.time())
        while True:
            closing = asyncio.ensure_future(self._closed())
            ended = asyncio.ensure_future(process.wait())
            await asyncio.wait({closing, ended}, return_when=asyncio.FIRST_COMPLETED)
            if not closing.done():
                closing.cancel()
                raise _EndedError
            ended.cancel()
            self._taken = closing.result()
            await self._one(process)
            self._taken = [], False

    async def _one(self, process: asyncio.subprocess.Process) -> None:
        tenants, reduces = self._taken
        assert process.stdin is not None  # noqa: S101 - it was asked for as a pipe
        process.stdin.write(json.dumps({"tenants": tenants, "reduces": reduces}).encode() + b"\n")
        await process.stdin.drain()
        hearing = asyncio.ensure_future(_heard(process))
        try:
            done, _ = await asyncio.wait({hearing}, timeout=LATE_SECONDS)
            if not done:
                await self._ask_prefect(tenants, reduces=reduces)
            heard = await hearing
        finally:
            hearing.cancel()
        self.answers = [*self.answers[-99:], heard]
        log.info("sync after a push: %s", json.dumps(heard))

    async def _back(self) -> None:
        """What the dead runner was given waits again, at once, and Prefect may do it meanwhile."""
        tenants, reduces = self._taken
        self._taken = [], False
        if tenants:
            now = asyncio.get_running_loop().time()
            for tenant in tenants:
                self.windows.moved(tenant, reduces=True, now=now)
            await self._ask_prefect(tenants, reduces=reduces)

    async def _closed(self) -> tuple[list[str], bool]:
        """Waits until the window closes and takes it."""
        loop = asyncio.get_running_loop()
        while True:
            self._wake.clear()
            due = self.windows.due()
            if due is not None and due <= loop.time():
                return self.windows.take()
            with suppress(
                TimeoutError
            ):  # not wait_for: in Python 3.11 it loses a cancellation that comes with the wake
                async with asyncio.timeout_at(due):
                    await self._wake.wait()

    async def _ask_prefect(self, tenants: list[str], *, reduces: bool) -> None:
        """The second trigger: an event that the deployment `pushed` waits for."""
        if self.prefect is not None:
            payload = {"tenants": tenants, "reduces": reduces}
            await asyncio.to_thread(self.prefect.emit, MOVED, self.directory, payload)


def runner(config: str) -> list[str]:
    """The command line of the runner."""
    return [sys.executable, "-m", "flows.runner", config]


async def _heard(process: asyncio.subprocess.Process) -> dict[str, Any]:
    """The runner's next line. _EndedError when there is none."""
    assert process.stdout is not None  # noqa: S101 - it was asked for as a pipe
    line = await process.stdout.readline()
    if not line:
        raise _EndedError
    heard: dict[str, Any] = json.loads(line)
    return heard


async def _stop(process: asyncio.subprocess.Process) -> None:
    """Lets the run under way end; kills a runner that does not."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
