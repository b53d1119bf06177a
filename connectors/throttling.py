"""How each vendor says "not now": one classifier a vendor, and what its headers let us foresee. Waiting is done in `http`, pacing in `pacing`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from connectors.answer import Answer
from connectors.pacing import blocked, instant, number, retry_after

Clock = Callable[[], datetime]
NO_WORDS = "is throttled"


@dataclass(frozen=True, slots=True)
class Throttled:
    """The vendor did not serve us, and would later. `wait_seconds` None: it does not say when; `for_ever`: it never will."""

    why: str
    wait_seconds: float | None = None
    for_ever: bool = False


Headers = Mapping[str, str]
Classify = Callable[[Answer], Throttled | None]


def _nothing(_headers: Headers) -> float:
    return 0.0


def standard(answer: Answer) -> Throttled | None:
    """429 with what `Retry-After` or a reset header says. A limit of 0, or a wait of more than a day, is for ever."""
    if answer.status != 429:
        return None
    return Throttled(f"{NO_WORDS} (429)", retry_after(answer.headers), for_ever=blocked(answer.headers))


@dataclass(frozen=True, slots=True)
class Throttling:
    """One vendor's manners. `classify` tells a throttled answer from any other.

    `foresee` reads the headers of every answer and returns for how many seconds nobody should send, 0 for no wish.
    `first_seconds` is the first wait where the vendor names none; it doubles from there. `longest_seconds` is the ceiling
    of all waits of one request: above it the read fails and says how long it would have had to wait.
    """

    classify: Classify = standard
    foresee: Callable[[Headers], float] = _nothing
    first_seconds: float = 0.5
    longest_seconds: float = 120.0


def by_status(*statuses: int, words: Collection[str] = ()) -> Classify:
    """Throttled where the status is one of these; `words` are headers whose values say why (Graph's `x-ms-throttle-*`)."""

    def classify(answer: Answer) -> Throttled | None:
        if answer.status not in statuses:
            return None
        said = ", ".join(answer.headers[name] for name in words if answer.headers.get(name))
        text = f"{NO_WORDS} ({answer.status}{': ' if said else ''}{said})"
        return Throttled(text, retry_after(answer.headers), for_ever=blocked(answer.headers))

    return classify


def by_epoch_reset(now: Clock = lambda: datetime.now(UTC)) -> Classify:
    """429 with `X-Rate-Limit-Reset` in epoch seconds, as Okta has it.

    A limit and a remainder of 0 are no block there: too many requests at once were running, and the reset is only a hint
    (developer.okta.com/docs/reference/rl2-concurrency), so no wait is taken from it.
    """

    def classify(answer: Answer) -> Throttled | None:
        if answer.status != 429:
            return None
        if number(answer.headers.get("x-rate-limit-limit")) == 0:
            return Throttled("runs beside too many others (429)")
        return Throttled(f"{NO_WORDS} (429)", retry_after(answer.headers, now()))

    return classify


def by_reason(*reasons: str, statuses: Collection[int] = (403, 429)) -> Classify:
    """Throttled where `error.errors[].reason` says so, as Google's 403 does (`userRateLimitExceeded`, `quotaExceeded`).

    Any other 403 is a missing right. A 429 is throttled whatever its reason.
    """

    def classify(answer: Answer) -> Throttled | None:
        if answer.status not in statuses:
            return None
        found = [each for each in _reasons(answer) if each in reasons]
        if not found and answer.status != 429:
            return None
        return Throttled(f"{NO_WORDS} ({', '.join([str(answer.status), *found])})", retry_after(answer.headers))

    return classify


def share_of_window(share: float, now: Clock = lambda: datetime.now(UTC)) -> Callable[[Headers], float]:
    """Leaves the rest of a window to others: seconds until it resets once `share` of it is used (0.5 for one Okta token).

    Reads `X-Rate-Limit-Limit`, `-Remaining` (or `X-RateLimit-…`) and `-Reset` in epoch seconds. No wish without all three.
    """

    def foresee(headers: Headers) -> float:
        limit, left, reset = (
            headers.get(f"x-rate-limit-{name}") or headers.get(f"x-ratelimit-{name}")
            for name in ("limit", "remaining", "reset")
        )
        most, rest = number(limit), number(left)
        until = instant(reset) if reset else None
        if not most or rest is None or until is None or rest > most * (1 - share):
            return 0.0
        return max(0.0, (until - now()).total_seconds())

    return foresee


def by_percentage(header: str, *, start: float, full_seconds: float) -> Callable[[Headers], float]:
    """Slows down as a bucket fills: from `start` of the limit a pause that reaches `full_seconds` one whole limit later.

    Graph sends `x-ms-throttle-limit-percentage` from 0.8 on (learn.microsoft.com/graph/throttling).
    """

    def foresee(headers: Headers) -> float:
        used = number(headers.get(header))
        return 0.0 if used is None else min(full_seconds, max(0.0, used - start) * full_seconds)

    return foresee


def _reasons(answer: Answer) -> list[str]:
    """Reasons in an error body of Google's form; none when it is another."""
    try:
        body: Any = answer.json()
    except Exception:  # noqa: BLE001 - a body that cannot be read gives no reason; the status decides
        return []
    error = body.get("error") if isinstance(body, dict) else None
    errors = error.get("errors") if isinstance(error, dict) else None
    return [str(each.get("reason")) for each in errors if isinstance(each, dict)] if isinstance(errors, list) else []
