"""Whether a person is active, who decided it, and on what evidence (design section 5, status). Attributes are in `merge`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from core.frames import TIME
from core.model import Evidence, Right, TenantFacts

Ints = np.ndarray[tuple[int], np.dtype[np.int64]]
NOBODY = np.iinfo(np.int64).max
# Exceptions that people set (`onefold override`): `active` false takes access away, true keeps it.
OVERRIDE: dict[str, pl.DataType] = {
    "person_id": pl.String(),
    "active": pl.Boolean(),
    "until": TIME,  # null: no end
    "said_at": TIME,
    "reason": pl.String(),
}
# What one account says. Within a tenant the smallest stance of a person's accounts speaks for it: an old account that is
# gone does not outvote one that is there.
ON, WAITING, OFF, ENDED, ABSENT, GONE = range(6)
# ABSENT in a tenant whose newest read is not trusted is no evidence: the person stays as it is.


@dataclass(frozen=True)
class Decision:
    """Series with a row a person, in order of person_key. `account_key` and `tenant_key` decided; null: nobody could."""

    home_key: pl.Series
    home_tenant: pl.Series
    active: pl.Series
    account_key: pl.Series
    tenant_key: pl.Series
    evidence: pl.Series
    reason: pl.Series


def decide(
    accounts: pl.DataFrame, order: pl.DataFrame, start: Ints, tenants: Sequence[TenantFacts], *, rule: str, today: date
) -> Decision:
    """`order`: rows of `merge.ranked`, persons together, each person's first row at `start`."""
    stances = _stances(accounts, order, tenants, today)
    rank = order.get_column("rank").to_numpy().astype(np.int64)
    retired = order.get_column("retired").to_numpy()
    guest = order.get_column("guest").to_numpy()
    stance = stances.get_column("stance").to_numpy().astype(np.int64)
    position = np.arange(len(stance), dtype=np.int64)
    mute = _mute(order, start)
    by_home = guest.astype(np.int64) << 61 | retired.astype(np.int64) << 60 | rank << 40 | stance << 36 | position
    home, lost = _best(np.where(guest | mute, NOBODY, by_home), start)
    may = stances.get_column("may").to_numpy()
    silent = stances.get_column("silent").to_numpy()
    on = stances.get_column("on").to_numpy()
    if rule == "home":
        score = np.where(may & ~mute, by_home, NOBODY)
    elif rule == "precedence":
        score = np.where(
            may & ~silent & ~mute, retired.astype(np.int64) << 60 | rank << 40 | stance << 36 | position, NOBODY
        )
    else:
        trusted = stances.get_column("authoritative").to_numpy() & (may | on) & ~mute
        score = np.where(trusted, (~on).astype(np.int64) << 60 | rank << 40 | stance << 36 | position, NOBODY)
    at, nobody = _best(score, start)
    chosen = stances[at].with_columns(order.get_column("account_key").gather(at), pl.Series("nobody", nobody))
    active = pl.Series("active", on[at] | nobody)
    return Decision(
        home_key=_unless(order.get_column("account_key").gather(home), lost),
        home_tenant=_unless(order.get_column("tenant_key").gather(home), lost),
        active=active,
        account_key=_unless(chosen.get_column("account_key"), nobody),
        tenant_key=_unless(chosen.get_column("tenant_key"), nobody | on[at]),
        evidence=chosen.select(pl.when(~active).then("evidence")).to_series(),
        reason=_reasons(chosen, stances, order, start, active),
    )


