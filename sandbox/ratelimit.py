"""The token bucket of Jira and Confluence Data Center, with its headers: one bucket per user (conf87/_ratelimiting_httpheaders)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

NEVER = 9223372036854775807  # seconds that a blocked user is told to wait


@dataclass(frozen=True)
class Rate:
    """`limit` tokens at most, `fill` more every `interval` seconds. A limit of 0 blocks the user for ever."""

    limit: int = 10_000
    fill: int = 5_000
    interval: int = 1


class Buckets:
    """A bucket per user name. Rate None: no limiting, no headers."""

    def __init__(self, rate: Rate | None, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate = rate
        self._clock = clock
        self._held: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def take(self, name: str) -> tuple[bool, dict[str, str]]:
        """Takes a token: whether there was one, and the headers of the answer."""
        rate = self.rate
        if rate is None:
            return True, {}
        with self._lock:
            tokens, at = self._held.get(name, (float(rate.limit), self._clock()))
            periods = int((self._clock() - at) / rate.interval)  # the bucket is filled in steps, not in drops
            tokens, at = min(float(rate.limit), tokens + periods * rate.fill), at + periods * rate.interval
            granted = tokens >= 1
            tokens -= granted
            self._held[name] = (tokens, at)
            wait = 0 if tokens >= 1 else max(1, round(at + rate.interval - self._clock()))
        return granted, {
            "X-RateLimit-Limit": str(rate.limit),
            "X-RateLimit-Remaining": str(int(tokens)),
            "X-RateLimit-Interval-Seconds": str(rate.interval),
            "X-RateLimit-FillRate": str(rate.fill if rate.limit else 0),
            "Retry-After": str(wait if rate.limit else NEVER),
        }
