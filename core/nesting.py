"""How deep groups are nested, and how much larger closure makes them: what an admin should see before pushing them. Nothing is decided here."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from core.closure import Closure

SHOWN = 3  # groups that a note names
GROWN: dict[str, pl.DataType] = {"group_key": pl.Int32(), "direct": pl.Int64(), "effective": pl.Int64()}
Ints = np.ndarray[tuple[int], np.dtype[np.int64]]


@dataclass(frozen=True)
class Nesting:
    """Of the groups that hold groups: the longest way inwards, and GROWN, those first that closure enlarges most.

    `deepest`: group_keys from the outermost group; a cycle is one step, named by its smallest key.
    """

    deepest: tuple[int, ...]
    grown: pl.DataFrame

    @property
    def depth(self) -> int:
        """How many groups lie inside one another; 0 without nesting."""
        return len(self.deepest)

    @property
    def direct(self) -> int:
        """Direct memberships of users in groups that hold groups."""
        return int(self.grown.get_column("direct").sum())

    @property
    def effective(self) -> int:
        """Memberships of users in them after closure."""
        return int(self.grown.get_column("effective").sum())


def nesting(memberships: pl.DataFrame, groups: pl.DataFrame, closed: Closure) -> Nesting:
    """The report on MEMBERSHIP and GROUP frames and their closure. Groups that are gone count for nothing."""
    gone = groups.filter(pl.col("gone").is_not_null()).get_column("group_key")
    nested = memberships.filter("nested")
    if len(gone):
        nested = nested.filter(~pl.col("group_key").is_in(gone.implode()) & ~pl.col("member_key").is_in(gone.implode()))
    if nested.is_empty():
        return Nesting((), pl.DataFrame(schema=GROWN))
    holders = nested.select("group_key").unique().sort("group_key")
    direct = _sizes(memberships.filter(~pl.col("nested")).join(holders, on="group_key", how="semi"), "direct")
    effective = _sizes(closed.effective.join(holders, on="group_key", how="semi"), "effective")
    grown = holders.join(direct, on="group_key", how="left").join(effective, on="group_key", how="left")
    grown = grown.with_columns(pl.col("direct", "effective").fill_null(0)).select(
        pl.col(name).cast(kind) for name, kind in GROWN.items()
    )
    order = grown.sort(pl.col("direct") - pl.col("effective"), "group_key")
    return Nesting(_deepest(nested), order)


def _sizes(edges: pl.DataFrame, name: str) -> pl.DataFrame:
    return edges.group_by("group_key").agg(pl.len().alias(name))


def _deepest(nested: pl.DataFrame) -> tuple[int, ...]:
    """The longest way inwards, cycles taken as one step: linear in the edges."""
    outer = nested.get_column("group_key").to_numpy().astype(np.int64)
    inner = nested.get_column("member_key").to_numpy().astype(np.int64)
    involved: Ints = np.unique(np.concatenate([outer, inner]))
    left, right = np.searchsorted(involved, outer), np.searchsorted(involved, inner)
    size = len(involved)
    steps = csr_matrix((np.ones(len(left), dtype=np.bool_), (left, right)), shape=(size, size))
    count, label = connected_components(steps, directed=True, connection="strong")
    named = np.full(count, np.iinfo(np.int64).max)
    np.minimum.at(named, label, involved)
    ways = np.unique(np.stack([label[left], label[right]]), axis=1)
    ways = ways[:, ways[0] != ways[1]]
    inwards: dict[int, list[int]] = defaultdict(list)
    waiting = np.bincount(ways[1], minlength=count)
    for start, end in ways.T.tolist():
        inwards[start].append(end)
    depth, before = np.ones(count, dtype=np.int64), np.full(count, -1)
    todo = np.flatnonzero(waiting == 0).tolist()
    while todo:
        here = todo.pop()
        for end in inwards[here]:
            if depth[here] + 1 > depth[end] or (depth[here] + 1 == depth[end] and named[here] < named[before[end]]):
                depth[end], before[end] = depth[here] + 1, here
            waiting[end] -= 1
            if not waiting[end]:
                todo.append(end)
    last = min(np.flatnonzero(depth == depth.max()).tolist(), key=lambda each: int(named[each]))
    way = [last]
    while before[way[-1]] >= 0:
        way.append(int(before[way[-1]]))
    return tuple(int(named[each]) for each in reversed(way))


def nesting_notes(found: Nesting, closed: Closure, groups: pl.DataFrame) -> tuple[str, ...]:
    """Notes for the plan: depth, growth and cycles, with the names of the groups."""
    if not found.depth:
        return ()
    wanted = {*found.deepest, *found.grown.head(SHOWN).get_column("group_key")}
    wanted |= {key for ring in closed.cycles[:SHOWN] for key in ring[:SHOWN]}
    rows = groups.filter(pl.col("group_key").is_in(sorted(wanted))).select("group_key", "name").rows()
    names = {key: name or f"group {key}" for key, name in rows}
    notes = []
    if closed.cycles:
        rings = "; ".join(
            ", ".join(names[key] for key in ring[:SHOWN]) + (", …" if len(ring) > SHOWN else "")
            for ring in closed.cycles[:SHOWN]
        )
        notes.append(
            f"{len(closed.cycles)} cycles of groups that contain one another ({rings}); each has the union of their members"
        )
    way = [names[key] for key in found.deepest]
    shown = way if len(way) <= 2 * SHOWN else [*way[:SHOWN], "…", *way[-SHOWN:]]
    ratio = f" ({found.effective / found.direct:.1f} times)" if found.direct else ""
    most = ", ".join(
        f"{names[row['group_key']]} {row['direct']:,} -> {row['effective']:,}"
        for row in found.grown.head(SHOWN).iter_rows(named=True)
        if row["effective"] > row["direct"]
    )
    notes.append(
        f"{found.grown.height:,} groups hold groups, {found.depth} deep ({' > '.join(shown)}): {found.direct:,} direct "
        f"memberships become {found.effective:,}{ratio}" + (f"; most: {most}" if most else "")
    )
    return tuple(notes)
