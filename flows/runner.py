"""The warm runner: a process that `onefold serve` keeps, with everything imported, to run the plain order as soon as something was pushed.

Speaks JSON lines: says `{"ready": true, "behind": […]}` once, then takes `{"tenants": […]}` on stdin and answers each with how
its run ended. Ends when stdin does, after the run under way.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TextIO

import duckdb

from connectors.inbox.reading import watermarks
from core.errors import InUseError, OnefoldError
from flows import order
from flows.cli import exit_code
from flows.exits import Exit
from flows.open import open_installation
from flows.prefect_api import PrefectApi
from state.control import Control
from tasks.inbox_config import inbox_store, inbox_tenants
from tasks.installation import Installation
from tasks.publish import publish

log = logging.getLogger("onefold.runner")
APART = timedelta(minutes=5)  # between two snapshots of runs that follow one another
BUSY_SECONDS = 0.25
NICENESS = (
    5  # the service beside us answers first: a provider that waits 50 ms is late, a sync that takes 50 ms longer is not
)
TOLD_AFTER = 10.0  # seconds of waiting for another run before the log says so


@dataclass(slots=True)
class Publishing:
    """The step `publish` of runs that may come every few seconds: at most one snapshot in five minutes, the last one not lost."""

    write: Callable[[Installation], object] = publish
    _at: datetime | None = None
    _owed: Installation | None = None

    def __call__(self, inst: Installation) -> None:
        """Publishes when the last time is long enough ago; otherwise owes it."""
        self._owed = inst
        self.pay(inst.clock())

    def pay(self, now: datetime | None = None) -> None:
        """Publishes what is owed when it is due; without `now` whatever the time."""
        if self._owed is None or (now is not None and self._at is not None and now - self._at < APART):
            return
        self.write(self._owed)
        self._at, self._owed = self._owed.clock(), None


def behind(inst: Installation) -> list[str]:
    """Inbox tenants whose newest push no run has taken yet, such as those pushed while nobody ran."""
    marks, late = watermarks(inbox_store(inst)), []
    for name in sorted(inbox_tenants(inst)):
        taken = (Control.cursor(inst.state, name) or "").rpartition(":")[2]
        if marks.get(name, 0) and taken != str(marks[name]):
            late.append(name)
    return late


def run(inst: Installation, tenants: list[str], publishing: Publishing) -> order.Result:
    """One sync of the tenants that were pushed to, as `run.scheduled` allows. Waits while another run writes the state."""
    steps = replace(order.PLAIN, publish=publishing)
    what = order.What(tenants=[name for name in tenants if name in inst.config.tenants])
    began = told = time.monotonic()
    while True:
        try:
            return order.sync(inst, what, apply=inst.config.settings.run.scheduled == "apply_safe", steps=steps)
        except InUseError as busy:
            if time.monotonic() - told > TOLD_AFTER:
                told = time.monotonic()
                log.warning("waiting since %.0f s: %s", told - began, busy)
            time.sleep(BUSY_SECONDS)


def answer(config: Path, asked: dict[str, Any], publishing: Publishing) -> dict[str, Any]:
    """Runs once and tells how it ended; an error of ours is an answer too."""
    began = time.monotonic()
    try:
        inst = open_installation(config)
        result = run(inst, list(asked["tenants"]), publishing)
    except (OnefoldError, duckdb.Error) as error:
        log.warning("a sync after a push failed: %s", error)
        code = exit_code(error) if isinstance(error, OnefoldError) else Exit.UNEXPECTED
        return {"tenants": asked["tenants"], "exit": int(code), "problem": str(error), "seconds": _since(began)}
    document: dict[str, Any] = {
        "tenants": asked["tenants"],
        "run_id": result.run_id,
        "exit": int(result.exit),
        "applied": result.applied.applied if result.applied else 0,
        "failed": result.applied.failed if result.applied else 0,
        "seconds": _since(began),
    }
    if (server := PrefectApi.configured()) is not None:
        threading.Thread(
            target=server.report, args=(inst, "sync", result), kwargs={"started_by": "inbox"}, daemon=True
        ).start()
    return document


def _since(began: float) -> float:
    return round(time.monotonic() - began, 3)


def _lines(source: TextIO, publishing: Publishing, clock: Callable[[], datetime]) -> Iterator[dict[str, Any]]:
    """Requests as they come; between two of them what is owed is published."""
    waiting: queue.Queue[str | None] = queue.Queue()

    def listen() -> None:
        for line in source:
            waiting.put(line)
        waiting.put(None)

    threading.Thread(target=listen, daemon=True).start()
    while True:
        try:
            line = waiting.get(timeout=5.0)
        except queue.Empty:
            publishing.pay(clock())
            continue
        if line is None:
            return
        yield json.loads(line)


def main() -> int:
    """`python -m flows.runner CONFIG`, started by `onefold serve`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's; `serve` ends us by closing stdin
    logging.basicConfig(stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    os.nice(NICENESS)
    config, out = Path(sys.argv[1]), sys.stdout
    sys.stdout = sys.stderr  # stdout is for answers alone
    inst = open_installation(config)
    publishing = Publishing()

    def say(document: dict[str, Any]) -> None:
        out.write(json.dumps(document) + "\n")
        out.flush()

    say({"ready": True, "behind": behind(inst)})
    for asked in _lines(sys.stdin, publishing, inst.clock):
        say(answer(config, asked, publishing))
    publishing.pay()
    return 0


if __name__ == "__main__":
    sys.exit(main())
