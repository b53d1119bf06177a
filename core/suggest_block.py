"""Which records are compared at all: those that share a block. Big blocks are made finer or left out, so the work grows with the records."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from core.suggest_compare import Codes, Ints

CAP = 30  # records in a block at most
# One pass of blocking: a key, and what makes it finer where too many records share it.
Pass = Sequence[pl.Expr]


def key(*parts: pl.Expr) -> pl.Expr:
    """A key of several columns; null where one of them is."""
    return pl.concat_str(parts, separator="\x1f", ignore_nulls=False)


def candidates(frame: pl.DataFrame, passes: Sequence[Pass], entity: Codes, cap: int = CAP) -> Ints:
    """Packed pairs of rows (the smaller first, ascending) of different entities that share a block of any pass.

    An expression of a pass may give a list: its record then stands in several blocks.
    """
    found = [np.zeros(0, dtype=np.int64)]
    for steps in passes:
        found.extend(_pairs(frame, steps, entity, cap))
    return unique(np.concatenate(found))


def _pairs(frame: pl.DataFrame, steps: Pass, entity: Codes, cap: int) -> list[Ints]:
    found = []
    rows = frame.select(key=steps[0], row=pl.int_range(pl.len(), dtype=pl.Int64))
    if isinstance(rows.schema["key"], pl.List):
        rows = rows.explode("key")
    rows = rows.drop_nulls("key").select("row", key=pl.col("key").hash(seed=0))
    for place in range(len(steps)):
        if place:
            finer = frame.select(finer=steps[place]).to_series()
            rows = rows.with_columns(finer=finer.gather(rows.get_column("row"))).drop_nulls("finer")
            rows = rows.select("row", key=pl.struct("key", "finer").hash(seed=0))
        rows = rows.with_columns(size=pl.len().over("key"))
        small = rows.filter(pl.col("size").is_between(2, cap)).sort("key", "row")
        found.append(_within_blocks(small.get_column("key").to_numpy(), small.get_column("row").to_numpy(), entity))
        rows = rows.filter(pl.col("size") > cap)
        if rows.is_empty():
            break
    return found


def _within_blocks(keys: np.ndarray[tuple[int], np.dtype[np.uint64]], rows: Ints, entity: Codes) -> Ints:
    """All pairs of rows with one key; both arrays in order of key."""
    found = [np.zeros(0, dtype=np.int64)]
    person = entity[rows]
    for gap in range(1, len(keys)):
        at = np.flatnonzero(keys[gap:] == keys[:-gap])
        if not len(at):
            break
        at = at[person[at] != person[at + gap]]
        low, high = np.minimum(rows[at], rows[at + gap]), np.maximum(rows[at], rows[at + gap])
        found.append((low << 32) | high)
    return np.concatenate(found)


def unique(pairs: Ints) -> Ints:
    """Each pair once, ascending."""
    ordered = np.sort(pairs)
    if len(ordered) < 2:
        return ordered
    kept: Ints = ordered[np.concatenate([[True], ordered[1:] != ordered[:-1]])]
    return kept
