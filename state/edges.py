"""Direct edges of one tenant: external ids become integers, two sets of packed integers become the difference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from core.frames import LANDED_MEMBERSHIP, MEMBERSHIP, conform
from state.history import close_rows, open_rows
from state.session import Session

Packed = npt.NDArray[np.int64]
ASIDE = ["group_id", "member_id", "member_kind"]


@dataclass(frozen=True, slots=True)
class EdgesMoved:
    """Edges added and removed, and those kept aside because the group or the member is unknown or gone."""

    added: int
    removed: int
    aside: int


@dataclass(frozen=True, slots=True)
class Ends:
    """The tenant's picture: `accounts` and `groups` (native_id, key, gone); `listed`: groups (native_id) whose landed edges are all they have."""

    accounts: pl.DataFrame
    groups: pl.DataFrame
    listed: pl.DataFrame


def merge_edges(
    session: Session, tenant_key: int, landed: pl.DataFrame, ends: Ends, *, run_no: int, complete: bool
) -> EdgesMoved:
    """Merges landed edges into the tenant's. Edges of gone ends do not stand. `complete`: these are all that the tenant has."""
    accounts, groups, listed = ends.accounts, ends.groups, ends.listed
    landed = conform(landed, LANDED_MEMBERSHIP).with_columns(pl.col("removed").fill_null(False))
    asked = landed.filter(~pl.col("removed")).select(ASIDE)
    stood = session.frame("membership_of_tenant", {"tenant_key": tenant_key})
    aside = session.frame("membership_aside_of_tenant", {"tenant_key": tenant_key})
    if not complete:
        drop = landed.filter("removed").select(ASIDE)
        waiting = aside.join(drop, on=ASIDE, how="anti", nulls_equal=True)
        waiting = waiting.join(listed, left_on="group_id", right_on="native_id", how="anti")
        asked = pl.concat([asked, waiting])
    there = pl.col("gone").is_null()
    live_groups = groups.filter(there).select("native_id", "group_key")
    found, unknown = _resolve(asked, accounts.filter(there), live_groups)
    existing = np.sort(stood["packed"].to_numpy())
    if complete:
        desired = found
    else:
        taken = _resolve(landed.filter("removed").select(ASIDE), accounts, groups)[0]
        replaced = live_groups.join(listed, on="native_id", how="semi")["group_key"].to_numpy()
        kept = existing[~np.isin(existing >> 32, replaced)] if replaced.size else existing
        kept = _without_gone(kept, accounts, groups)
        desired = np.union1d(kept[~np.isin(kept, taken)] if taken.size else kept, found)
    only_existing, only_desired = _difference(existing, desired)
    close_rows(session, "raw_membership", unpack(only_existing), run_no)
    fresh = unpack(only_desired).with_columns(tenant_key=pl.lit(tenant_key, pl.Int16))
    open_rows(session, "raw_membership", fresh, run_no)
    _keep_aside(session, tenant_key, aside, unknown)
    return EdgesMoved(only_desired.size, only_existing.size, unknown.height)


def _resolve(edges: pl.DataFrame, accounts: pl.DataFrame, groups: pl.DataFrame) -> tuple[Packed, pl.DataFrame]:
    """Edges with external ids as sorted distinct packed integers, and those of which an end is not among the given."""
    if not edges.height:
        return np.empty(0, np.int64), edges
    ends = edges.with_columns(nested=pl.col("member_kind").fill_null("user") == "group").join(
        groups.select(group_id="native_id", group_key="group_key"), on="group_id", how="left"
    )
    users = ends.filter(~pl.col("nested")).join(
        accounts.select(member_id="native_id", member_key="account_key"), on="member_id", how="left"
    )
    nested = ends.filter("nested").join(
        groups.select(member_id="native_id", member_key="group_key"), on="member_id", how="left"
    )
    both = pl.concat([users, nested])
    sound = pl.col("group_key").is_not_null() & pl.col("member_key").is_not_null()
    if both["group_key"].null_count() or both["member_key"].null_count():
        unknown = both.filter(~sound).select(ASIDE).unique()
        both = both.filter(sound)
    else:
        unknown = edges.clear()
    return _distinct(_pack(both)), unknown


def _pack(edges: pl.DataFrame) -> Packed:
    """(group_key, nested, member_key) in one signed integer: keys stay below 2^31."""
    group, member = edges["group_key"].to_numpy().astype(np.int64), edges["member_key"].to_numpy().astype(np.int64)
    packed: Packed = (group << 32) | (edges["nested"].to_numpy().astype(np.int64) << 31) | member
    return packed


def unpack(packed: Packed) -> pl.DataFrame:
    """Packed edges as MEMBERSHIP."""
    return pl.DataFrame(
        {
            "group_key": (packed >> 32).astype(np.int32),
            "member_key": (packed & 0x7FFFFFFF).astype(np.int32),
            "nested": ((packed >> 31) & 1).astype(np.bool_),
        },
        schema=MEMBERSHIP,
    )


def _distinct(packed: Packed) -> Packed:
    ordered: Packed = np.sort(packed)
    if ordered.size < 2:
        return ordered
    distinct: Packed = ordered[np.concatenate([[True], ordered[1:] != ordered[:-1]])]
    return distinct


def _without_gone(packed: Packed, accounts: pl.DataFrame, groups: pl.DataFrame) -> Packed:
    """Edges whose both ends are there."""
    left = pl.col("gone").is_not_null()
    dead_groups = groups.filter(left)["group_key"].to_numpy()
    dead_accounts = accounts.filter(left)["account_key"].to_numpy()
    nested, member = ((packed >> 31) & 1).astype(np.bool_), packed & 0x7FFFFFFF
    dead = np.isin(packed >> 32, dead_groups) | np.where(
        nested, np.isin(member, dead_groups), np.isin(member, dead_accounts)
    )
    return packed[~dead]


def _difference(a: Packed, b: Packed) -> tuple[Packed, Packed]:
    """What only `a` and only `b` hold; both sorted and distinct. A stable sort merges two sorted runs in one pass."""
    both = np.concatenate([a, b])
    both.sort(kind="stable")
    if not both.size:
        return both, both
    edge = both[1:] != both[:-1]
    alone = both[np.concatenate([[True], edge]) & np.concatenate([edge, [True]])]
    if not a.size:
        return alone[:0], alone
    place = np.minimum(np.searchsorted(a, alone), a.size - 1)
    from_a = a[place] == alone
    return alone[from_a], alone[~from_a]


def _keep_aside(session: Session, tenant_key: int, before: pl.DataFrame, unknown: pl.DataFrame) -> None:
    if before.height == unknown.height and before.sort(ASIDE).equals(unknown.sort(ASIDE)):
        return
    session.run("membership_aside_clear", {"tenant_key": tenant_key})
    session.insert("raw_membership_aside", unknown.with_columns(tenant_key=pl.lit(tenant_key, pl.Int16)))
