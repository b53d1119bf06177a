"""What one account says about its person being active, whatever others say. Whose word counts is in `merge_status`.

Within a tenant the smallest stance of a person's accounts speaks for it: an old account that is gone does not outvote one
that is there.
"""

from __future__ import annotations

from datetime import date
from typing import Literal

import polars as pl

from core.model import Evidence

ON, WAITING, LEAVE, SUSPENDED, OFF, ENDED, DELETED, ABSENT, GONE = range(9)
# ABSENT in a tenant whose newest read is not trusted is no evidence: the person stays as it is.
OVER = (ENDED, DELETED, GONE)  # the account is not only off: its time is over


def stance(leave: Literal["as_account", "active", "inactive"], today: date) -> pl.Expr:
    """Over active, gone, meaning (of the vendor's word), starts_on, ends_on, deleted_at; `today` in the directory's time zone.

    The last day counts to its end, the first from its beginning. On leave an account stays what its flag says, unless the
    config says that leave keeps access or takes it away.
    """
    off = ~pl.col("active").fill_null(value=True)
    unsaid = pl.col("active").is_null()
    meaning = pl.col("meaning")
    away = (meaning == "leave").fill_null(value=False)
    lets_go = {"as_account": off, "active": pl.lit(value=False), "inactive": pl.lit(value=True)}[leave]
    kept = away & pl.lit(value=leave == "active")
    return (
        pl.when(pl.col("gone") == Evidence.EXPLICIT)
        .then(GONE)
        .when(pl.col("gone").is_not_null())
        .then(ABSENT)
        .when((pl.col("deleted_at").dt.date() <= today) | ((meaning == "deleted") & (off | unsaid)))
        .then(DELETED)
        .when((meaning == "suspended") & (off | unsaid))
        .then(SUSPENDED)
        .when(away & lets_go)
        .then(LEAVE)
        .when((off & ~kept) | (unsaid & (meaning == "off")))
        .then(OFF)
        .when(pl.col("ends_on") < today)
        .then(ENDED)
        .when(pl.col("starts_on") > today)
        .then(WAITING)
        .otherwise(ON)
    )


def words() -> pl.Expr:
    """A stance in words, over tenant, stance, meaning and the dates."""

    def on(column: str) -> pl.Expr:
        return pl.format(" on {}", pl.col(column).dt.strftime("%Y-%m-%d")).fill_null("")

    return (
        pl.when("retired")
        .then(pl.format("{} is retired", "tenant"))
        .when(pl.col("stance") == GONE)
        .then(pl.format("deleted in {}", "tenant"))
        .when(pl.col("stance") == ABSENT)
        .then(pl.format("missing from a complete read of {}", "tenant"))
        .when(pl.col("stance") == DELETED)
        .then(pl.format("deleted in {}{}, and can be restored there", "tenant", on("deleted_at")))
        .when(pl.col("stance") == SUSPENDED)
        .then(pl.format("suspended in {}{}", "tenant", on("disabled_at")))
        .when(pl.col("stance") == LEAVE)
        .then(pl.format("on leave in {}{}", "tenant", on("disabled_at")))
        .when(pl.col("stance") == ENDED)
        .then(pl.format("ended{} in {}", on("ends_on"), "tenant"))
        .when(pl.col("stance") == WAITING)
        .then(pl.format("starts{} in {}", on("starts_on"), "tenant"))
        .otherwise(pl.format("disabled in {}{}", "tenant", on("disabled_at")))
    )
