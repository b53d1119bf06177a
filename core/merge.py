"""One row a person: whose value survives, and whether the person is active. Who belongs together was decided in `match`.

Survivorship by the rank of tenants, with per-attribute preferences. A tenant that does not speak of an attribute passes
on; one that says "none" clears it. Nothing depends on the order in which accounts arrive.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from core.classify import person_classes
from core.frames import PERSON
from core.match_keys import GUESTS
from core.merge_status import Decision, StatusRule, decide
from core.model import Right, TenantFacts
from core.settings import AttributeRule
from core.survive import survivors

if TYPE_CHECKING:
    from core.match import Matching

OWN = ("human", "guest")  # classes of the accounts that a human uses as themselves
Ints = np.ndarray[tuple[int], np.dtype[np.int64]]


@dataclass(frozen=True)
class MergeSettings:
    """`attributes`: what the config says of single attributes; `today` is the day in the directory's time zone."""

    now: datetime
    today: date
    attributes: Mapping[str, AttributeRule] = field(default_factory=dict)
    status: StatusRule = field(default_factory=StatusRule)


def merge(
    accounts: pl.DataFrame,
    matching: Matching,
    tenants: Sequence[TenantFacts],
    settings: MergeSettings,
    overrides: pl.DataFrame | None = None,
    *,
    classes: pl.Series | None = None,
    notes: list[str] | None = None,
) -> pl.DataFrame:
    """PERSON, by person_key, of everybody who holds an account.

    `overrides`: OVERRIDE rows (see `merge_status`). `classes`: the class of each row of `accounts`; without it the column
    `class` of the links, where they have one. What could not be worked out is told in `notes`. ValueError when an account has no link.
    """
    order = ranked(accounts, matching.links, tenants, classes)
    if order.is_empty():
        return pl.DataFrame(schema=PERSON)
    person = order.get_column("person_key").to_numpy()
    start: Ints = np.flatnonzero(np.concatenate([[True], person[1:] != person[:-1]])).astype(np.int64)
    survived = survivors(accounts, order, start, tenants, settings.attributes, today=settings.today)
    if notes is not None:
        notes += survived.notes
    decision = decide(accounts, order, start, tenants, settings.status, today=settings.today)
    heads = (
        order[start]
        .select("person_key")
        .join(matching.persons.select("person_key", "person_id"), on="person_key", how="left", maintain_order="left")
        .join(person_classes(matching.links), on="person_key", how="left", maintain_order="left")
    )
    people = heads.with_columns(
        **{**survived.columns, **_status(decision)},
        rules=survived.rules,
        doubtful=pl.col("person_key").is_in(sorted(matching.doubtful)),
    )
    people = people.select(pl.col(name).cast(kind) for name, kind in PERSON.items())
    return people if overrides is None else _overridden(people, overrides, settings.now)


def ranked(
    accounts: pl.DataFrame, links: pl.DataFrame, tenants: Sequence[TenantFacts], classes: pl.Series | None = None
) -> pl.DataFrame:
    """One row an account: persons together, in each the account whose values count most first.

    Columns: person_key, place (row in `accounts`), account_key, tenant_key, rank, present, what ranks it, and `class`
    where `classes` says one for each row of `accounts`, or `links` has that column.
    """
    facts = {each.tenant_key: each for each in tenants}
    by_rank = sorted(tenants, key=lambda each: (each.rank, each.name))
    ranks = {each.tenant_key: place for place, each in enumerate(by_rank)}
    silent = [key for key, each in facts.items() if Right.ATTRIBUTES not in each.may]
    retired = [key for key, each in facts.items() if each.retired]
    guest = pl.col("user_type").is_in(GUESTS).fill_null(value=False)
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
        silent=pl.col("tenant_key").is_in(silent),
        retired=pl.col("tenant_key").is_in(retired),
        deleted=pl.col("deleted_at").is_not_null(),
    )
    told = ["class"] if classes is None and "class" in links.columns else []
    linked = rows.join(links.lazy().select("account_key", "person_key", *told), on="account_key", how="left")
    found = linked.collect()
    if classes is not None:
        found = found.with_columns(classes.cast(pl.String).gather(found.get_column("place")).alias("class"))
    found = found.with_columns(beside(found))
    found = found.with_columns(
        # Members before guests, a human's own account before others of theirs, those who are there before those who are
        # gone; a tenant that gives no attributes never.
        standing=pl.col("silent") * 8
        + pl.col("beside") * 16
        + pl.col("guest") * 2
        + (pl.col("gone").is_not_null() | pl.col("deleted") | pl.col("retired")),
        off=~pl.col("active").fill_null(value=True),
    )
    # native_id decides only between accounts of one person in one tenant: sort by it where there are any.
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


def beside(rows: pl.DataFrame) -> pl.Series:
    """True for accounts that a human has beside their own: an admin twin, a service account. They speak for nobody.

    `rows`: person_key, and class where accounts are classified.
    """
    if "class" not in rows.columns:
        return pl.Series("beside", [False]).new_from_index(0, rows.height)
    other = ~rows.get_column("class").fill_null(OWN[0]).is_in(OWN)
    own = rows.filter(~other).get_column("person_key").unique()
    return (other & rows.get_column("person_key").is_in(own.implode())).alias("beside")


def _status(decision: Decision) -> dict[str, pl.Series]:
    return {
        "home_key": decision.home_key,
        "home_tenant": decision.home_tenant,
        "active": decision.active,
        "from_active": decision.account_key,
        "status_evidence": decision.evidence,
        "status_tenant": decision.tenant_key,
        "status_reason": decision.reason,
        "kept_by": decision.kept_by,
        "against": decision.against,
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
            kept_by=pl.when(~said).then("kept_by"),
            status_reason=pl.when(said).then(text).otherwise("status_reason"),
        )
        .select(list(PERSON))
    )
