"""When the next request may go out: our own token bucket, a mirror of the vendor's, and what `Retry-After` says. No HTTP here."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

# A blocked user of Jira or Confluence is told to come back in 2^63-1 seconds: above a day nobody waits, a human must act.
ABSURD_SECONDS = 86_400.0


class Bucket:
    """Tokens that refill at `rate` per second up to `burst`. Taking one may leave a debt, which is the time to wait."""

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate = rate
        self.burst = max(1.0, burst)
        self._clock = clock
        self._tokens = self.burst
        self._at = clock()

    def take(self) -> float:
        """Takes one token; returns the seconds to wait before using it."""
        self._refill()
        self._tokens -= 1.0
        return max(0.0, -self._tokens / self.rate)

    def lower(self, tokens: float) -> None:
        """The vendor counts fewer tokens than we do: it is right."""
        self._refill()
        self._tokens = min(self._tokens, tokens)

    def _refill(self) -> None:
        now = self._clock()
        self._tokens = min(self.burst, self._tokens + (now - self._at) * self.rate)
        self._at = now


class Pace:
    """Seconds to wait before each request, for any number of threads.

    Our own rate is a ceiling. Beside it stands a mirror of the vendor's bucket, learnt from the Data Center headers
    `X-RateLimit-Limit`, `-Remaining`, `-Interval-Seconds` and `-FillRate`
    (confluence.atlassian.com/conf87/_ratelimiting_httpheaders-1333822054.html): while the vendor's tokens last, only our
    rate counts; then requests go out as fast as its bucket refills, so that none is refused.
    """

    def __init__(self, rate: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._own = Bucket(rate, rate, clock) if rate else None
        self._vendor: Bucket | None = None
        self._flying = 0
        self._not_before = 0.0

    def wait(self) -> float:
        """Reserves the next request; returns the seconds to wait first. Each call is followed by one `landed`."""
        with self._lock:
            self._flying += 1
            waits = [each.take() for each in (self._own, self._vendor) if each]
            return max([self._not_before - self._clock(), 0.0, *waits])

    def landed(self, headers: Mapping[str, str]) -> None:
        """Learns from the headers of an answer; pass none when there was no answer."""
        limit = number(headers.get("x-ratelimit-limit"))
        fill = number(headers.get("x-ratelimit-fillrate"))
        interval = number(headers.get("x-ratelimit-interval-seconds"))
        remaining = number(headers.get("x-ratelimit-remaining"))
        with self._lock:
            self._flying -= 1
            if not (limit and fill and interval):
                return
            if self._vendor is None or (self._vendor.rate, self._vendor.burst) != (fill / interval, max(1.0, limit)):
                self._vendor = Bucket(fill / interval, limit, self._clock)
            if remaining is not None:
                self._vendor.lower(remaining - self._flying)

    def pause(self, seconds: float) -> None:
        """Nobody sends for that long: the vendor said so."""
        with self._lock:
            self._not_before = max(self._not_before, self._clock() + seconds)


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds that the vendor asks us to wait, or None where it does not say.

    `Retry-After` as seconds or HTTP date (RFC 9110, 10.2.3), else `X-RateLimit-Reset` / `X-Rate-Limit-Reset` as epoch or
    ISO 8601. Data Center sends `Retry-After: 0` while tokens remain: that is no wish.
    """
    moment = now or datetime.now(UTC)
    value = headers.get("retry-after", "").strip()
    if value:
        seconds = number(value)
        if seconds is None:
            at = _http_date(value)
            seconds = (at - moment).total_seconds() if at else None
        if seconds is not None and seconds > 0:
            return seconds
    reset = headers.get("x-ratelimit-reset") or headers.get("x-rate-limit-reset")
    at = instant(reset) if reset else None
    if at is not None and (seconds := (at - moment).total_seconds()) > 0:
        return seconds
    return None


def blocked(headers: Mapping[str, str]) -> bool:
    """True when the vendor gives this account no requests at all (limit 0, or a wait that no one will live to see)."""
    wait = retry_after(headers)
    return number(headers.get("x-ratelimit-limit")) == 0 or (wait is not None and wait > ABSURD_SECONDS)


def number(text: str | None) -> float | None:
    """A header's number, or None where it is none."""
    try:
        number = float(text) if text else None
    except ValueError:
        return None
    return number if number is None or number == number else None  # noqa: PLR0124 - NaN is what differs from itself


def _http_date(text: str) -> datetime | None:
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def instant(text: str) -> datetime | None:
    """A moment written as epoch seconds or ISO 8601 (UTC where no zone is said), or None."""
    epoch = number(text)
    try:
        if epoch is not None:
            return datetime.fromtimestamp(epoch, UTC)
        at = datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError):
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
