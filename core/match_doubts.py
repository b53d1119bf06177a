"""Pairs that a human should look at: what vetoes and caps refused, what was parted, and addresses that only suggest."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from core.frames import DOUBT
from core.match_keys import STICKY, Keys
from core.match_persons import SPLIT
from core.match_split import SCORES, Pairs, Refused
from core.match_vetoes import SUPERSEDED

SUGGESTED = "unverified_address"
SUGGESTION_SCORE = 0.5
MOST_CLAIMS = 12  # more claimants of an address, or more such addresses of one account, are no hint at anybody


def refused_edges(rows: pl.DataFrame, refused: Sequence[Refused]) -> pl.DataFrame:
    """DOUBT of edges that a veto refused."""
    account = rows.get_column("account_key")
    return pl.DataFrame(
        {
            "account_a": account.gather([each.a for each in refused]),
            "account_b": account.gather([each.b for each in refused]),
            "rule": [each.rule for each in refused],
            "reason": [each.reason for each in refused],
            "score": [each.score for each in refused],
        },
        schema=DOUBT,
    )


def parted_edges(parted: pl.DataFrame) -> pl.DataFrame:
    """DOUBT of accounts that were one person until a veto parted them; stays until a human agrees."""
    return parted.select(
        account_a="account_key",
        account_b="other_key",
        rule=pl.lit(SPLIT),
        reason=pl.lit("they were one person until a veto parted them"),
        score=pl.lit(SCORES[STICKY]),
    ).select(pl.col(name).cast(kind) for name, kind in DOUBT.items())


def doubts(
    rows: pl.DataFrame, chosen: pl.Series, keys: Keys, pairs: Pairs, vetoed: Sequence[pl.DataFrame]
) -> pl.DataFrame:
    """DOUBT, one row a pair: what vetoes refused, and addresses that two persons claim though not both verifiably."""
    both = pl.concat([*vetoed, _superseded(rows, chosen, keys, pairs), _suggestions(rows, chosen, keys, pairs)])
    low, high = pl.min_horizontal("account_a", "account_b"), pl.max_horizontal("account_a", "account_b")
    return (
        both.with_columns(account_a=low, account_b=high)
        .sort("account_a", "account_b", "score", "rule", "reason", descending=[False, False, True, False, False])
        .unique(["account_a", "account_b"], keep="first", maintain_order=True)
    )


def _superseded(rows: pl.DataFrame, chosen: pl.Series, keys: Keys, pairs: Pairs) -> pl.DataFrame:
    """An ended account whose address an enabled one of its tenant has: perhaps a rehire's."""
    account, tenant = rows.get_column("account_key"), rows.get_column("tenant")
    found = keys.superseded
    if pairs.human:
        said = pl.DataFrame(list(pairs.human), schema={"row": pl.UInt32(), "row_b": pl.UInt32()}, orient="row")
        found = found.join(said, on=["row", "row_b"], how="anti")
    found = found.filter(chosen.gather(found.get_column("row")) != chosen.gather(found.get_column("row_b")))
    told = found.select(
        "value",
        tenant=tenant.gather(found.get_column("row")),
        account_a=account.gather(found.get_column("row_b")),
        account_b=account.gather(found.get_column("row")),
    )
    ended = ", where an enabled account has it; no number or immutable id says whose it was"
    return told.select(
        "account_a",
        "account_b",
        rule=pl.lit(SUPERSEDED),
        reason=pl.col("value") + ": ended in " + pl.col("tenant") + ended,
        score=pl.lit(SCORES["verified_email"]),
    )


def _suggestions(rows: pl.DataFrame, chosen: pl.Series, keys: Keys, pairs: Pairs) -> pl.DataFrame:
    """An address that accounts of two persons claim, one of them under a domain it does not own, only suggests.

    So does a verified address that was no proof for its holders' names: no word in common, or, where it is nobody's
    primary, not the same.
    """
    held = keys.claims.with_columns(person=chosen.gather(keys.claims.get_column("row")))
    several = held.group_by("at").agg(low=pl.col("person").min(), high=pl.col("person").max())
    held = held.join(several.filter(pl.col("low") != pl.col("high")).select("at"), on="at", how="semi")
    # One claim a row and address, the strongest; in an order without ties, since a sort keeps none.
    strongest = ["verified", "row", "alias", "login", "value"]
    held = held.sort(strongest, descending=[True, False, False, False, False]).unique(
        ["row", "at"], keep="first", maintain_order=True
    )
    several = held.group_by("at").agg(claims=pl.len(), nobodys=pl.col("alias").all())
    several = several.filter(pl.col("claims") <= MOST_CLAIMS)
    several = several.with_columns(strange=pl.col("nobodys") | pl.col("at").is_in(keys.apart.implode()))
    held = held.join(several.select("at", "nobodys", "strange"), on="at").join(
        rows.select("row", "account_key", "tenant", "rank", "native_id"), on="row"
    )
    anchor = held.sort("verified", "rank", "native_id", descending=[True, False, False]).unique(
        "at", keep="first", maintain_order=True
    )
    found = held.join(anchor, on="at", suffix="_a").filter(
        (pl.col("person") != pl.col("person_a")) & (~(pl.col("verified") & pl.col("verified_a")) | pl.col("strange"))
    )
    found = found.sort("at", "row").filter(pl.int_range(pl.len()).over("row_a") < MOST_CLAIMS)
    if pairs.human:
        said = pl.DataFrame(list(pairs.human), schema={"row_a": pl.UInt32(), "row": pl.UInt32()}, orient="row")
        found = found.join(said, on=["row_a", "row"], how="anti")
    owner = pl.when("verified_a").then(pl.lit(" and is verified for ")).otherwise(pl.lit(" and, also unverified, by "))
    value, both = pl.col("value"), pl.col("tenant_a") + " and " + pl.col("tenant")
    claimed = value + " is claimed by " + pl.col("tenant") + ", not verified," + owner + pl.col("tenant_a")
    names = value + " is verified in " + both + ", but the names differ"
    alias = value + " is an alias in " + both + " and nobody's own: perhaps a team's"
    return found.select(
        account_a="account_key_a",
        account_b="account_key",
        rule=pl.lit(SUGGESTED),
        reason=pl.when(~(pl.col("verified") & pl.col("verified_a")))
        .then(claimed)
        .when("nobodys")
        .then(alias)
        .otherwise(names),
        score=pl.lit(SUGGESTION_SCORE),
    ).select(pl.col(name).cast(kind) for name, kind in DOUBT.items())
