"""How far one extract is trusted, from what was counted while it was read. Counting and landing are done in `extract`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from connectors.source import Object, Page
from core.errors import OnefoldError
from core.model import Manifest, Verdict

OBJECTS: tuple[Object, ...] = ("accounts", "groups", "memberships")
# Below this many vanished rows a small tenant is not suspected, unless half of it vanished: people do leave.
FEW = 3
LAG_SHARE = 0.001  # a count from an index that lags may differ by so much of itself, or by FEW


@dataclass
class Tally:
    """What was counted of one object. `landed` are rows of what is there; `aside` counts records set aside by (field, problem, whether their id is known)."""

    received: int = 0
    landed: int = 0
    repeats: int = 0
    aside: Counter[tuple[str, str, bool]] = field(default_factory=Counter)
    sample: dict[tuple[str, str, bool], str] = field(default_factory=dict)
    totals: list[int] = field(default_factory=list)
    lags: bool = False

    def saw(self, page: Page) -> None:
        """Counts one page."""
        self.received += page.received
        if page.total is not None and (not self.totals or self.totals[-1] != page.total):
            self.totals.append(page.total)
            self.lags = page.total_lags

    def set_aside(self, name: str, problem: str, native_id: str | None, many: int = 1) -> None:
        """Counts records set aside."""
        key = (name, problem, native_id is not None)
        self.aside[key] += many
        if native_id is not None:
            self.sample.setdefault(key, native_id)

    @property
    def seen(self) -> int:
        """Distinct records, usable or not."""
        return self.landed + self.aside.total()


@dataclass
class Reading:
    """Everything counted while one tenant was read."""

    tallies: dict[Object, Tally] = field(default_factory=lambda: {name: Tally() for name in OBJECTS})
    warnings: list[str] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    error: OnefoldError | None = None
    pages: int = 0


def judge(
    reading: Reading, *, delta: bool, previous: Manifest | None, shrink: float
) -> tuple[Verdict, tuple[str, ...]]:
    """The verdict and its reasons in plain words, the gravest first.

    `failed`: nothing was read. `partial`: rows are missing or may be: an error midway, a gap, the vendor's count is not
    met (by more than lag explains), rows that repeat themselves or come past the end, a record without an id. `suspect`: all seems there, and should
    still remove nobody: a record was set aside whose id is known, the vendor's total moved while we read, nobody at all,
    more than `shrink` percent less than the previous full read. What a delta leaves out proves nothing, so it is judged by
    errors, gaps and records set aside alone.
    """
    missing = [str(reading.error)] if reading.error else []
    missing += reading.gaps
    doubts = list(reading.warnings)
    for name, tally in reading.tallies.items():
        if not delta:
            missing += _repeats(name, tally)
        if not delta and reading.error is None:  # after an error, what is missing is its consequence and no news
            (doubts if _slight(tally) else missing).extend(_count(name, tally))
            doubts += _moved(name, tally)
        for (column, problem, known), many in sorted(tally.aside.items()):
            text = _aside(name, column, problem, many, tally.sample.get((column, problem, known)))
            (doubts if known else missing).append(text)
    if not delta and reading.error is None:
        doubts += _smaller(reading, previous, shrink)
    reasons = tuple(dict.fromkeys([*missing, *doubts]))
    if reading.error and not any(tally.received for tally in reading.tallies.values()):
        return Verdict.FAILED, reasons
    if missing:
        return Verdict.PARTIAL, reasons
    return (Verdict.SUSPECT if doubts else Verdict.COMPLETE), reasons


def _repeats(name: Object, tally: Tally) -> list[str]:
    if not tally.repeats:
        return []
    return [f"{tally.repeats} {name} came more than once: a page was repeated, and others may have been left out"]


def _count(name: Object, tally: Tally) -> list[str]:
    if not tally.totals or tally.seen == tally.totals[-1]:
        return []
    total = tally.totals[-1]
    if tally.seen < total:
        return [f"the vendor counts {total} {name}, and {tally.seen} different ones were read"]
    return [f"the vendor counts {total} {name}, and {tally.seen} were read: rows came past the end"]


def _slight(tally: Tally) -> bool:
    """Whether what differs from a count that lags is no more than lag explains."""
    if not tally.lags or not tally.totals:
        return False
    return abs(tally.totals[-1] - tally.seen) <= max(FEW, int(LAG_SHARE * tally.totals[-1]))


def _moved(name: Object, tally: Tally) -> list[str]:
    if len(tally.totals) < 2:
        return []
    return [f"the vendor's count of {name} went from {tally.totals[0]} to {tally.totals[-1]} while they were read"]


def _aside(name: Object, column: str, problem: str, many: int, sample: str | None) -> str:
    one = {"accounts": "account", "groups": "group", "memberships": "membership"}[name]
    what = f"1 {one} was" if many == 1 else f"{many} {name} were"
    example = f" ({one} {sample})" if sample and many == 1 else f" (such as {one} {sample})" if sample else ""
    return f"{what} set aside{example}: {column} {problem}"


def _smaller(reading: Reading, previous: Manifest | None, shrink: float) -> list[str]:
    doubts = []
    if not reading.tallies["accounts"].seen:
        doubts.append("nobody was read: an empty answer is an incident, not an empty company")
    before: Mapping[Object, int] = (
        {"accounts": previous.accounts, "groups": previous.groups, "memberships": previous.memberships}
        if previous
        else {}
    )
    for name, many in before.items():
        here = reading.tallies[name].seen
        vanished = many - here
        if vanished * 100 > shrink * many and (vanished > FEW or vanished * 2 >= many):
            doubts.append(f"{name} went from {many} to {here}, more than {shrink:g} % fewer than in the last full read")
    return doubts
