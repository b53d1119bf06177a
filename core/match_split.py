"""Vetoes: which components hold a pair that must never be one person, and their split. Joining and ids are not here.

A component that violates a veto is built anew, strongest edges first: pinned decisions, then keys between accounts that
were one person before, then being one person before, then the other keys by tier. An edge that would put a vetoed pair
into one person is refused, and so the component comes apart at its weakest edges, whatever the order of the input.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
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
    refused: dict[tuple[int, int], Refused] = {}
    for a, b, tier, value in _edges(known, keys, tiers, pairs):
        first, second = home[a], home[b]
        if first == second:
            continue
        conflict = _conflict(clusters[first], clusters[second], known, pairs, cap)
        if conflict is None:
            if len(clusters[first]) < len(clusters[second]):
                first, second = second, first
            for row in clusters[second]:
                home[row] = first
            clusters[first] += clusters.pop(second)
        else:
            rule, reason, human = conflict
            text = f"{WORDS.get(tier, tier)} {value}: {reason}"
            if not human and tier != STICKY:  # what was one person until now is told by its link
                refused.setdefault((a, b), Refused(a, b, rule, text, SCORES[tier]))
    fresh = labels.copy()
    offset = int(labels.max()) + 1
    for row, root in home.items():
        fresh[row] = offset + root
    strongest: dict[tuple[int, int], Refused] = {}
    for each in refused.values():
        ends = (home[each.a], home[each.b])
        strongest.setdefault((min(ends), max(ends)), each)
    return fresh, list(strongest.values())


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


def _edges(
    known: dict[int, _Row], keys: Keys, tiers: Sequence[str], pairs: Pairs
) -> Iterator[tuple[int, int, str, str]]:
    """Every edge between known rows as (row, row, tier name, value), strongest first, in an order of names alone."""

    def by_name(row: int) -> tuple[int, str]:
        return known[row].order

    pins = [(a, b) for a, b in pairs.same if a in known and b in known and by_name(a) < by_name(b)]
    for a, b in sorted(pins, key=lambda pair: (by_name(pair[0]), by_name(pair[1]))):
        yield a, b, PINNED, "same"
    members = pl.DataFrame({"row": list(known)}, schema={"row": pl.UInt32()})
    held = keys.shared.join(members, on="row", how="semi").join(keys.values.select("key", "value"), on="key")
    groups: dict[tuple[int, str], list[int]] = defaultdict(list)
    for row, tier, value in held.select("row", "tier", "value").iter_rows():
        groups[tier, value].append(row)
    ordered = [(tier, value, sorted(groups[tier, value], key=by_name)) for tier, value in sorted(groups)]
    persons: dict[int, list[int]] = defaultdict(list)
    for row in sorted(known, key=by_name):
        if (person := known[row].person) is not None:
            persons[person].append(row)
    for tier, value, rows in ordered:
        for a, b in _pairs_of(rows, tiers[tier], known):
            if known[a].person is not None and known[a].person == known[b].person:
                yield a, b, tiers[tier], value
    for person in sorted(persons, key=lambda each: by_name(persons[each][0])):
        for a, b in _pairs_of(persons[person], STICKY, known):
            yield a, b, STICKY, "one person until now"
    for tier, value, rows in ordered:
        for a, b in _pairs_of(rows, tiers[tier], known):
            yield a, b, tiers[tier], value


def _pairs_of(rows: list[int], tier: str, known: dict[int, _Row]) -> Iterator[tuple[int, int]]:
    """All pairs that a key joins, each once; two guests of one home are joined by the home, never by one another."""
    for place, b in enumerate(rows):
        for a in rows[:place]:
            if tier != "home_link" or known[a].guest != known[b].guest:
                yield a, b


def _conflict(
    first: list[int], second: list[int], known: dict[int, _Row], pairs: Pairs, cap: int
) -> tuple[str, str, bool] | None:
    """Why two clusters may not become one person: veto, reason, whether a human said so; null when they may."""
    derived: tuple[str, str, bool] | None = None
    for one in first:
        a = known[one]
        for other in second:
            b = known[other]
            if other in a.partners and (one, other) in pairs.human:
                return "decision", pairs.vetoes[one, other], True
            if derived is None and (one, other) not in pairs.same:
                derived = _derived(a, b, pairs.vetoes.get((one, other)) if other in a.partners else None)
    if derived is None and len(first) + len(second) > cap:
        return "component_cap", f"together more than {cap} accounts", False
    return derived


def _derived(a: _Row, b: _Row, recycled_reason: str | None) -> tuple[str, str, bool] | None:
    """A veto that the data give for one pair."""
    if a.number and b.number and a.issuer == b.issuer and a.number != b.number:
        return (
            "employee_number",
            f"employee numbers {min(a.number, b.number)} and {max(a.number, b.number)} of {a.issuer} differ",
            False,
        )
    if a.seat is not None and a.seat == b.seat:
        return "two_members", f"two enabled member accounts in {a.tenant}", False
    if recycled_reason:
        return "recycled_address", recycled_reason, False
    return None
