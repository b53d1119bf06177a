"""Human words on pairs of accounts: their ids, which of them contradict each other, and which cannot be honoured.

What a word does to persons is decided by `match`; what undoing one does, by `unmerge`.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import polars as pl

from core.frames import REVIEW, conform

SAME, DIFFERENT, OPEN = "same", "different", "open"
UNMET = "not_honoured"
Account = tuple[str, str]
"""Tenant and native_id."""
Pair = tuple[Account, Account]
Node = TypeVar("Node", int, Account)


def pair_of(one: Account, other: Account) -> Pair:
    """The pair in the order in which it is always shown: by tenant, then native_id."""
    return (one, other) if one <= other else (other, one)


def item_id(one: Account, other: Account) -> str:
    """32 hex digits that stand for two accounts, either way round; the view `doubts` computes the same."""
    a, b = pair_of(one, other)
    return hashlib.sha256("\x1f".join((*a, *b)).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Contradiction:
    """Two accounts that a decision parts (`different`) although the decisions of `path` join them."""

    different: Pair
    path: tuple[Pair, ...]


def contradictions(words: Mapping[Pair, str]) -> tuple[Contradiction, ...]:
    """Every `different` whose two accounts a shortest chain of `same` joins, by the pair."""
    beside = _joined(pair for pair, word in words.items() if word == SAME)
    found = []
    for (one, other), word in sorted(words.items()):
        if word == DIFFERENT and (steps := _path(beside, one, other)):
            path = tuple(pair_of(a, b) for a, b in pairwise(steps))
            found.append(Contradiction((one, other), path))
    return tuple(found)


def _joined(pairs: Iterable[tuple[Node, Node]]) -> dict[Node, set[Node]]:
    beside: dict[Node, set[Node]] = defaultdict(set)
    for one, other in pairs:
        beside[one].add(other)
        beside[other].add(one)
    return beside


def _reached(beside: Mapping[Node, set[Node]], start: Node) -> dict[Node, Node]:
    """All that hangs together with `start`, nearest first, each with the one before it on a shortest way."""
    came: dict[Node, Node] = {start: start}
    waiting = deque([start])
    while waiting:
        here = waiting.popleft()
        for each in sorted(beside.get(here, ())):
            if each not in came:
                came[each] = here
                waiting.append(each)
    return came


def _path(beside: Mapping[Node, set[Node]], start: Node, end: Node) -> list[Node]:
    """A shortest way, the smallest by name among several; empty when there is none."""
    came = _reached(beside, start)
    if end not in came:
        return []
    way = [end]
    while way[-1] != start:
        way.append(came[way[-1]])
    return way[::-1]


def parting(leaving: Sequence[Account], staying: Sequence[Account]) -> dict[Pair, str]:
    """Words that part some accounts of a person from the others for good.

    The first of those who leave differs from each who stays, and those who leave are the same as it: whatever keys come,
    no person can then hold accounts of both sides, and no smaller set of words says so. Those who stay need none: they
    are one person already, and nothing that leaves can draw one of them along.
    """
    first, *others = sorted(leaving)
    words = {pair_of(first, each): SAME for each in others}
    return words | {pair_of(first, each): DIFFERENT for each in sorted(staying)}


def unmet(decisions: pl.DataFrame, links: pl.DataFrame, name: Callable[[int], str]) -> pl.DataFrame:
    """REVIEW rows of pairs decided to be `same` (DECISION) that are two persons in `links` (LINK) all the same, with why.

    A human's `different` wins over `same`. `name`: an account in words.
    """
    said = _ordered(decisions)
    person = links.select("account_key", "person_key")
    apart = (
        said.filter(pl.col("decision") == SAME)
        .join(person.rename({"account_key": "account_a", "person_key": "one"}), on="account_a")
        .join(person.rename({"account_key": "account_b", "person_key": "other"}), on="account_b")
        .filter(pl.col("one") != pl.col("other"))
        .sort("account_a", "account_b")
    )
    if apart.is_empty():
        return pl.DataFrame(schema=REVIEW)
    pairs = [(int(a), int(b), str(word)) for a, b, word in said.iter_rows()]
    beside = _joined((a, b) for a, b, word in pairs if word == SAME)
    parted = sorted((a, b) for a, b, word in pairs if word == DIFFERENT)
    reasons = []
    for a, _ in apart.select("account_a", "account_b").iter_rows():
        around = _reached(beside, a)  # decisions contradict each other where they join this pair to a parted one
        reach = next(((x, y) for x, y in parted if x in around and y in around), None)
        reasons.append(
            f"decided to be the same person, but {name(reach[0])} and {name(reach[1])} are decided to be different people"
            if reach
            else "decided to be the same person, but a veto between their other accounts keeps them apart"
        )
    rows = apart.with_columns(rule=pl.lit(UNMET), reason=pl.Series(reasons, dtype=pl.String), score=pl.lit(1.0))
    return conform(rows, REVIEW)


def to_review(
    decisions: pl.DataFrame, links: pl.DataFrame, *doubts: pl.DataFrame, name: Callable[[int], str]
) -> pl.DataFrame:
    """REVIEW, one row a pair: decisions that could not be honoured, then `doubts` (DOUBT or REVIEW, weightiest source first).

    Of several rows on a pair the first source's stands, and of one source the strongest. Between two persons whom a human
    parted there is no doubt. `decisions`: DECISION; `links`: LINK as they will be saved; `name`: an account in words.
    """
    parts = [unmet(decisions, links, name), *(_between(each, decisions, links) for each in doubts)]
    rows = pl.concat(
        [_ordered(conform(each, REVIEW)).with_columns(place=pl.lit(place)) for place, each in enumerate(parts)]
    )
    down = [False, False, False, True, False, False]
    return (
        rows.sort("account_a", "account_b", "place", "score", "rule", "reason", descending=down)
        .unique(["account_a", "account_b"], keep="first", maintain_order=True)
        .select(list(REVIEW))
    )


def undecided(doubts: pl.DataFrame, decisions: pl.DataFrame) -> pl.DataFrame:
    """The doubts (REVIEW) on whose pair no decision (DECISION) stands."""
    return doubts.join(_ordered(decisions), on=["account_a", "account_b"], how="anti", maintain_order="left")


def _ordered(pairs: pl.DataFrame) -> pl.DataFrame:
    low, high = pl.min_horizontal("account_a", "account_b"), pl.max_horizontal("account_a", "account_b")
    return pairs.with_columns(account_a=low, account_b=high)


def _between(doubts: pl.DataFrame, decisions: pl.DataFrame, links: pl.DataFrame) -> pl.DataFrame:
    """Without doubts between two persons of whom a human said that they differ."""
    apart = decisions.filter(pl.col("decision") == DIFFERENT)
    if apart.is_empty() or doubts.is_empty():
        return doubts

    def persons(pairs: pl.DataFrame) -> pl.DataFrame:
        one = links.select(account_a="account_key", one="person_key")
        other = links.select(account_b="account_key", other="person_key")
        found = pairs.join(one, on="account_a", how="left").join(other, on="account_b", how="left")
        return found.with_columns(one=pl.min_horizontal("one", "other"), other=pl.max_horizontal("one", "other"))

    return persons(doubts).join(persons(apart), on=["one", "other"], how="anti").drop("one", "other")
