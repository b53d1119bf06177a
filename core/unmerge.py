"""Takes back what a decision moved: when it no longer stands, the accounts return to the persons they were before it.

Links are sticky, so a decision that is merely forgotten would leave its merge or its split behind. Therefore the links that
`match` starts from are put back first, and `match` then judges them by the keys and by the decisions that still stand.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import polars as pl

from core.frames import DECIDED, LINK, UNDONE

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Stood:
    """A decision that shaped the links: its word, the run that first obeyed it, and the one before which links are free of it."""

    word: str
    made: int
    since: int


@dataclass(frozen=True)
class Restored:
    """LINK rows for `match` to start from; DECIDED and UNDONE to remember (null: the number of this run)."""

    links: pl.DataFrame
    decided: pl.DataFrame
    undone: pl.DataFrame


def restored(
    links: pl.DataFrame,
    decided: pl.DataFrame,
    undone: pl.DataFrame,
    decisions: pl.DataFrame,
    *,
    history: Callable[[], pl.DataFrame],
    obeyed: Callable[[], pl.DataFrame],
) -> Restored:
    """Puts back what decisions moved that were in force (`decided`) and stand no longer in `decisions` (DECISION).

    `history()`: LINK, valid_from_run, valid_to_run (null: still valid) of all links ever; `obeyed()`: account_a, account_b,
    valid_from_run, valid_to_run of all decisions ever in force; both are only asked for where a decision was undone. `undone`: UNDONE rows of earlier such runs. What an undone decision moved, and what later decisions that
    hang together with it moved, is as it was before the oldest of them; those that stand are made anew by `match`. An account that came since has no person there and follows its keys.
    """
    stands = {
        _pair(a, b): str(word) for a, b, word in decisions.select("account_a", "account_b", "decision").iter_rows()
    }
    past = _Past(history, obeyed, undone)
    stood = {
        _pair(a, b): Stood(word, run, min(past.clean(a, run), past.clean(b, run)))
        for a, b, word, run in decided.select(list(DECIDED)).iter_rows()
    }
    kept = {pair: each for pair, each in stood.items() if stands.get(pair) == each.word}
    gone = {pair: each for pair, each in stood.items() if pair not in kept}
    restores: list[tuple[int, list[int]]] = []
    covered: set[Pair] = set()
    void: list[tuple[int, int, None]] = []
    for pair, each in sorted(gone.items(), key=lambda item: (item[1].since, item[0])):
        if pair in covered:
            continue
        persons, joined = _cluster(pair, each.since, stood, links, past)
        accounts = links.filter(pl.col("person_key").is_in(persons)).get_column("account_key").to_list()
        if not past.moved(each.since, accounts):
            continue
        void += [(account, each.since, None) for account in accounts]
        if each.word == "different" and _still_parted(pair, joined, kept, links):
            continue
        covered |= joined
        restores.append((each.since, accounts))
    found = links.select(list(LINK))
    for since, accounts in reversed(restores):
        theirs = past.links(since).filter(pl.col("account_key").is_in(accounts))
        found = pl.concat([found.filter(~pl.col("account_key").is_in(accounts)), theirs])
    rows = [(*pair, word, kept[pair].made if pair in kept else None) for pair, word in sorted(stands.items())]
    remembered = pl.concat([undone.select(list(UNDONE)), pl.DataFrame(void, schema=UNDONE, orient="row")])
    return Restored(
        found.sort("account_key"),
        pl.DataFrame(rows, schema=DECIDED, orient="row"),
        remembered.unique(maintain_order=True) if rows else remembered.clear(),
    )


class _Past:
    """Links of before as if decisions that were undone since had never been made."""

    def __init__(
        self, history: Callable[[], pl.DataFrame], obeyed: Callable[[], pl.DataFrame], undone: pl.DataFrame
    ) -> None:
        self._ask = history
        self._obeyed = obeyed
        self._history: pl.DataFrame | None = None
        self._known: dict[int, pl.DataFrame] = {}
        self._void: dict[int, list[Pair]] = defaultdict(list)
        for account, first, end in undone.select(list(UNDONE)).iter_rows():
            self._void[account].append((first, end))

    def _rows(self) -> pl.DataFrame:
        if self._history is None:
            self._history = self._ask()
        return self._history

    def _before(self, run: int) -> pl.DataFrame:
        ended = pl.col("valid_to_run") < run
        return self._rows().filter((pl.col("valid_from_run") < run) & ~ended.fill_null(value=False)).select(list(LINK))

    def since(self, run: int) -> pl.DataFrame:
        """account_key, person_key of every link that was written by that run or later, or held on through it."""
        ended = pl.col("valid_to_run") <= run
        return self._rows().filter(~ended.fill_null(value=False)).select("account_key", "person_key").unique()

    def clean(self, account: int, run: int) -> int:
        """The run before which this account's link is what it would be before `run` without what was undone."""
        while (
            first := min((first for first, end in self._void.get(account, ()) if first < run <= end), default=None)
        ) is not None:
            run = first
        return run

    def moved(self, first: int, accounts: list[int]) -> bool:
        """Whether the link of any of these accounts was written by a run from `first` on that obeyed other decisions about them."""
        about = self._obeyed().filter(pl.col("account_a").is_in(accounts) | pl.col("account_b").is_in(accounts))
        runs = pl.concat([about.get_column("valid_from_run"), about.get_column("valid_to_run").drop_nulls()])
        later = runs.filter(runs >= first).unique().to_list()
        wrote = pl.col("valid_from_run").is_in(later) | pl.col("valid_to_run").is_in(later)
        here = pl.col("account_key").is_in(accounts) & wrote.fill_null(value=False)
        return not self._rows().filter(here).is_empty()

    def links(self, run: int) -> pl.DataFrame:
        """LINK as of before that run."""
        if run not in self._known:
            other: dict[int, list[int]] = defaultdict(list)
            for account in self._void:
                if (clean := self.clean(account, run)) != run:
                    other[clean].append(account)
            elsewhere = [account for accounts in other.values() for account in accounts]
            parts = [self._before(run).filter(~pl.col("account_key").is_in(elsewhere))]
            for clean, accounts in sorted(other.items()):
                parts.append(self._before(clean).filter(pl.col("account_key").is_in(accounts)))
            self._known[run] = pl.concat(parts)
        return self._known[run]


