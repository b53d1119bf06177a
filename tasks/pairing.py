"""The pairing of a target's existing users and groups with persons, for sign-off: `onefold adopt`. Writes nothing to the target."""

from __future__ import annotations

import polars as pl

from core.desired import Desired
from core.names import folded
from state.store import Store
from tasks.facts import tenant_facts
from tasks.installation import Installation
from tasks.observe import observe
from tasks.picture import picture_of
from tasks.plan_head import Side
from tasks.planning import side_of

PAIRING: dict[str, pl.DataType] = {
    "object": pl.String(),  # user, group
    "remote_id": pl.String(),
    "name": pl.String(),
    "active": pl.Boolean(),
    "state": pl.String(),  # ours, match, doubtful, protected, stranger
    "person_id": pl.String(),
    "person": pl.String(),
    "rule": pl.String(),
    "evidence": pl.String(),
}


def pairing(inst: Installation, run_id: str, name: str, *, again: bool = True) -> pl.DataFrame:
    """PAIRING rows of every existing user and group, sorted by object, state and name."""
    if again:
        observe(inst, run_id, [name])
    with Store.open(inst.state, purpose="adopt", now=inst.clock) as store:
        picture, _ = picture_of(inst, store, tenant_facts(inst, store))
        target = inst.target(name)
        try:
            side = side_of(inst, store, target, name, picture)
        finally:
            target.close()
    users = _users(side, picture.persons)
    groups = _groups(side, side.desired)
    return pl.concat([users, groups]).sort("object", "state", "name", descending=[True, False, False])


def _users(side: Side, persons: pl.DataFrame) -> pl.DataFrame:
    found = side.pairing
    schema = {
        "user_key": pl.Int32(),
        "person": pl.Int32(),
        "state": pl.String(),
        "rule": pl.String(),
        "evidence": pl.String(),
    }
    parts = [
        found.pairs.select(
            "user_key", pl.col("person_key").alias("person"), pl.lit("match").alias("state"), "rule", "evidence"
        ),
        found.doubtful.select(
            "user_key", pl.col("person_key").alias("person"), pl.lit("doubtful").alias("state"), "rule", "evidence"
        ),
        found.protected.select(
            "user_key", pl.col("person_key").alias("person"), pl.lit("protected").alias("state")
        ).with_columns(rule=pl.lit(None, dtype=pl.String), evidence=pl.lit(None, dtype=pl.String)),
    ]
    judged = pl.concat([pl.DataFrame(schema=schema), *parts])
    here = side.existing.users.filter("present")
    rows = here.join(judged, on="user_key", how="left", maintain_order="left").with_columns(
        state=pl.coalesce("state", pl.when("owned").then(pl.lit("ours")).otherwise(pl.lit("stranger"))),
        person=pl.coalesce("person", "person_key"),
    )
    names = persons.select(person="person_key", person_id="person_id", person_name="display_name")
    rows = rows.join(names, on="person", how="left", maintain_order="left")
    return rows.select(
        pl.lit("user").alias("object"),
        "remote_id",
        pl.col("user_name").alias("name"),
        "active",
        "state",
        "person_id",
        pl.col("person_name").alias("person"),
        "rule",
        "evidence",
    ).cast(PAIRING)  # type: ignore[arg-type]  # a schema by name


def _groups(side: Side, desired: Desired) -> pl.DataFrame:
    here = side.existing.groups.filter("present")
    here = here.with_columns(form=folded(here.get_column("name")))
    wanted = desired.groups.with_columns(form=folded(desired.groups.get_column("name"))).select("form", "line")
    rows = here.join(wanted, on="form", how="left", maintain_order="left")
    named = pl.col("line").is_not_null()
    return rows.select(
        pl.lit("group").alias("object"),
        "remote_id",
        "name",
        pl.lit(None, dtype=pl.Boolean).alias("active"),
        pl.when("owned")
        .then(pl.lit("ours"))
        .when(named)
        .then(pl.lit("match"))
        .otherwise(pl.lit("stranger"))
        .alias("state"),
        pl.lit(None, dtype=pl.String).alias("person_id"),
        pl.lit(None, dtype=pl.String).alias("person"),
        pl.when(named).then(pl.lit("group rule")).alias("rule"),
        pl.when(named).then(pl.format("line {}", "line")).alias("evidence"),
    ).cast(PAIRING)  # type: ignore[arg-type]  # a schema by name
