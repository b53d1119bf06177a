"""The cap on a person's accounts: a component above it is no human, and comes apart tier by tier, weakest first.

Nothing that arrives in another order comes out differently, and the cost is linear: a chain of a hundred thousand accounts,
each sharing a key with the next, is looked at once for each tier.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np
import polars as pl
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from core.frames import DOUBT
from core.match_keys import SHARED, WORDS, Keys
from core.match_split import SCORES, Labels

ASKED = 20  # edges shown to a human of each component above the cap
CUT: dict[str, pl.DataType] = {**SHARED, "component": pl.Int64(), "accounts": pl.Int64()}


def components(rows: pl.DataFrame, shared: pl.DataFrame, same: Collection[tuple[int, int]]) -> Labels:
    """Labels of accounts that keys, sticky links or pinned decisions connect, however far; of each row of `rows`.

    `rows`: row, old_person, kind; rows of other kinds than before are no longer held together by their person.
    """
    count = rows.height
    row = rows.get_column("row").to_numpy()
    old = rows.select("old_person", "kind", place=pl.int_range(pl.len())).filter(pl.col("old_person").is_not_null())
    person = old.get_column("old_person").to_numpy().astype(np.int64)
    people = int(person.max()) + 1 if len(person) else 0  # keys are dense enough to be nodes themselves
    other = old.get_column("kind").is_not_null()
    if other.any():
        kinds = old.get_column("kind").filter(other).rank("dense").to_numpy().astype(np.int64)
        person[other.arg_true().to_numpy()] += kinds * people
        people *= int(kinds.max()) + 1
    key = shared.get_column("key").to_numpy().astype(np.int64)
    held = shared.get_column("row").to_numpy().astype(np.int64)
    pinned = np.array([*same], dtype=np.int64).reshape(-1, 2)
    if count and int(row[-1]) != count - 1:  # a part of all rows: numbers are places in it
        pinned = pinned[np.isin(pinned, row).all(axis=1)]
        pinned, held = np.searchsorted(row, pinned), np.searchsorted(row, held)
        key = np.unique(key, return_inverse=True)[1].astype(np.int64)
    keys = int(key.max()) + 1 if len(key) else 0
    left = np.concatenate([old.get_column("place").to_numpy(), held, pinned[:, 0]]).astype(np.int32)
    right = np.concatenate([count + person, count + people + key, pinned[:, 1]]).astype(np.int32)
    nodes = count + people + keys
    graph = coo_matrix((np.ones(len(left), dtype=np.bool_), (left, right)), shape=(nodes, nodes)).tocsr()
    labels: Labels = connected_components(graph, directed=True, connection="weak")[1][:count].astype(np.int64)
    return labels


def peel(
    rows: pl.DataFrame, keys: Keys, same: Collection[tuple[int, int]], labels: Labels, cap: int
) -> tuple[Labels, Keys, pl.DataFrame]:
    """Labels without a component of more than `cap` accounts, the keys that still join, and those that no longer do (CUT).

    In every component above the cap the keys of the weakest tier join nobody; where that is not enough, the next tier's
    too. What was one person before, and what a human pinned, stays together.
    """
    cut: list[pl.DataFrame] = []
    shared, fresh = keys.shared, labels
    for tier in range(int(keys.shared.get_column("tier").max() or 0), -1, -1):  # type: ignore[arg-type]  # a UInt8 column
        sizes = np.bincount(fresh)
        if sizes.max(initial=0) <= cap:
            break
        above = np.flatnonzero(sizes[fresh] > cap)
        member = np.zeros(len(fresh), dtype=np.bool_)
        member[above] = True
        inside = pl.Series(member).gather(shared.get_column("row"))
        weak = inside & (shared.get_column("tier") == tier)
        gone = shared.filter(weak)
        cut.append(gone.with_columns(component=pl.Series(labels).gather(gone.get_column("row"))))
        left = shared.filter(inside & ~weak)
        fresh = fresh.copy()
        fresh[above] = int(fresh.max()) + 1 + components(rows[above], left, same)
        shared = shared.filter(~weak)
    if not cut:
        return labels, keys, pl.DataFrame(schema=CUT)
    lost = pl.concat(cut)
    accounts = pl.Series("accounts", np.bincount(labels)).gather(lost.get_column("component"))
    lost = lost.with_columns(accounts).select(pl.col(name).cast(kind) for name, kind in CUT.items())
    return fresh, replace(keys, shared=shared), lost


def cut_edges(
    rows: pl.DataFrame, chosen: pl.Series, keys: Keys, tiers: Collection[str], *, lost: pl.DataFrame, cap: int
) -> pl.DataFrame:
    """DOUBT: of keys that a cap made useless the edges between two persons, at most ASKED a component."""
    if lost.is_empty():
        return pl.DataFrame(schema=DOUBT)
    names = pl.DataFrame(
        {
            "tier": range(len(tiers)),
            "word": [WORDS[name] for name in tiers],
            "score": [SCORES[name] for name in tiers],
        },
        schema={"tier": pl.UInt8(), "word": pl.String(), "score": pl.Float64()},
    )
    held = lost.join(keys.values.select("key", "value"), on="key").join(
        rows.select("row", "account_key", "rank", "native_id"), on="row"
    )
    held = held.with_columns(person=chosen.gather(held.get_column("row"))).sort("tier", "value", "rank", "native_id")
    anchor = held.unique("key", keep="first", maintain_order=True).select("key", a="account_key", person_a="person")
    edges = held.join(anchor, on="key", maintain_order="left").filter(pl.col("person") != pl.col("person_a"))
    return (
        edges.join(names, on="tier", maintain_order="left")
        .filter(pl.int_range(pl.len()).over("component") < ASKED)
        .select(
            account_a="a",
            account_b="account_key",
            rule=pl.lit("component_cap"),
            reason=pl.col("word")
            + " "
            + pl.col("value")
            + ": such keys connect "
            + pl.col("accounts").cast(pl.String)
            + f" accounts, more than the {cap} that one human may have",
            score="score",
        )
    )
