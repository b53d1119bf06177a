"""Guards that count: limits per verb, evidence and tenant, per group, over a window of days, and seats."""

from __future__ import annotations

import polars as pl

from core.guard_facts import Found, GuardFacts, by
from core.model import Evidence, Verb
from core.settings import Limit, Limits

LIMIT, WINDOW_GUARD, SEATS = "limit", "window", "seats"


def _limit_of(verb: str, evidence: str, limits: Limits) -> Limit | None:
    match Verb(verb):
        case Verb.DEACTIVATE_USER:
            each: Limit = getattr(limits.deactivate, evidence, limits.deactivate.explicit)
            return each
        case Verb.REMOVE_MEMBER:
            kind = evidence if evidence in {Evidence.OUT_OF_SCOPE, Evidence.RETIRED} else "overall"
            removal: Limit = getattr(limits.remove_member, kind)
            return removal
        case Verb.RENAME_USER:
            return limits.rename_user
        case Verb.REACTIVATE_USER:
            return limits.reactivate_user
        case Verb.UPDATE_USER:
            return limits.update_user
        case Verb.CREATE_USER:
            return limits.create_user
        case Verb.ADD_MEMBER:
            return limits.add_member
        case Verb.DELETE_USER:
            return limits.delete_user
        case Verb.DELETE_GROUP:
            return limits.delete_group
        case _:
            return None


def limits(rows: pl.DataFrame, facts: GuardFacts) -> list[Found]:
    """Counts per target, verb, evidence and tenant against max(floor, percent of the tenant's active persons there).

    A limit of nought is no measure of mass: it also holds the plan of one person.
    """
    people = {(t, k): n for t, k, n in facts.population.select("target", "tenant", "persons").iter_rows()}
    found = []
    rows = rows.filter(pl.col("caution").is_null() & ~pl.col("target").is_in(sorted(facts.first_contact)))
    for (target, verb, evidence, tenant), mine in by(rows, "target", "verb", "evidence", "evidence_tenant"):
        limit = _limit_of(str(verb), str(evidence), facts.limits)
        if limit is None:
            continue
        population = people.get((target, tenant), 0)
        most = limit.most(population)
        if mine.height > most and not (facts.alone and most):
            name = facts.tenant_names.get(tenant if isinstance(tenant, int) else -1, "no tenant")
            words = f"max({limit.floor}, {limit.percent:g} % of {population})"
            found.append(
                Found(
                    LIMIT,
                    f"on the word of {name} ({evidence}), limit {most} = {words}",
                    "approve, or raise `limits:`",
                    mine.get_column("seq"),
                    str(target),
                    Verb(str(verb)),
                    f"{name} {evidence}",
                )
            )
    return found + _per_group(rows, facts)


def _per_group(rows: pl.DataFrame, facts: GuardFacts) -> list[Found]:
    limit = facts.limits.remove_member.per_group
    removals = rows.filter(pl.col("verb") == Verb.REMOVE_MEMBER.value)
    if removals.is_empty() or facts.alone:
        return []
    counts = (
        removals.group_by("target", "group_name")
        .agg(pl.col("seq").sort(), pl.len().alias("n"))
        .join(facts.group_sizes, on=["target", "group_name"], how="left")
        .with_columns(
            most=pl.max_horizontal(pl.lit(limit.floor), pl.col("members").fill_null(0) * limit.percent // 100)
        )
        .filter(pl.col("n") > pl.col("most"))
        .sort("target", "group_name")
    )
    return [
        Found(
            LIMIT,
            f"would leave {row['group_name']}, limit {int(row['most'])} = max({limit.floor}, {limit.percent:g} %)",
            "approve, or raise limits.remove_member.per_group",
            pl.Series("seq", row["seq"], dtype=pl.Int32),
            row["target"],
            Verb.REMOVE_MEMBER,
            row["group_name"],
        )
        for row in counts.iter_rows(named=True)
    ]


def window(rows: pl.DataFrame, facts: GuardFacts) -> list[Found]:
    """Deactivations of the last days and of this plan together."""
    limit = facts.limits.deactivate.window
    people = dict(facts.population.group_by("target").agg(pl.col("persons").sum()).iter_rows())
    verb = Verb.DEACTIVATE_USER.value
    done = dict(facts.window.filter(pl.col("verb") == verb).group_by("target").agg(pl.col("count").sum()).iter_rows())
    found = []
    asked = rows.filter((pl.col("verb") == verb) & ~pl.col("target").is_in(sorted(facts.first_contact)))
    for (target,), mine in by(asked, "target"):
        most, before = limit.most(people.get(target, 0)), done.get(target, 0)
        if before + mine.height > most and not facts.alone:
            found.append(
                Found(
                    WINDOW_GUARD,
                    f"{before} deactivations in the last {limit.days} days and {mine.height} now, limit {most}",
                    "approve, or raise limits.deactivate.window",
                    mine.get_column("seq"),
                    str(target),
                    Verb.DEACTIVATE_USER,
                )
            )
    return found


def seats(rows: pl.DataFrame, facts: GuardFacts) -> list[Found]:
    """More users than seats: all of them wait, not the ones that come last."""
    found = []
    for target, left in sorted(facts.seats.items()):
        grants = rows.filter(
            (pl.col("target") == target)
            & pl.col("verb").is_in([Verb.CREATE_USER.value, Verb.REACTIVATE_USER.value])
            & pl.col("caution").is_null()
        )
        if grants.height > left:
            found.append(
                Found(
                    SEATS,
                    f"{grants.height} users need a seat, {left} are left",
                    "buy seats, free seats, or narrow the scope",
                    grants.get_column("seq"),
                    target,
                    Verb.CREATE_USER,
                    releasable=False,
                )
            )
    return found
