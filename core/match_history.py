"""What the state remembers of accounts beyond their newest record: when they came and ended, and the addresses they had before."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from core.frames import ACCOUNT, TIME, conform
from core.model import TenantFacts
from core.normalise import normalise

TIMES: dict[str, pl.DataType] = {
    "account_key": pl.Int32(),
    "first_seen": TIME,  # null: it was there at its tenant's first read
    "ended_at": TIME,  # since when it is gone or disabled; null while it is there
}
FORMER: dict[str, pl.DataType] = {
    "account_key": pl.Int32(),
    "address": pl.String(),  # as landed
    "until": TIME,
}
FRESH = (1 << 31) + (1 << 29)  # numbers of former addresses begin here


@dataclass(frozen=True)
class Past:
    """`times`: TIMES of accounts of which anything is known; `former`: FORMER addresses that accounts have no more."""

    times: pl.DataFrame
    former: pl.DataFrame


def with_times(rows: pl.DataFrame, past: Past | None) -> pl.DataFrame:
    """`rows` with made_at and departed_at from memory where the tenant gives none; `remembered`: whether any is."""
    if past is None or past.times.is_empty():
        return rows.with_columns(remembered=pl.lit(value=False))
    return (
        rows.join(past.times, on="account_key", how="left", maintain_order="left")
        .with_columns(
            remembered=(pl.col("made_at").is_null() & pl.col("first_seen").is_not_null())
            | (pl.col("departed_at").is_null() & pl.col("ended_at").is_not_null()),
            made_at=pl.coalesce("made_at", "first_seen"),
            departed_at=pl.coalesce("departed_at", "ended_at"),
        )
        .drop("first_seen", "ended_at")
    )


def former_keys(
    rows: pl.DataFrame, claims: pl.DataFrame, former: pl.DataFrame, listed: pl.DataFrame, reuse: timedelta
) -> pl.DataFrame:
    """Former addresses that join a later account: row, value, at.

    `former`: account_key, address (normalised), until; `claims`: CLAIMS; `listed`: tenant_key, domain of verified domains.
    The address counts where its domain is listed for the account that had it, for an account of another tenant that has it
    verifiably now and was made before, or no more than `reuse` after, the address was given up.
    """
    had = (
        former.join(rows.select("account_key", "tenant_key", "guest", "kind", was="row"), on="account_key")
        .filter(~pl.col("guest") & pl.col("kind").is_null())
        .with_columns(domain=pl.col("address").str.splitn("@", 2).struct.field("field_1"))
        .join(listed, on=["tenant_key", "domain"], how="semi")
    )
    have = claims.filter("verified").join(had.select(value="address").unique(), on="value", how="semi")
    now = have.join(rows.select("row", "made_at", tenant_now="tenant_key"), on="row").unique(["row", "value"])
    pairs = had.join(now, left_on="address", right_on="value").filter(
        (pl.col("tenant_key") != pl.col("tenant_now")) & (pl.col("made_at") <= pl.col("until") + reuse)
    )
    named = pairs.with_columns(value=pl.col("address") + " until " + pl.col("until").dt.strftime("%Y-%m-%d"))
    keys = named.select("was", "value").unique().sort("was", "value").with_row_index("at", offset=FRESH)
    held = named.join(keys, on=["was", "value"])
    return pl.concat([keys.select(row="was", value="value", at="at"), held.select("row", "value", "at")]).select(
        pl.col("row").cast(pl.UInt32), "value", pl.col("at").cast(pl.UInt32)
    )


def normalised_former(former: pl.DataFrame, placeholders: Collection[str] = ()) -> pl.DataFrame:
    """FORMER with the addresses in the form that keys have; without those that are none."""
    numbered = former.with_row_index("place")
    forms = normalise(conform(numbered.select(account_key="place", email="address"), ACCOUNT), placeholders)
    return former.with_columns(address=forms.get_column("n_email")).drop_nulls("address")


def listed_domains(tenants: Sequence[TenantFacts], form: dict[str, str]) -> pl.DataFrame:
    """tenant_key, domain of everything that tenants verify; `form`: each domain in the form that addresses have."""
    pairs = [
        (each.tenant_key, form[name])
        for each in tenants
        for name in sorted({*each.verified_domains, *each.vendor_verified})
    ]
    return pl.DataFrame(pairs, schema={"tenant_key": pl.Int16(), "domain": pl.String()}, orient="row")
