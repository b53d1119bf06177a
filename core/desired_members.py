"""Who is in each desired group: members of the groups behind it, combined as its rule says. Which groups there are is decided in `desired_groups`."""

from __future__ import annotations

import polars as pl

from core.match_keys import GUESTS
from core.merge import beside
from core.picture import Picture


def memberships_of(
    picture: Picture, rows: pl.DataFrame, users: pl.DataFrame, crowds: dict[tuple[int, int], pl.DataFrame]
) -> pl.DataFrame:
    """DESIRED_MEMBERSHIP of active users, combined as each rule says.

    `rows`: `desired_groups.TAKEN` with `group_no`; `crowds`: account_key of everybody meant, by rule and side.
    """
    standing = _standing(picture)
    active = users.filter(pl.col("active")).select("person_key")
    carrying = (
        picture.links.select("account_key", "person_key")
        .join(standing, on="account_key", how="semi")
        .join(active, on="person_key", how="semi")
    )
    numbers = rows.filter(pl.col("group_key").is_not_null()).select("group_no", "side", "group_key", "combine")
    plain = pl.col("combine") == "union"
    parts = [_edges(picture.effective, numbers.filter(plain), carrying).select("group_no", "person_key")]
    mixed = (
        [_edges(picture.effective, numbers.filter(~plain), carrying)] if (numbers["combine"] != "union").any() else []
    )
    for place, number, group_no, combine in (
        rows.filter(pl.col("group_key").is_null()).select("rule", "side", "group_no", "combine").iter_rows()
    ):
        crowd = (
            crowds[place, number]
            .join(carrying, on="account_key")
            .select(
                pl.lit(group_no, pl.Int32).alias("group_no"),
                pl.lit(number, pl.Int32).alias("side"),
                "person_key",
                combine=pl.lit(combine),
            )
        )
        parts += [crowd.select("group_no", "person_key")] if combine == "union" else []
        mixed += [crowd] if combine != "union" else []
    if mixed:
        edges = pl.concat(mixed)
        parts += [_in_all(edges, rows), _as_first_says(edges, rows, picture, carrying)]
    members = pl.concat(parts)
    packed = (
        (members.get_column("group_no").cast(pl.Int64) * (1 << 32) + members.get_column("person_key").cast(pl.Int64))
        .unique()
        .sort()
    )
    return pl.DataFrame({"packed": packed}).select(
        group_no=(pl.col("packed") // (1 << 32)).cast(pl.Int32),
        person_key=(pl.col("packed") % (1 << 32)).cast(pl.Int32),
    )


def _edges(effective: pl.DataFrame, numbers: pl.DataFrame, carrying: pl.DataFrame) -> pl.DataFrame:
    return (
        effective.join(numbers, on="group_key")
        .join(carrying, on="account_key")
        .select("group_no", "side", "person_key", "combine")
    )


def _in_all(edges: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """group_no, person_key of those who are in every side of an intersection."""
    wanted = rows.select("group_no", "sides").unique()
    counted = (
        edges.filter(pl.col("combine") == "intersection")
        .group_by("group_no", "person_key")
        .agg(pl.col("side").n_unique().alias("found"))
        .join(wanted, on="group_no")
    )
    return counted.filter(pl.col("found") == pl.col("sides")).select("group_no", "person_key")


def _as_first_says(edges: pl.DataFrame, rows: pl.DataFrame, picture: Picture, carrying: pl.DataFrame) -> pl.DataFrame:
    """group_no, person_key by precedence.

    Of each person the first tenant of the list decides in which they are a member, else the first in which they are a guest.
    """
    mine = edges.filter(pl.col("combine") == "precedence")
    sides = rows.filter(pl.col("combine") == "precedence").select("group_no", "side", "tenant_key").unique()
    homes = carrying.join(picture.accounts.select("account_key", "tenant_key", "user_type"), on="account_key").select(
        "person_key", "tenant_key", guest=pl.col("user_type").is_in(GUESTS).fill_null(value=False)
    )
    deciding = (
        mine.select("group_no", "person_key")
        .unique()
        .join(sides, on="group_no")
        .join(homes, on=["person_key", "tenant_key"])
        .sort("group_no", "person_key", "guest", "side")
        .unique(["group_no", "person_key"], keep="first", maintain_order=True)
    )
    return (
        mine.join(deciding, on=["group_no", "person_key", "side"], how="semi").select("group_no", "person_key").unique()
    )


def _standing(picture: Picture) -> pl.DataFrame:
    """account_key of accounts that may carry memberships: there, not disabled in their own tenant, and their human's own.

    What an administrator holds with a second account is kept away from the daily one on purpose.
    """
    here = picture.accounts.filter(pl.col("gone").is_null() & pl.col("active").fill_null(value=True))
    others = picture.links.filter(beside(picture.links)).select("account_key")
    return here.select("account_key").join(others, on="account_key", how="anti")
