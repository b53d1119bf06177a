"""What a stand-in was asked: counts and a log, for tests that say how many writes there may be."""

from __future__ import annotations

import threading
from collections import Counter, deque
from typing import Any

KEPT = 200_000  # log lines


class Audit:
    """Counts requests. A read is a GET; a write is another method answered 2xx, or whose effect was had and answer lost.

    `effects` are the writes after which something was different: a member put into a group twice is two writes and one effect.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Forgets everything; numbering starts at 1 again."""
        with self._lock:
            self._n = self._reads = self._writes = self._effects = self._cookies = 0
            self._by_route: Counter[str] = Counter()
            self._log: deque[dict[str, Any]] = deque(maxlen=KEPT)

    def note(
        self, *, method: str, path: str, route: str, status: int, wrote: bool, effect: bool, fault: str, cookie: bool
    ) -> None:
        """One request that has been handled; status 0: no answer was sent."""
        with self._lock:
            self._n += 1
            self._reads += method == "GET"
            self._writes += wrote
            self._effects += effect
            self._cookies += cookie
            self._by_route[f"{method} {route}"] += 1
            line = {"n": self._n, "method": method, "path": path, "status": status, "effect": effect}
            self._log.append({**line, "fault": fault} if fault else line)

    def report(self) -> dict[str, Any]:
        """`{"reads", "writes", "effects", "cookies", "by_route": {"PUT /…": n}, "log": [{n, method, path, status, effect, fault?}]}`."""
        with self._lock:
            return {
                "reads": self._reads,
                "writes": self._writes,
                "effects": self._effects,
                "cookies": self._cookies,
                "by_route": dict(sorted(self._by_route.items())),
                "log": list(self._log),
            }
