"""One row a person: whose value survives, and whether the person is active. Who belongs together was decided in `match`.

Survivorship by the rank of tenants, with per-attribute preferences. A tenant that does not speak of an attribute passes
on; one that says "none" clears it. Nothing depends on the order in which accounts arrive.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Literal

import numpy as np
import polars as pl

from core.classify import person_classes
from core.frames import BIT, PERSON, PERSON_ATTRIBUTES
from core.match_keys import GUESTS
from core.merge_status import Decision, decide
from core.model import AccountClass, Right, TenantFacts

if TYPE_CHECKING:
    from core.match import Matching

NOBODY = np.iinfo(np.int64).max
Ints = np.ndarray[tuple[int], np.dtype[np.int64]]


@dataclass(frozen=True)
class MergeSettings:
    """`prefer`: attribute → tenant names, best first, before all others; `today` is the day in the directory's time zone."""

    now: datetime
    today: date
    prefer: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    status_rule: Literal["home", "any_authoritative", "precedence"] = "home"


def merge(
    accounts: pl.DataFrame,
    matching: Matching,
    tenants: Sequence[TenantFacts],
    settings: MergeSettings,
    overrides: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """PERSON, by person_key, of everybody who holds an account.

    `overrides`: OVERRIDE rows (see `merge_status`). ValueError when an account has no link.
    """
    order = ranked(accounts, matching.links, tenants)
    if order.is_empty():
        return pl.DataFrame(schema=PERSON)
    person = order.get_column("person_key").to_numpy()
    start: Ints = np.flatnonzero(np.concatenate([[True], person[1:] != person[:-1]])).astype(np.int64)
    columns = _survivors(accounts, order, start, tenants, settings)
    decision = decide(accounts, order, start, tenants, rule=settings.status_rule, today=settings.today)
    heads = (
        order[start]
        .select("person_key")
        .join(matching.persons.select("person_key", "person_id"), on="person_key", how="left", maintain_order="left")
        .join(person_classes(matching.links), on="person_key", how="left", maintain_order="left")
    )
    people = heads.with_columns(
        **{**columns, **_status(decision)},
        doubtful=pl.col("person_key").is_in(sorted(matching.doubtful)),
    )
    people = people.select(pl.col(name).cast(kind) for name, kind in PERSON.items())
    return people if overrides is None else _overridden(people, overrides, settings.now)


def ranked(accounts: pl.DataFrame, links: pl.DataFrame, tenants: Sequence[TenantFacts]) -> pl.DataFrame:
    """One row an account: persons together, in each the account whose values count most first.

    Columns: person_key, place (row in `accounts`), account_key, tenant_key, rank, present and what ranks it.
    """
    facts = {each.tenant_key: each for each in tenants}
    by_rank = sorted(tenants, key=lambda each: (each.rank, each.name))
    ranks = {each.tenant_key: place for place, each in enumerate(by_rank)}
    silent = [key for key, each in facts.items() if Right.ATTRIBUTES not in each.may]
    retired = [key for key, each in facts.items() if each.retired]
    guest = pl.col("user_type").is_in(GUESTS).fill_null(value=False)
    twins = links.filter(pl.col("class") == AccountClass.ADMIN_TWIN).get_column("account_key")
    rows = accounts.lazy().select(
        "account_key",
        "tenant_key",
        "native_id",
        "present",
        "active",
        "gone",
        place=pl.int_range(pl.len(), dtype=pl.UInt32),
        rank=pl.col("tenant_key").replace_strict(ranks, return_dtype=pl.Int32),
        guest=guest,
        admin=pl.col("account_key").is_in(twins.implode()) if len(twins) else pl.lit(value=False),
        silent=pl.col("tenant_key").is_in(silent),
        retired=pl.col("tenant_key").is_in(retired),
    )
    rows = rows.with_columns(
        # Members before guests before admin twins, those who are there before those who are gone; a tenant that gives no
        # attributes never.
        standing=pl.col("silent") * 8
        + pl.col("admin") * 4
        + pl.col("guest") * 2
        + (pl.col("gone").is_not_null() | pl.col("retired")),
        off=~pl.col("active").fill_null(value=True),
    )
    linked = rows.join(links.lazy().select("account_key", "person_key"), on="account_key", how="left")
    # native_id decides only between accounts of one person in one tenant: sort by it where there are any.
    found = linked.collect()
    if found.get_column("person_key").has_nulls():
        raise ValueError("an account has no link: match all accounts before merging them")
    twins = found.select("person_key", "tenant_key").is_duplicated()
    native = pl.Series("twin", np.zeros(found.height, dtype=np.int64))
    if twins.any():
        ranked = found.filter(twins).get_column("native_id").rank("dense").cast(pl.Int64)
        native = native.scatter(twins.arg_true(), ranked)
    packed = (
        pl.col("standing").cast(pl.Int64) * (1 << 56)
        + pl.col("rank").cast(pl.Int64) * (1 << 40)
        + pl.col("off").cast(pl.Int64) * (1 << 39)
        + pl.col("twin")
    )
    found = found.with_columns(native.alias("twin")).with_columns(weight=packed)
    return found.sort("person_key", "weight", "account_key")


def _survivors(
    accounts: pl.DataFrame, order: pl.DataFrame, start: Ints, tenants: Sequence[TenantFacts], settings: MergeSettings
) -> dict[str, pl.Series]:
    """Each attribute's value and the account that gave it, a row a person."""
    place = order.get_column("place").to_numpy()
    standing = order.get_column("standing").cast(pl.Int64).to_numpy()
    best = np.repeat(standing[start], np.diff(np.append(start, len(standing))))
    eligible = (standing == best) & (standing < 8)
    present = order.get_column("present").to_numpy()
    position = np.arange(len(place), dtype=np.int64)
    base = np.where(eligible, position, NOBODY)
    columns: dict[str, pl.Series] = {}
    for attribute in PERSON_ATTRIBUTES:
        spoken = (present & np.uint64(BIT[attribute])) != 0
        score = base if spoken.all() else np.where(spoken, base, NOBODY)
        if attribute in settings.prefer:
            score = _preferred(score, order, tenants, settings.prefer[attribute])
        winner = np.minimum.reduceat(score, start)
        nobody = winner == NOBODY
        at = np.where(nobody, 0, winner & 0xFFFFFFFF)
        rows = pl.Series(place[at])
        keys = order.get_column("account_key").gather(at)
        if nobody.any():
            rows, keys = rows.set(pl.Series(nobody), None), keys.set(pl.Series(nobody), None)
        columns[attribute] = accounts.get_column(attribute).gather(rows)
        columns[f"from_{attribute}"] = keys
    return columns


def _preferred(score: Ints, order: pl.DataFrame, tenants: Sequence[TenantFacts], prefer: Sequence[str]) -> Ints:
    """The score with the named tenants first, in their order."""
    keys = {each.name: each.tenant_key for each in tenants}
    turn = {keys[name]: place for place, name in enumerate(prefer) if name in keys}
    turns = order.get_column("tenant_key").replace_strict(turn, default=len(turn), return_dtype=pl.Int64).to_numpy()
    return np.where(score == NOBODY, NOBODY, turns << 32 | score)


def _status(decision: Decision) -> dict[str, pl.Series]:
    return {
        "home_key": decision.home_key,
        "home_tenant": decision.home_tenant,
        "active": decision.active,
        "from_active": decision.account_key,
        "status_evidence": decision.evidence,
        "status_tenant": decision.tenant_key,
        "status_reason": decision.reason,
    }


def _overridden(people: pl.DataFrame, overrides: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """People with the exceptions that hold at `now`: the last one said about a person wins."""
    holding = (
        overrides.filter(pl.col("until").is_null() | (pl.col("until") > now))
        .sort("person_id", "said_at", "active", descending=[False, True, False], nulls_last=True)
        .unique("person_id", keep="first", maintain_order=True)
        .select("person_id", said="active", because="reason", until="until")
    )
    if holding.is_empty():
        return people
    said = pl.col("said").is_not_null()
    until = pl.format(" until {}", pl.col("until").dt.strftime("%Y-%m-%d")).fill_null("")
    text = pl.format("override{}: {}", until, pl.col("because").fill_null("no reason given"))
    return (
        people.join(holding, on="person_id", how="left", maintain_order="left")
        .with_columns(
            active=pl.coalesce("said", "active"),
            from_active=pl.when(~said).then("from_active"),
            status_evidence=pl.when(said & ~pl.col("said"))
            .then(pl.lit("explicit"))
            .when(~said)
            .then("status_evidence"),
            status_tenant=pl.when(~said).then("status_tenant"),
            status_reason=pl.when(said).then(text).otherwise("status_reason"),
        )
        .select(list(PERSON))
    )
