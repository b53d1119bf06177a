"""Vetoes: which components hold a pair that must never be one person, and their split. Joining and ids are not here.

A component that violates a veto is built anew, strongest edges first: pinned decisions, then keys between accounts that
were one person before, then being one person before, then the other keys by tier. An edge that would put a vetoed pair
into one person is refused, and so the component comes apart at its weakest edges, whatever the order of the input.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from core.match_keys import PINNED, STICKY, WORDS, Keys

REUSE_DAYS = 30  # an account made this long after another's end may be another human with the recycled address
SCORES: Mapping[str, float] = {
    PINNED: 1.0,
    STICKY: 0.95,
    "immutable_id": 0.95,
    "employee_number": 0.9,
    "home_link": 0.85,
    "verified_email": 0.8,
    "verified_login": 0.75,
}
ADDRESS_TIERS = ("home_link", "verified_email", "verified_login")
Labels = np.ndarray[tuple[int], np.dtype[np.int64]]


@dataclass(frozen=True)
class Pairs:
    """Vetoes and decisions on pairs of rows: both ways round, with the reason; `human` are decisions, `same` waives vetoes."""

    vetoes: Mapping[tuple[int, int], str]
    human: frozenset[tuple[int, int]]
    same: frozenset[tuple[int, int]]


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

    order: tuple[int, str]
    number: str | None
    issuer: str
    seat: int | None  # tenant in which it is an enabled member
    tenant: str
    person: int | None
    guest: bool
    partners: set[int] = field(default_factory=set)


@dataclass(frozen=True)
class _Group:
    """Rows that share a key, in order of rank and native_id."""

    tier: str
    value: str
    rows: list[int]

    def pairs(self, known: Mapping[int, _Row]) -> Iterator[tuple[int, int]]:
        """All pairs that the key joins, each once; two guests of one home are joined by the home, never by one another."""
        for place, b in enumerate(self.rows):
            for a in self.rows[:place]:
                if self.tier != "home_link" or known[a].guest != known[b].guest:
                    yield a, b


def recycled(rows: pl.DataFrame, keys: Keys, tiers: Sequence[str]) -> dict[tuple[int, int], str]:
    """Pairs that share an address although one account was made long after the other's end, with the reason.

    Not where an HR number or immutable id says that they are one human (contract: identity-sources.md section 8.2).
    """
    kinds = [place for place, name in enumerate(tiers) if name in ADDRESS_TIERS]
    times = rows.lazy().select("row", "created_at", "departed_at")
    held = keys.shared.lazy().filter(pl.col("tier").is_in(kinds)).join(times, on="row")
    reuse = pl.duration(days=REUSE_DAYS)
    late = held.group_by("key").agg(first=pl.col("departed_at").min(), last=pl.col("created_at").max())
    late = late.filter(pl.col("last") > pl.col("first") + reuse).select("key")
    held = held.join(late, on="key", how="semi")
    strong = rows.lazy().select("row", "issuer", "n_employee_number", "n_immutable_id")
    pairs = (
        held.filter(pl.col("departed_at").is_not_null())
        .join(held, on="key", suffix="_b")
        .filter((pl.col("created_at_b") > pl.col("departed_at") + reuse) & (pl.col("row") != pl.col("row_b")))
        .join(strong, on="row")
        .join(strong, left_on="row_b", right_on="row", suffix="_b")
        .filter(
            (
                (pl.col("issuer") == pl.col("issuer_b"))
                & (pl.col("n_employee_number") == pl.col("n_employee_number_b"))
                | (pl.col("n_immutable_id") == pl.col("n_immutable_id_b"))
            )
            .fill_null(value=False)
            .not_()
        )
        .select("row", "row_b")
        .unique()
        .collect()
    )
    reason = f"one account was made more than {REUSE_DAYS} days after the other's end: the address may be recycled"
    return {pair: reason for a, b in pairs.iter_rows() for pair in ((a, b), (b, a))}


def violating(rows: pl.DataFrame, labels: Labels, pairs: Pairs, cap: int) -> Labels:
    """The labels of components that hold a vetoed pair or more accounts than `cap`, ascending."""
    label = pl.Series("label", labels)
    sizes = np.bincount(labels)
    bad: list[Labels] = [np.flatnonzero(sizes > cap)]
    several = rows.select("tenant_key", "issuer", "n_employee_number", "seated").with_columns(label)
    several = several.filter(pl.Series(sizes[labels] > 1))
    number = pl.col("n_employee_number")
    numbers = several.filter(number.is_not_null()).group_by("label", "issuer").agg(low=number.min(), high=number.max())
    bad.append(numbers.filter(pl.col("low") != pl.col("high")).get_column("label").to_numpy())
    seats = several.filter("seated").group_by("label", "tenant_key").len().filter(pl.col("len") > 1)
    bad.append(seats.get_column("label").to_numpy())
    if pairs.vetoes:
        found = np.array(list(pairs.vetoes), dtype=np.int64)
        first = labels[found[:, 0]]
        bad.append(first[first == labels[found[:, 1]]])
    return np.unique(np.concatenate(bad)).astype(np.int64)


def split(
    rows: pl.DataFrame, keys: Keys, tiers: Sequence[str], *, labels: Labels, bad: Labels, pairs: Pairs, cap: int
) -> tuple[Labels, list[Refused]]:
    """New labels with every component of `bad` split, and the edges refused (strongest one for each two persons)."""
    touched = np.flatnonzero(np.isin(labels, bad))
    known = _known(rows[touched])
    for a, b in pairs.vetoes:
        if a in known:
            known[a].partners.add(b)
    clusters: dict[int, list[int]] = {row: [row] for row in known}
    home = {row: row for row in known}
    pins, groups = _pins(known, pairs), _groups(known, keys, tiers)
    for a, b in _strongest_first(known, pins, groups):
        first, second = home[a], home[b]
        if first == second or _conflict(clusters[first], clusters[second], known, pairs, cap):
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

    def conflict(one: int, other: int) -> Conflict | None:
        return _conflict(clusters[one], clusters[other], known, pairs, cap)

    return fresh, _refused(known, home, groups, conflict)


def _refused(
    known: Mapping[int, _Row],
    home: Mapping[int, int],
    groups: list[_Group],
    conflict: Callable[[int, int], Conflict | None],
) -> list[Refused]:
    """For each two persons the strongest key that they share, with a veto between them; none where a human parted them.

    What was one person until now is not asked: the same keys give the same doubts in every later run.
    """
    found: dict[tuple[int, int], Refused | None] = {}
    for group in groups:
        for a, b in group.pairs(known):
            one, other = sorted((home[a], home[b]))
            if one == other or (one, other) in found:
                continue
            why = conflict(one, other)
            found[one, other] = None
            if why and not why.human:
                text = f"{WORDS[group.tier]} {group.value}: {why.reason}"
                found[one, other] = Refused(a, b, why.rule, text, SCORES[group.tier])
    return [each for each in found.values() if each]


def _known(rows: pl.DataFrame) -> dict[int, _Row]:
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
    )
    return {
        row: _Row((rank, native), number, issuer, key if seated else None, tenant, person, guest)
        for row, rank, native, number, issuer, seated, key, tenant, person, guest in wanted.iter_rows()
    }


def _pins(known: Mapping[int, _Row], pairs: Pairs) -> list[tuple[int, int]]:
    """Pinned pairs of known rows, in an order of names alone."""
    pins = [(a, b) for a, b in pairs.same if a in known and b in known and known[a].order < known[b].order]
    return sorted(pins, key=lambda pair: (known[pair[0]].order, known[pair[1]].order))


def _groups(known: Mapping[int, _Row], keys: Keys, tiers: Sequence[str]) -> list[_Group]:
    """The keys of known rows, strongest first, in an order of names alone."""
    members = pl.DataFrame({"row": list(known)}, schema={"row": pl.UInt32()})
    held = keys.shared.join(members, on="row", how="semi").join(keys.values.select("key", "value"), on="key")
    groups: dict[tuple[int, str], list[int]] = defaultdict(list)
    for row, tier, value in held.select("row", "tier", "value").iter_rows():
        groups[tier, value].append(row)
    return [
        _Group(tiers[tier], value, sorted(groups[tier, value], key=lambda row: known[row].order))
        for tier, value in sorted(groups)
    ]


def _strongest_first(
    known: Mapping[int, _Row], pins: list[tuple[int, int]], groups: list[_Group]
) -> Iterator[tuple[int, int]]:
    """Every edge between known rows, strongest first."""
    yield from pins
    for group in groups:
        for a, b in group.pairs(known):
            if known[a].person is not None and known[a].person == known[b].person:
                yield a, b
    persons: dict[int, list[int]] = defaultdict(list)
    for row in sorted(known, key=lambda each: known[each].order):
        if (person := known[row].person) is not None:
            persons[person].append(row)
    for rows in persons.values():  # in order of their best-ranked account
        yield from _Group(STICKY, "", rows).pairs(known)
    for group in groups:
        yield from group.pairs(known)


def _conflict(first: list[int], second: list[int], known: dict[int, _Row], pairs: Pairs, cap: int) -> Conflict | None:
    """Why two clusters may not become one person; null when they may. What a human said comes before what data say."""
    derived: Conflict | None = None
    for one in first:
        a = known[one]
        for other in second:
            parted = other in a.partners
            if parted and (one, other) in pairs.human:
                return Conflict("decision", pairs.vetoes[one, other], human=True)
            if derived is None and (one, other) not in pairs.same:
                derived = _derived(a, known[other], pairs.vetoes[one, other] if parted else None)
    if derived is None and len(first) + len(second) > cap:
        return Conflict("component_cap", f"together more than {cap} accounts")
    return derived


def _derived(a: _Row, b: _Row, recycled_reason: str | None) -> Conflict | None:
    """A veto that the data give for one pair."""
    if a.number and b.number and a.issuer == b.issuer and a.number != b.number:
        low, high = sorted((a.number, b.number))
        return Conflict("employee_number", f"employee numbers {low} and {high} of {a.issuer} differ")
    if a.seat is not None and a.seat == b.seat:
        return Conflict("two_members", f"two enabled member accounts in {a.tenant}")
    return Conflict("recycled_address", recycled_reason) if recycled_reason else None
