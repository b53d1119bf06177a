"""Vetoes: which components hold a pair that must never be one person, and their cut. Joining and ids are not here.

A component that holds a vetoed pair is cut at its weakest edges. An edge is everything that two accounts share; edges are
ordered by what they hold: a pinned decision, having been one person before, then the number of shared keys tier by tier,
then names. From the strongest on, each edge is kept unless it would put a vetoed pair into one person. Among all ways to
part every vetoed pair this refuses the least: wherever another cut differs, the strongest edge in which they differ is
refused by the other one (docs/identity.md shows why). Where a vetoed pair shares a key, whoever could be either of the
two is joined to neither by it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np
import polars as pl

from core.match_keys import PINNED, STICKY, WORDS, Keys

SCORES: Mapping[str, float] = {
    PINNED: 1.0,
    STICKY: 0.95,
    "immutable_id": 0.95,
    "employee_number": 0.9,
    "home_link": 0.85,
    "verified_email": 0.8,
    "verified_login": 0.75,
}
CONTESTED = "contested_key"
Labels = np.ndarray[tuple[int], np.dtype[np.int64]]
Pair = tuple[int, int]


@dataclass(frozen=True)
class Pairs:
    """Vetoes and decisions on pairs of rows, both ways round.

    `vetoes`: the veto's name and its words; `human`: pairs that a decision parts; `same`: pairs that one joins.
    """

    vetoes: Mapping[Pair, tuple[str, str]]
    human: frozenset[Pair]
    same: frozenset[Pair]


@dataclass(frozen=True)
class Refused:
    """An edge that a veto refused: two rows, the veto's name, and the words for a human."""

    a: int
    b: int
    rule: str
    reason: str
    score: float


@dataclass(frozen=True)
class Conflict:
    """Why two accounts must not be one person: the veto's name, its words, and whether a human said so."""

    rule: str
    reason: str
    human: bool = False


@dataclass
class _Row:
    """What vetoes look at."""

    label: int
    order: tuple[int, str]
    number: str | None
    issuer: str
    seat: int | None  # tenant in which it is an enabled member
    tenant: str
    person: int | None
    guest: bool
    kind: str | None
    partners: set[int] = field(default_factory=set)


@dataclass(frozen=True)
class _Group:
    """Rows that share a key, in order of rank and native_id; `foes`: whom each of them excludes, where any does."""

    tier: int
    name: str
    value: str
    rows: list[int]
    foes: Mapping[int, frozenset[int]]

    def pairs(self, known: Mapping[int, _Row]) -> Iterator[Pair]:
        """All pairs that the key joins, each once; two guests of one home are joined by the home, never by one another."""
        for place, b in enumerate(self.rows):
            for a in self.rows[:place]:
                if self.name != "home_link" or known[a].guest != known[b].guest:
                    yield a, b

    def proves(self, a: int, b: int) -> bool:
        """Whether the key says that two of its holders are one: not where one of them could as well be another's."""
        return not self.foes or (self.foes[a] == self.foes[b] and bool(self.foes[a]))


def violating(rows: pl.DataFrame, labels: Labels, pairs: Pairs) -> Labels:
    """The labels of components that hold a vetoed pair, ascending."""
    sizes = np.bincount(labels)
    bad: list[Labels] = []
    several = rows.select("tenant_key", "issuer", "n_employee_number", "seated", label=pl.Series(labels)).filter(
        pl.Series(sizes[labels] > 1)
    )
    number = pl.col("n_employee_number")
    numbers = several.filter(number.is_not_null()).group_by("label", "issuer").agg(low=number.min(), high=number.max())
    bad.append(numbers.filter(pl.col("low") != pl.col("high")).get_column("label").to_numpy())
    seats = several.filter("seated").group_by("label", "tenant_key").len().filter(pl.col("len") > 1)
    bad.append(seats.get_column("label").to_numpy())
    if pairs.vetoes:
        found = np.array(list(pairs.vetoes), dtype=np.int64)
        first = labels[found[:, 0]]
        bad.append(first[first == labels[found[:, 1]]])
    if pairs.same:  # nothing but a pin puts two kinds into one component
        kinds = rows.select(kind=pl.col("kind").fill_null(""), label=pl.Series(labels)).group_by("label")
        mixed = kinds.agg(low=pl.col("kind").min(), high=pl.col("kind").max()).filter(pl.col("low") != pl.col("high"))
        bad.append(mixed.get_column("label").to_numpy())
    return np.unique(np.concatenate(bad)).astype(np.int64)


def split(
    rows: pl.DataFrame, keys: Keys, tiers: Sequence[str], *, labels: Labels, bad: Labels, pairs: Pairs
) -> tuple[Labels, list[Refused], Keys]:
    """New labels with every component of `bad` cut, the edges refused (the strongest for each two persons), proven keys."""
    touched = np.flatnonzero(np.isin(labels, bad))
    known = _known(rows[touched], labels)
    for a, b in pairs.vetoes:
        if a in known:
            known[a].partners.add(b)
    groups = _groups(known, keys, tiers, pairs)
    clusters: dict[int, list[int]] = {row: [row] for row in known}
    home = {row: row for row in known}
    for a, b in _strongest_first(known, groups, pairs, len(tiers)):
        first, second = home[a], home[b]
        if first == second or _conflict(clusters[first], clusters[second], known, pairs):
            continue
        if len(clusters[first]) < len(clusters[second]):
            first, second = second, first
        for row in clusters[second]:
            home[row] = first
        clusters[first] += clusters.pop(second)
    fresh = labels.copy()
    fresh[list(home)] = int(labels.max()) + 1 + np.array(list(home.values()))
    for members in clusters.values():
        members.sort(key=lambda row: known[row].order)
    proven = _without(
        keys, [(each.tier, each.value, row) for each in groups for row in each.foes if not each.foes[row]]
    )
    return fresh, _refused(known, home, clusters, groups, pairs), proven


