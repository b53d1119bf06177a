"""What one target should hold: users, groups and memberships, from persons, rules and expressions. What exists is not looked at."""

from __future__ import annotations

from datetime import date

import polars as pl

from core.config import Config
from core.desired_groups import groups_of
from core.desired_users import in_scope, mapped, name_troubles, of_class, rights, users_of
from core.frames import DESIRED_GROUP, DESIRED_MEMBERSHIP, DESIRED_USER, PERSON, empty
from core.picture import Desired, Picture, TargetSpec, Trouble, accepts

__all__ = ["Desired", "Picture", "TargetSpec", "Trouble", "accepts", "desire"]


def desire(target: TargetSpec, picture: Picture, config: Config, *, today: date) -> Desired:
    """What `target` should hold. Never raises because of data: what fails is in `troubles`."""
    persons = picture.persons.select(pl.col(name) for name in PERSON).sort("person_key")
    if persons.is_empty():
        return Desired(empty(DESIRED_USER), empty(DESIRED_GROUP), empty(DESIRED_MEMBERSHIP))
    troubles: list[Trouble] = []
    people = persons.join(rights(picture), on="person_key", how="left", maintain_order="left")
    people = people.with_columns(in_scope(target, picture, persons, config, today, troubles))
    people = people.with_columns(mapped(target, persons, config, today, troubles).get_columns())
    users = users_of(people.with_columns(of_class=of_class(persons, config)))
    troubles += name_troubles(target, users)
    groups, memberships, sources = groups_of(target, picture, users, config, today, troubles)
    return Desired(users, groups, memberships, tuple(troubles), sources)
