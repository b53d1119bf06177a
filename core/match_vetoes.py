"""What the times and places of two accounts forbid: recycled addresses, and ended accounts beside an enabled one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from core.match_keys import Keys

RECYCLED, SUPERSEDED = "recycled_address", "superseded"
ADDRESS_TIERS = ("home_link", "verified_email", "verified_login")
VETO: dict[str, pl.DataType] = {"row": pl.UInt32(), "row_b": pl.UInt32(), "rule": pl.String(), "reason": pl.String()}


def recycled(rows: pl.DataFrame, keys: Keys, tiers: Sequence[str], reuse: timedelta) -> pl.DataFrame:
    """VETO: accounts that share an address although one was made more than `reuse` after the other's end.

    Not where a number or an immutable id says that they are one human, nor, where the times are what we remember, where
    they were one person before.
    """
    kinds = [place for place, name in enumerate(tiers) if name in ADDRESS_TIERS]
    shared = keys.shared.lazy().filter(pl.col("tier").is_in(kinds))
    held = shared.join(rows.lazy().select("row", "made_at", "departed_at", "remembered", "old_person"), on="row")
    late = held.group_by("key").agg(first=pl.col("departed_at").min(), last=pl.col("made_at").max())
    held = held.join(late.filter(pl.col("last") > pl.col("first") + reuse).select("key"), on="key", how="semi")
    reason = f"one account was made more than {reuse.days} days after the other's end: the address may be recycled"
    found = (
        held.filter(pl.col("departed_at").is_not_null())
        .join(held, on="key", suffix="_b")
        .filter((pl.col("made_at_b") > pl.col("departed_at") + reuse) & (pl.col("row") != pl.col("row_b")))
        .filter(
            ~(
                (pl.col("remembered") | pl.col("remembered_b")) & (pl.col("old_person") == pl.col("old_person_b"))
            ).fill_null(value=False)
        )
        .select("row", "row_b", rule=pl.lit(RECYCLED), reason=pl.lit(reason))
    )
    return unproven(rows, found).unique(["row", "row_b"], maintain_order=True).collect()


def unproven(rows: pl.DataFrame, found: pl.LazyFrame) -> pl.LazyFrame:
    """Pairs (row, row_b, …) of which no number of one issuer and no immutable id says that they are one human."""
    strong = rows.lazy().select("row", "issuer", "n_employee_number", "n_immutable_id")
    number = (pl.col("issuer") == pl.col("issuer_b")) & (pl.col("n_employee_number") == pl.col("n_employee_number_b"))
    proven = number | (pl.col("n_immutable_id") == pl.col("n_immutable_id_b"))
    columns = found.collect_schema().names()
    return (
        found.join(strong, on="row", maintain_order="left")
        .join(strong, left_on="row_b", right_on="row", suffix="_b", maintain_order="left")
        .filter(~proven.fill_null(value=False))
        .select(columns)
    )


def superseded(rows: pl.DataFrame, held: pl.DataFrame) -> pl.DataFrame:
    """Of holders of addresses (row, value, at) those who are not the enabled account of their tenant while another is.

    An address is unique in a tenant: an account that ended there is a rehire's, a re-created one's, or another human's,
    and an address cannot tell (contract: identity-sources.md section 8.2: equal number, otherwise a human). Columns: row,
    row_b (the enabled one), at, value. Guests, whose invitations are repeated, and admin twins are not meant.
    """
    facts = rows.lazy().select("row", "tenant_key", "seated", "guest", "twin")
    seats = rows.lazy().filter("seated").select("row", "tenant_key", "native_id")
    ended = facts.filter(~pl.col("seated") & ~pl.col("guest") & ~pl.col("twin"))
    addresses = held.lazy().select("row", "at", "value")
    found = (
        addresses.join(ended, on="row")
        .join(addresses.select("row", "at").join(seats, on="row"), on=["at", "tenant_key"], suffix="_b")
        # Several may be enabled there with one address: one is named, by its name and not by where a join put it.
        .sort("row", "at", "native_id", "row_b", "value")
        .select("row", "row_b", "at", "value")
    )
    return unproven(rows, found).unique(["row", "at"], keep="first", maintain_order=True).collect()
