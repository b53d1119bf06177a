"""What one target should hold: its users, groups and memberships, from persons, rules and expressions.

Users are worked out in `desired_users`, groups and memberships in `desired_groups`. Nobody is removed by being left out:
whoever has no row here is left alone, and access ends only by a row that is inactive or out of scope.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import date

import polars as pl

from core.frames import PUSHED
from core.model import TargetMode, TenantFacts, Verb

PEOPLE: dict[str, pl.DataType] = {"person_key": pl.Int32(), "person_id": pl.String(), "doubtful": pl.Boolean()}
# Names that rules gave, or would give, to groups that no longer count: why, and whether our edges there may go.
ENDED: dict[str, pl.DataType] = {
    "name": pl.String(),
    "evidence": pl.String(),  # explicit, absent, retired
    "policy": pl.String(),  # exact: our edges go; add_only: they stay
    "tenant_key": pl.Int16(),
}
GROUP_TENANT: dict[str, pl.DataType] = {"group_no": pl.Int32(), "tenant_key": pl.Int16()}


def accepts(_name: str) -> str | None:
    """A target that takes every name."""
    return None


@dataclass(frozen=True)
class TargetSpec:
    """What planning must know of a target: attributes it can hold, verbs it can do, names it would refuse and why."""

    name: str
    attributes: frozenset[str] = frozenset(PUSHED)
    verbs: frozenset[str] = frozenset(verb.value for verb in Verb)
    mode: TargetMode = TargetMode.PLAN_ONLY
    refuses_user_name: Callable[[str], str | None] = accepts
    refuses_group_name: Callable[[str], str | None] = accepts


@dataclass(frozen=True)
class Trouble:
    """Something that keeps a part of the desired state from being worked out. `persons` and `groups` (names) wait for it;
    nothing is ever removed because of it."""

    kind: str
    problem: str
    remedy: str
    target: str | None = None
    tenant: str | None = None
    object: str | None = None
    field: str | None = None
    line: int | None = None
    persons: tuple[int, ...] = ()
    groups: tuple[str, ...] = ()

    def __str__(self) -> str:
        words = (("target", self.target), ("tenant", self.tenant), ("object", self.object))
        place = [f"{word} {value}" for word, value in words if value]
        if self.field:
            place.append(f"onefold.yaml:{self.line} {self.field}" if self.line else self.field)
        return f"{', '.join(place)}: {self.problem}" if place else self.problem


@dataclass(frozen=True)
class Desired:
    """`users`: DESIRED_USER by person_key; an attribute is null where nobody speaks of it, and empty where it is to be
    cleared. `groups`: DESIRED_GROUP by group_no. `memberships`: DESIRED_MEMBERSHIP, sorted, unique, of active users in
    scope. `people`: PEOPLE of `users`. `certain` is false while it is not known which groups the rules ask for."""

    users: pl.DataFrame
    groups: pl.DataFrame
    memberships: pl.DataFrame
    people: pl.DataFrame
    notes: tuple[str, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    ended: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=ENDED))
    group_tenants: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=GROUP_TENANT))
    certain: bool = True


def desire(
    target: TargetSpec,
    persons: pl.DataFrame,
    accounts: pl.DataFrame,
    links: pl.DataFrame,
    groups: pl.DataFrame,
    effective: pl.DataFrame,
    tenants: Sequence[TenantFacts],
    config: Config,
    *,
    today: date,
    pilots: Collection[int] = (),
) -> Desired:
    """What `target` should hold.

    `persons`: PERSON, merged from the accounts of tenants that are not in observe mode. `accounts`: ACCOUNT of all
    tenants, `links`: their LINK, `groups`: GROUP, `effective`: group_key and account_key of all effective memberships.
    `pilots`: person_keys that the target itself already shows in one of the rollout's groups. Never raises because of
    data: what fails is in `troubles`.
    """
    from core.desired_groups import desired_groups
    from core.desired_users import desired_users

    scene = Scene.of(target, persons, accounts, links, tenants, config, today)
    users, troubles = desired_users(scene)
    pushed = desired_groups(scene, groups)
    memberships = pushed.members(effective, scene, users)
    notes: list[str] = [*pushed.notes]
    certain = pushed.certain
    if config.settings.rollout is not None:
        users, memberships, more = within_rollout(scene, users, pushed.groups, memberships, pilots)
        troubles += more
        certain = False
        notes.append(f"{target.name}: the rollout limits what is written to {users.height:,} persons")
    users = users.sort("person_key") if not users.get_column("person_key").is_sorted() else users
    clashes = name_clashes(scene, users)
    people = scene.persons.select(PEOPLE).join(users.select("person_key"), on="person_key", how="semi").sort("person_key")
    return Desired(
        users=users,
        groups=pushed.groups,
        memberships=memberships,
        people=people,
        notes=tuple(notes),
        troubles=(*troubles, *pushed.troubles, *clashes),
        ended=pushed.ended,
        group_tenants=pushed.tenants,
        certain=certain,
    )
