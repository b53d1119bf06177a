"""Who is outside the rollout: it limits what is written, never what is read or worked out."""

from __future__ import annotations

from datetime import date

import polars as pl

from core.desired import Desired
from core.existing import Existing
from core.expression import evaluate
from core.frames import PERSON_ATTRIBUTES
from core.names import fold, folded
from core.settings import Rollout


def outside(rollout: Rollout, existing: Existing, desired: Desired, persons: pl.DataFrame, *, today: date) -> pl.Series:
    """person_key of persons who are in none of the rollout's groups, now or by what is desired, nor meant by its expression.

    An expression that fails or is null lets nobody in: a rollout is meant to be small.
    """
    wanted = [fold(name) for name in rollout.groups]
    there = existing.groups.filter(folded(existing.groups.get_column("name")).is_in(wanted))
    holders = existing.users.filter("owned").select("user_key", "person_key").drop_nulls()
    now = existing.memberships.join(there.select("group_key"), on="group_key", how="semi").join(holders, on="user_key")
    named = desired.groups.filter(folded(desired.groups.get_column("name")).is_in(wanted))
    then = desired.memberships.join(named.select("group_no"), on="group_no", how="semi")
    inside = pl.concat([now.get_column("person_key"), then.get_column("person_key")])
    if rollout.persons is not None and persons.height:
        done = evaluate(
            {"value": rollout.persons},
            frames={"person": persons.select("person_id", *PERSON_ATTRIBUTES, pl.col("person_class").alias("class"))},
            key=persons.get_column("person_key"),
            today=today,
        )
        chosen = done.frame.get_column("value").cast(pl.Boolean, strict=False).fill_null(value=False)
        inside = pl.concat([inside, persons.get_column("person_key").filter(chosen)])
    return persons.get_column("person_key").filter(~persons.get_column("person_key").is_in(inside.unique().implode()))
