"""Whether a person is active, who decided it, and on what evidence (design section 5, status). The words for it are in `status_reasons`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

import numpy as np
import polars as pl

from core.frames import TIME
from core.model import Evidence, Right, TenantFacts
from core.rehire import rehires
from core.status_reasons import reasons
from core.status_stance import ABSENT, ON, stance
from core.status_words import Meaning, meanings

Ints = np.ndarray[tuple[int], np.dtype[np.int64]]
Bools = np.ndarray[tuple[int], np.dtype[np.bool_]]
NOBODY = np.iinfo(np.int64).max
# Exceptions that people set (`onefold override`): `active` false takes access away, true keeps it.
OVERRIDE: dict[str, pl.DataType] = {
    "person_id": pl.String(),
    "active": pl.Boolean(),
    "until": TIME,  # null: no end
    "said_at": TIME,
    "reason": pl.String(),
}


@dataclass(frozen=True)
class StatusRule:
    """Config `status`: who decides, what a leave means, and the directory's own words for the state of an account."""

    rule: Literal["home", "any_authoritative", "precedence"] = "home"
    leave: Literal["as_account", "active", "inactive"] = "as_account"
    words: Mapping[str, Meaning] = field(default_factory=dict)


@dataclass(frozen=True)
class Decision:
    """Series with a row a person, in order of person_key. `account_key` and `tenant_key` decided; null: nobody could.

    `kept_by`: the one tenant that says active while others say off; `against`: names of the tenants that say otherwise.
    """

    home_key: pl.Series
    home_tenant: pl.Series
    active: pl.Series
    account_key: pl.Series
    tenant_key: pl.Series
    evidence: pl.Series
    reason: pl.Series
    kept_by: pl.Series
    against: pl.Series


def decide(
    accounts: pl.DataFrame,
    order: pl.DataFrame,
    start: Ints,
    tenants: Sequence[TenantFacts],
    status: StatusRule,
    *,
    today: date,
) -> Decision:
    """`order`: rows of `merge.ranked`, persons together, each person's first row at `start`."""
    said = _said(accounts, order, tenants, status, today)
    again = rehires(said, accounts, start, {each.tenant_key: each.employee_number_issuer for each in tenants})
    former = np.zeros(order.height, dtype=np.bool_)
    former[again.filter("elsewhere").get_column("old").to_numpy()] = True
    said = said.with_columns(pl.Series("former", former))
    rank = order.get_column("rank").to_numpy().astype(np.int64)
    retired = order.get_column("retired").to_numpy()
    guest = order.get_column("guest").to_numpy()
    beside = order.get_column("beside").to_numpy()
    level = said.get_column("stance").to_numpy().astype(np.int64)
    position = np.arange(len(level), dtype=np.int64)
    by_rank = retired.astype(np.int64) << 60 | rank << 40 | level << 36 | position
    by_home = guest.astype(np.int64) << 61 | by_rank
    home, lost = _best(np.where(guest | beside | former, NOBODY, by_home), start)
    may = said.get_column("may").to_numpy() & ~beside & ~former
    on = said.get_column("on").to_numpy()
    if status.rule == "home":
        # A guest's record decides only about those who are guests everywhere.
        members = np.repeat(np.maximum.reduceat(~guest & ~beside, start), np.diff(np.append(start, len(level))))
        score = np.where(may & ~(guest & members), by_home, NOBODY)
    elif status.rule == "precedence":
        score = np.where(may & ~said.get_column("silent").to_numpy(), by_rank, NOBODY)
    else:
        trusted = said.get_column("authoritative").to_numpy() & (may | on) & ~beside & ~former
        score = np.where(trusted, (~on).astype(np.int64) << 60 | rank << 40 | level << 36 | position, NOBODY)
    at, nobody = _best(score, start)
    chosen = said[at].with_columns(
        pl.Series("nobody", nobody), active_now=pl.Series(on[at] | nobody), person=pl.int_range(len(start))
    )
    told = reasons(chosen, said, start, again, {each.tenant_key: each.name for each in tenants})
    active = chosen.get_column("active_now").alias("active")
    return Decision(
        home_key=_unless(order.get_column("account_key").gather(home), lost),
        home_tenant=_unless(order.get_column("tenant_key").gather(home), lost),
        active=active,
        account_key=_unless(chosen.get_column("account_key"), nobody),
        tenant_key=_unless(chosen.get_column("tenant_key"), nobody | on[at]),
        evidence=chosen.select(pl.when(~active).then("evidence")).to_series(),
        reason=told.get_column("reason"),
        kept_by=told.get_column("kept_by"),
        against=told.get_column("against"),
    )


def _best(score: Ints, start: Ints) -> tuple[Ints, Bools]:
    """The row with the smallest score of each person, and whether there is none."""
    least = np.minimum.reduceat(score, start)
    return np.where(least == NOBODY, 0, least & 0xFFFFFFFFF), least == NOBODY


def _unless(values: pl.Series, mask: Bools) -> pl.Series:
    return values.set(pl.Series(mask), None) if mask.any() else values


def _said(
    accounts: pl.DataFrame, order: pl.DataFrame, tenants: Sequence[TenantFacts], status: StatusRule, today: date
) -> pl.DataFrame:
    """What each row of `order` says: stance, on, may, silent, authoritative, evidence, and the facts that words are made of."""
    facts = pl.DataFrame(
        {
            "tenant_key": [each.tenant_key for each in tenants],
            "may": [Right.DEACTIVATE in each.may for each in tenants],
            "trusted": [each.trusted for each in tenants],
            "authoritative": [each.authoritative for each in tenants],
        },
        schema_overrides={"tenant_key": pl.Int16()},
    )
    place = order.get_column("place")
    words = meanings(accounts.get_column("status"), status.words)
    rows = order.select(
        "person_key", "account_key", "tenant_key", "place", "rank", "active", "gone", "retired", "guest", "beside"
    )
    dates = accounts.select("starts_on", "ends_on", "disabled_at", "deleted_at")[place]
    rows = rows.with_columns(dates).with_columns(words.gather(place))
    rows = rows.join(facts, on="tenant_key", how="left", maintain_order="left")
    rows = rows.with_columns(stance=stance(status.leave, today).cast(pl.Int8))
    missing = pl.col("stance") == ABSENT
    return rows.with_columns(
        on=~pl.col("retired") & ((pl.col("stance") == ON) | (missing & ~pl.col("trusted"))),
        silent=pl.col("active").is_null() & pl.col("meaning").is_null() & (pl.col("stance") == ON),
        evidence=pl.when("retired")
        .then(pl.lit(Evidence.RETIRED.value))
        .when(missing)
        .then(pl.lit(Evidence.ABSENT.value))
        .otherwise(pl.lit(Evidence.EXPLICIT.value)),
    )
