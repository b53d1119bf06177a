"""Failed credentials, counted per source address. Who fails too often is told to wait; who knows a valid token never is."""

from __future__ import annotations

import time
from collections.abc import Callable

from connectors.inbox import statements as sql
from connectors.inbox.asking import Operation
from connectors.inbox.wire import ScimError

WINDOW_SECONDS = 60
MOST = 20  # failures of one address within the window
ADDRESSES = 10_000  # remembered at a time, so that a flood from many addresses costs bounded memory
KEEP_DAYS = 90


class Throttle:
    """Counts in memory; `taken` hands over what the store has not seen yet."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._windows: dict[str, tuple[float, int]] = {}
        self._unsaved: dict[str, int] = {}

    def failed(self, address: str) -> ScimError:
        """Counts one failure and gives the answer: 401, or 429 with whole seconds to wait."""
        now = self._clock()
        began, many = self._windows.pop(address, (now, 0))
        if now - began >= WINDOW_SECONDS:
            began, many = now, 0
        if len(self._windows) >= ADDRESSES:
            del self._windows[next(iter(self._windows))]
        self._windows[address] = (began, many + 1)
        if address in self._unsaved or len(self._unsaved) < ADDRESSES:
            self._unsaved[address] = self._unsaved.get(address, 0) + 1
        if many >= MOST:
            wait = max(1, int(began + WINDOW_SECONDS - now) + 1)
            return ScimError(429, "too many failed attempts from this address", retry_after=wait)
        return ScimError(401, "the bearer token is missing, wrong, expired or revoked")

    def taken(self) -> dict[str, int]:
        """Failures since the last call, by address."""
        unsaved, self._unsaved = self._unsaved, {}
        return unsaved


def save(day: str, failures: dict[str, int], oldest: str) -> Operation[None]:
    """Adds the counts of a day to the store and forgets what is older than `oldest` (both `YYYY-MM-DD`)."""
    if failures:
        yield sql.FAILED, [(day, address, many) for address, many in sorted(failures.items())]
    yield sql.FAILURES_PRUNE, (oldest,)