def _without(keys: Keys, void: Sequence[tuple[int, str, int]]) -> Keys:
    """The keys without the rows to whom they prove nothing."""
    if not void:
        return keys
    named = pl.DataFrame(
        list(void), schema={"tier": pl.UInt8(), "value": pl.String(), "row": pl.UInt32()}, orient="row"
    )
    held = named.join(keys.values, on=["tier", "value"]).select("row", "key")
    shared = keys.shared.join(held, on=["row", "key"], how="anti", maintain_order="left")
    return replace(keys, shared=shared)


def _refused(
    known: Mapping[int, _Row],
    home: Mapping[int, int],
    clusters: Mapping[int, list[int]],
    groups: list[_Group],
    pairs: Pairs,
) -> list[Refused]:
    """For each two persons the strongest key that they share, and why it did not join them; none where a human parted them.

    What was one person until now is not asked: the same keys give the same doubts in every later run.
    """
    found: dict[Pair, Refused | None] = {}
    for group in groups:
        for a, b in group.pairs(known):
            one, other = sorted((home[a], home[b]))
            if one == other or (one, other) in found:
                continue
            found[one, other] = None
            why = _conflict(clusters[one], clusters[other], known, pairs)
            if why is None:
                why = Conflict(CONTESTED, "two who exclude each other share it: it could be either's")
            if not why.human:
                text = f"{WORDS[group.name]} {group.value}: {why.reason}"
                found[one, other] = Refused(a, b, why.rule, text, SCORES[group.name])
    return [each for each in found.values() if each]


def _known(rows: pl.DataFrame, labels: Labels) -> dict[int, _Row]:
    """The few rows of violating components as Python values."""
    wanted = rows.select(
        "row",
        "rank",
        "native_id",
        "n_employee_number",
        "issuer",
        "seated",
        "tenant_key",
        "tenant",
        "old_person",
        "guest",
        "kind",
    )
    return {
        row: _Row(
            int(labels[row]), (rank, native), number, issuer, key if seated else None, tenant, person, guest, kind
        )
        for row, rank, native, number, issuer, seated, key, tenant, person, guest, kind in wanted.iter_rows()
    }


def _groups(known: Mapping[int, _Row], keys: Keys, tiers: Sequence[str], pairs: Pairs) -> list[_Group]:
    """The keys of known rows, strongest first, in an order of names alone."""
    members = pl.DataFrame({"row": list(known)}, schema={"row": pl.UInt32()})
    held = keys.shared.join(members, on="row", how="semi").join(keys.values.select("key", "value"), on="key")
    groups: dict[tuple[int, str], list[int]] = defaultdict(list)
    for row, tier, value in held.select("row", "tier", "value").iter_rows():
        groups[tier, value].append(row)
    made = []
    for tier, value in sorted(groups):
        several = sorted(groups[tier, value], key=lambda row: known[row].order)
        parted = [pair for pair in combinations(several, 2) if _conflict([pair[0]], [pair[1]], known, pairs)]
        foes: dict[int, set[int]] = {row: set() for row in several} if parted else {}
        for a, b in parted:
            foes[a].add(b)
            foes[b].add(a)
        frozen = {row: frozenset(others) for row, others in foes.items()}
        made.append(_Group(tier, tiers[tier], value, several, frozen))
    return made


def _strongest_first(known: Mapping[int, _Row], groups: list[_Group], pairs: Pairs, tiers: int) -> list[Pair]:
    """Every edge between known rows, strongest first; the smaller by rank and native_id stands first in each."""
    weights: dict[Pair, list[int]] = defaultdict(lambda: [0] * (2 + tiers))
    for a, b in pairs.same:
        if a in known and b in known and known[a].order < known[b].order:
            weights[a, b][0] = -1
    persons: dict[int, list[int]] = defaultdict(list)
    for row in sorted(known, key=lambda each: known[each].order):
        if (person := known[row].person) is not None:
            persons[person].append(row)
    for rows in persons.values():
        for pair in combinations(rows, 2):
            weights[pair][1] = -1
    for group in groups:
        for a, b in group.pairs(known):
            if group.proves(a, b) or (known[a].person is not None and known[a].person == known[b].person):
                weights[a, b][2 + group.tier] -= 1
    return sorted(weights, key=lambda pair: (weights[pair], known[pair[0]].order, known[pair[1]].order))


def _conflict(first: list[int], second: list[int], known: Mapping[int, _Row], pairs: Pairs) -> Conflict | None:
    """Why two clusters may not become one person; null when they may. What a human said comes before what data say."""
    derived: Conflict | None = None
    for one in first:
        a = known[one]
        for other in second:
            parted = other in a.partners
            if parted and (one, other) in pairs.human:
                return Conflict("decision", pairs.vetoes[one, other][1], human=True)
            if derived is None and (one, other) not in pairs.same:
                derived = _derived(a, known[other], pairs.vetoes[one, other] if parted else None)
    return derived


def _derived(a: _Row, b: _Row, said: tuple[str, str] | None) -> Conflict | None:
    """A veto that the data give for one pair."""
    if a.kind != b.kind:
        words = sorted(each or "person" for each in (a.kind, b.kind))
        return Conflict("class", f"one is a {words[0]} account, the other a {words[1]}'s")
    if a.number and b.number and a.issuer == b.issuer and a.number != b.number:
        low, high = sorted((a.number, b.number))
        return Conflict("employee_number", f"employee numbers {low} and {high} of {a.issuer} differ")
    if a.seat is not None and a.seat == b.seat:
        return Conflict("two_members", f"two enabled member accounts in {a.tenant}")
    return Conflict(*said) if said else None