def _mute(order: pl.DataFrame, start: Ints) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Admin twins of somebody who has other accounts: they decide nothing, not even where nobody else may."""
    twin = order.get_column("admin").to_numpy()
    if not twin.any():
        return twin
    alone = np.logical_and.reduceat(twin, start)
    lone: np.ndarray[tuple[int], np.dtype[np.bool_]] = np.repeat(alone, np.diff(np.append(start, len(twin))))
    return twin & ~lone


def _best(score: Ints, start: Ints) -> tuple[Ints, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    """The row with the smallest score of each person, and whether there is none."""
    least = np.minimum.reduceat(score, start)
    return np.where(least == NOBODY, 0, least & 0xFFFFFFFFF), least == NOBODY


def _unless(values: pl.Series, mask: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> pl.Series:
    return values.set(pl.Series(mask), None) if mask.any() else values


def _stances(accounts: pl.DataFrame, order: pl.DataFrame, tenants: Sequence[TenantFacts], today: date) -> pl.DataFrame:
    """What each row of `order` says: tenant_key, tenant, stance, on, may, silent, authoritative, evidence, words."""
    facts = pl.DataFrame(
        {
            "tenant_key": [each.tenant_key for each in tenants],
            "tenant": [each.name for each in tenants],
            "may": [Right.DEACTIVATE in each.may for each in tenants],
            "trusted": [each.trusted for each in tenants],
            "authoritative": [each.authoritative for each in tenants],
        },
        schema_overrides={"tenant_key": pl.Int16()},
    )
    place = order.get_column("place")
    dates = accounts.select("starts_on", "ends_on", "disabled_at")[place]
    rows = order.select("tenant_key", "active", "gone", "retired").with_columns(dates)
    rows = rows.join(facts, on="tenant_key", how="left", maintain_order="left")
    stance = (
        pl.when(pl.col("gone") == Evidence.EXPLICIT)
        .then(GONE)
        .when(pl.col("gone").is_not_null())
        .then(ABSENT)
        .when(~pl.col("active"))
        .then(OFF)
        .when(pl.col("ends_on") < today)
        .then(ENDED)
        .when(pl.col("starts_on") > today)
        .then(WAITING)
        .otherwise(ON)
    )
    rows = rows.with_columns(stance=stance.cast(pl.Int8))
    return rows.with_columns(
        on=~pl.col("retired") & ((pl.col("stance") == ON) | ((pl.col("stance") == ABSENT) & ~pl.col("trusted"))),
        silent=pl.col("active").is_null() & pl.col("gone").is_null(),
        evidence=pl.when("retired")
        .then(pl.lit(Evidence.RETIRED.value))
        .when(pl.col("stance") == ABSENT)
        .then(pl.lit(Evidence.ABSENT.value))
        .otherwise(pl.lit(Evidence.EXPLICIT.value)),
    )


def _reasons(
    chosen: pl.DataFrame, stances: pl.DataFrame, order: pl.DataFrame, start: Ints, active: pl.Series
) -> pl.Series:
    """Words for those who are inactive, with the tenants that say otherwise, and for those whom a doubtful read keeps."""
    people = order.get_column("person_key").gather(start)
    shown = chosen.with_columns(person_key=people, active_now=active)
    untrusted = (pl.col("stance") == ABSENT) & ~pl.col("trusted") & ~pl.col("nobody") & ~pl.col("retired")
    shown = shown.filter(~pl.col("active_now") | untrusted)
    if shown.is_empty():
        return pl.Series("reason", [None], dtype=pl.String).new_from_index(0, len(people))
    day = "%Y-%m-%d"
    words = (
        pl.when(untrusted)
        .then(pl.format("missing from {}, whose newest read is not trusted: kept", "tenant"))
        .when("retired")
        .then(pl.format("{} is retired", "tenant"))
        .when(pl.col("stance") == GONE)
        .then(pl.format("deleted in {}", "tenant"))
        .when(pl.col("stance") == ABSENT)
        .then(pl.format("missing from a complete read of {}", "tenant"))
        .when(pl.col("stance") == ENDED)
        .then(pl.format("ended on {} in {}", pl.col("ends_on").dt.strftime(day), "tenant"))
        .when(pl.col("stance") == WAITING)
        .then(pl.format("starts on {} in {}", pl.col("starts_on").dt.strftime(day), "tenant"))
        .when(pl.col("disabled_at").is_not_null())
        .then(pl.format("disabled in {} on {}", "tenant", pl.col("disabled_at").dt.strftime(day)))
        .otherwise(pl.format("disabled in {}", "tenant"))
    )
    against = (
        stances.with_columns(order.get_column("person_key"), order.get_column("rank"))
        .filter(pl.col("on") & ~order.get_column("admin"))
        .join(shown.filter(~pl.col("active_now")).select("person_key"), on="person_key", how="semi")
        .sort("rank")
        .unique(["person_key", "tenant"], keep="first", maintain_order=True)
        .group_by("person_key", maintain_order=True)
        .agg(pl.col("tenant").str.join(", "))
        .select("person_key", others="tenant")
    )
    said = pl.format("; still active in {} (overruled)", "others").fill_null("")
    told = shown.select("person_key", words=words).join(against, on="person_key", how="left")
    told = told.select("person_key", reason=pl.col("words") + said)
    return people.to_frame().join(told, on="person_key", how="left", maintain_order="left").get_column("reason")
