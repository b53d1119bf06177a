"""Effective memberships: who is in a group directly or through nested groups. Which groups are pushed is not decided here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

Ints = np.ndarray[tuple[int], np.dtype[np.int64]]
EFFECTIVE: dict[str, pl.DataType] = {"group_key": pl.Int32(), "account_key": pl.Int32()}
LOW_HALF = np.int64(0xFFFFFFFF)


@dataclass(frozen=True)
class Closure:
    """`effective`: EFFECTIVE, sorted and unique. `cycles`: group_keys, ascending, of groups that contain themselves.

    Groups that contain one another are one cycle and all have the union of their members.
    """

    effective: pl.DataFrame
    cycles: tuple[tuple[int, ...], ...] = ()


def closure(memberships: pl.DataFrame, groups: pl.DataFrame) -> Closure:
    """Effective members of every group, of MEMBERSHIP and GROUP frames. Edges of groups that are gone count for nobody."""
    gone = groups.filter(pl.col("gone").is_not_null()).get_column("group_key")
    if len(gone):
        memberships = memberships.filter(~pl.col("group_key").is_in(gone.implode()))
    nested = memberships.filter("nested")
    direct = _ordered(_packed(memberships if nested.is_empty() else memberships.filter(~pl.col("nested"))))
    if nested.is_empty():
        return Closure(_unpacked(direct))
    reach, involved, cycles = _reach(nested)
    containers = np.flatnonzero(np.diff(reach.indptr) > 1)
    flat, through = _through(direct, reach, involved, containers)
    return Closure(_unpacked(_ordered(np.concatenate([flat, through]))), cycles)


def _packed(memberships: pl.DataFrame) -> Ints:
    """(group, member) as one integer that sorts like the pair."""
    group = memberships.get_column("group_key").to_numpy().astype(np.int64)
    packed: Ints = group << 32 | memberships.get_column("member_key").to_numpy()
    return packed


def _ordered(packed: Ints) -> Ints:
    """Ascending and distinct; costs little when it is so already, or made of a few sorted runs."""
    if not len(packed):
        return packed
    steps = np.diff(packed)
    if (steps > 0).all():
        return packed
    if (steps < 0).any():
        packed = np.sort(packed, kind="stable")
        steps = np.diff(packed)
    distinct: Ints = packed[np.concatenate([[True], steps > 0])]
    return distinct


def _unpacked(packed: Ints) -> pl.DataFrame:
    return pl.DataFrame(
        {"group_key": (packed >> 32).astype(np.int32), "account_key": (packed & LOW_HALF).astype(np.int32)},
        schema=EFFECTIVE,
    )


def _reach(nested: pl.DataFrame) -> tuple[csr_matrix, Ints, tuple[tuple[int, ...], ...]]:
    """Which groups reach which through nesting (themselves included), over the ascending keys of all groups involved."""
    outer = nested.get_column("group_key").to_numpy().astype(np.int64)
    inner = nested.get_column("member_key").to_numpy().astype(np.int64)
    involved: Ints = np.unique(np.concatenate([outer, inner]))
    size = len(involved)
    left, right = np.searchsorted(involved, outer), np.searchsorted(involved, inner)
    step = csr_matrix((np.ones(len(left), dtype=np.bool_), (left, right)), shape=(size, size))
    count, label = connected_components(step, directed=True, connection="strong")
    looping = np.flatnonzero(np.bincount(label, minlength=count) > 1)
    rings = {tuple(involved[label == each].tolist()) for each in looping}
    rings |= {(int(involved[each]),) for each in np.unique(left[left == right]) if label[each] not in looping}
    every = np.arange(size)
    reach = step + csr_matrix((np.ones(size, dtype=np.bool_), (every, every)), shape=(size, size))
    while (further := reach @ reach).nnz != reach.nnz:
        reach = further
    return reach, involved, tuple(sorted(rings))


def _through(direct: Ints, reach: csr_matrix, involved: Ints, containers: Ints) -> tuple[Ints, Ints]:
    """The direct edges of groups that contain no group, and all edges of those that do; both packed."""
    group = direct >> 32
    place = np.minimum(np.searchsorted(involved, group), len(involved) - 1)
    inside = involved[place] == group
    account = direct[inside] & LOW_HALF
    accounts, column = np.unique(account, return_inverse=True)
    base = csr_matrix(
        (np.ones(len(column), dtype=np.bool_), (place[inside], column)), shape=(len(involved), len(accounts))
    )
    product = reach[containers] @ base
    product.sort_indices()
    row = np.repeat(involved[containers], np.diff(product.indptr))
    through: Ints = row << 32 | accounts[product.indices] if len(accounts) else np.empty(0, dtype=np.int64)
    boxed = np.zeros(len(involved), dtype=np.bool_)
    boxed[containers] = True
    return direct[~(inside & boxed[place])], through
