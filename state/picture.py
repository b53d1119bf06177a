"""The picture of one tenant in its own words: what a landed full read of it would hold. For comparing states whose keys differ."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from core.frames import ACCOUNT, GROUP, LANDED_ACCOUNT, LANDED_GROUP, LANDED_MEMBERSHIP, conform
from state.edges import unpack
from state.session import Session


@dataclass(frozen=True)
class TenantPicture:
    """LANDED frames of all three objects, in the order of their keys. `accounts`, `groups` hold tombstones of what is explicitly gone.

    Beside them `absent`: native_ids of accounts that are missing from a complete read; a full read does not hold those.
    """

    accounts: pl.DataFrame
    groups: pl.DataFrame
    memberships: pl.DataFrame
    absent: pl.Series

    def landed(self, name: str) -> pl.DataFrame:
        """The frame of an object, as `read_part` would give it."""
        frame: pl.DataFrame = getattr(self, name)
        return frame


def tenant_picture(session: Session, tenant_key: int) -> TenantPicture:
    """What the state holds of one tenant."""
    accounts = conform(session.frame("raw_account_of_tenant", {"tenant_key": tenant_key}), ACCOUNT)
    groups = conform(session.frame("raw_group_of_tenant", {"tenant_key": tenant_key}), GROUP)
    packed = session.frame("membership_of_tenant", {"tenant_key": tenant_key})
    return TenantPicture(
        _landed(accounts, LANDED_ACCOUNT),
        _landed(groups.with_columns(members_complete=pl.lit(value=True)), LANDED_GROUP),
        _edges(packed, accounts, groups, session.frame("membership_aside_of_tenant", {"tenant_key": tenant_key})),
        accounts.filter(pl.col("gone") == "absent").get_column("native_id").sort(),
    )


def _landed(rows: pl.DataFrame, schema: dict[str, pl.DataType]) -> pl.DataFrame:
    told = rows.filter(pl.col("gone").is_null() | (pl.col("gone") == "explicit"))
    return conform(told.with_columns(tombstone=pl.col("gone").is_not_null()), schema).sort("native_id")


def _edges(packed: pl.DataFrame, accounts: pl.DataFrame, groups: pl.DataFrame, aside: pl.DataFrame) -> pl.DataFrame:
    """Edges by native ids, those that wait for an unknown end too."""
    names = groups.select("group_key", group_id="native_id")
    ends = unpack(packed.get_column("packed").to_numpy()).join(names, on="group_key")
    people, inside = (
        rows.select(member_key=key, member_id="native_id")
        for rows, key in ((accounts, "account_key"), (groups, "group_key"))
    )
    users = ends.filter(~pl.col("nested")).join(people, on="member_key")
    inner = ends.filter("nested").join(inside, on="member_key")
    parts = [
        part.select("group_id", "member_id", member_kind=pl.lit(kind))
        for part, kind in ((users, "user"), (inner, "group"))
    ]
    found = pl.concat([*parts, aside.select("group_id", "member_id", "member_kind")])
    return conform(found.with_columns(removed=pl.lit(value=False)), LANDED_MEMBERSHIP).sort(
        "group_id", "member_id", "member_kind"
    )