def _pair(a: int, b: int) -> Pair:
    return (a, b) if a < b else (b, a)


def _persons(links: pl.DataFrame, accounts: Iterable[int]) -> dict[int, int]:
    rows = links.filter(pl.col("account_key").is_in(list(accounts))).select("account_key", "person_key")
    return dict(rows.iter_rows())


def _cluster(
    pair: Pair, since: int, stood: Mapping[Pair, Stood], links: pl.DataFrame, past: _Past
) -> tuple[list[int], set[Pair]]:
    """The persons of now whose accounts the decision, or younger ones that hang together with it, may have moved; and those decisions."""
    persons = set(_persons(links, pair).values())
    joined = {pair}
    younger = {other for other, each in stood.items() if each.since >= since}
    of_account = _persons(links, {account for other in younger for account in other})
    # Who was ever together with these persons since, or before: also who left and came back.
    known = pl.concat([past.links(since).select("account_key", "person_key"), past.since(since)])
    while True:
        size = len(persons)
        for other in younger:
            theirs = {of_account[account] for account in other if account in of_account}
            if theirs & persons:
                persons |= theirs
                joined.add(other)
        accounts = links.filter(pl.col("person_key").is_in(sorted(persons))).select("account_key")
        met = known.join(accounts, on="account_key", how="semi").select("person_key").unique()
        moved = known.join(met, on="person_key", how="semi").select("account_key").unique()
        persons |= set(links.join(moved, on="account_key", how="semi").get_column("person_key"))
        if len(persons) == size:
            return sorted(persons), joined


def _still_parted(pair: Pair, joined: set[Pair], kept: Mapping[Pair, Stood], links: pl.DataFrame) -> bool:
    """Whether another decision that stands parts the same two persons: as long as it does, they stay as they are."""
    of_account = _persons(links, {account for other in joined for account in other})
    mine = {of_account.get(account) for account in pair}
    return any(
        kept[other].word == "different" and {of_account.get(account) for account in other} == mine
        for other in joined & kept.keys()
    )
