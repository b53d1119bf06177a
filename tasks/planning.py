"""Makes the plan: from the picture in the state and the shadows of the targets to changes, holds and forecast. Writes to no target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta

import polars as pl

from connectors.target import CountsSeats, Target
from core.adopt import follow, pair, protected_users
from core.desired import Picture, TargetSpec, desire
from core.diff import Difference, diff
from core.errors import OnefoldError
from core.group_renames import settle
from core.guard import CONFIG, guard
from core.guard_facts import POPULATION, GuardFacts, Question
from core.model import (
    Verb,
)
from core.names import folded, matching
from core.plan import GROUP_VERBS, Ordered, Plan, order
from core.rollout import outside
from state.plans import StoredPlan
from state.store import Store
from tasks.facts import tenant_facts
from tasks.installation import Installation
from tasks.picture import addresses, picture_of
from tasks.plan_head import Reading, Side, group_sizes, header


def make_plan(inst: Installation, run_id: str, reading: Reading | None = None, *, only: str | None = None) -> Plan:
    """Plans and saves. `only`: a person_id; the plan holds that person's changes alone and does not become the newest."""
    with Store.open(inst.state, purpose="plan", now=inst.clock) as store:
        store.control.import_into(store)
        plan = work_out(inst, store, run_id, reading or Reading(), only=only)
        store.save_plan(plan.header, plan.changes, plan.values)
        if only is None:
            _mirror(inst, store, plan)
    return plan


def _mirror(inst: Installation, store: Store, plan: Plan) -> None:
    rows = [
        {"id": each.hold_id, "target": each.target, "guard": each.guard, "count": each.count, "reason": each.reason}
        for each in plan.header.holds
    ]
    store.control.mirror("holds", rows, inst.clock())


def work_out(
    inst: Installation,
    store: Store,
    run_id: str,
    reading: Reading,
    *,
    only: str | None = None,
    live: bool = True,
    keep: list[Side] | None = None,
) -> Plan:
    """The plan from what the state holds now. `live`: ask targets for their seats where users are created.

    `only`: person_id of the one whose changes are wanted, or of one who merged into that person. `keep` is filled with the
    sides of all targets.
    """
    facts = tenant_facts(inst, store)
    picture, notes = picture_of(inst, store, facts)
    only = None if only is None else heir(store, only)
    questions = [_silence(name, problem) for name, problem in sorted(reading.silent.items())]
    sides: list[Side] = []
    seats: dict[str, int] = {}
    differences: list[Difference] = []
    with ExitStack() as closing:
        connected: dict[str, Target] = {}
        for name in sorted(inst.config.targets):
            if name in reading.silent and store.existing(name).users.is_empty():
                continue
            try:
                target = inst.target(name)
            except OnefoldError as error:
                questions.append(_silence(name, str(error)))
                continue
            closing.callback(target.close)
            connected[name] = target
            side = side_of(inst, store, target, name, picture)
            sides.append(side)
            differences.append(
                diff(
                    side.spec,
                    side.existing,
                    side.desired,
                    side.pairing,
                    picture.persons,
                    rename=inst.config.settings.map.rename,
                )
            )
            questions += _questions(side if only is None else _narrowed(side, picture.persons, only))
        previous = store.newest_plan()
        ordered = order(differences) if differences else _empty()
        if only is not None:
            ordered = _of_person(ordered, only)
        if keep is not None:
            keep += sides
        if live:
            seats = _seats(ordered, connected, questions)
    given = _facts(inst, store, sides, picture, previous, seats=seats, questions=questions)
    guarded = guard(ordered, given if only is None else replace(given, alone=True))
    head = header(inst, run_id, facts, store, sides, guarded, reading, previous, seats, notes, person=only)
    return Plan(head, guarded.changes, ordered.values)


def _empty() -> Ordered:
    from core.draft import DRAFT, VALUE

    return order([Difference(pl.DataFrame(schema=DRAFT), pl.DataFrame(schema=VALUE))])


def heir(store: Store, person_id: str) -> str:
    """The same id, or that of the person whom this one merged into."""
    found = store.session.rows("override_heirs", {"person_ids": [person_id]})
    return str(found[0][1] or person_id)


def _of_person(ordered: Ordered, person_id: str) -> Ordered:
    """The person's changes with their numbers in the whole plan, and the groups that must be made or adopted for them."""
    rows = ordered.changes.with_columns(form=folded(ordered.changes.get_column("group_name")))
    verb = pl.col("verb").cast(pl.String)
    mine = rows.filter(pl.col("person_id") == person_id)
    joined = mine.filter(verb == Verb.ADD_MEMBER.value).select("target", "form").unique()
    needed = rows.filter(verb.is_in(GROUP_VERBS)).join(joined, on=["target", "form"], how="semi")
    chosen = pl.concat([mine, needed]).sort("seq").drop("form")
    return Ordered(
        chosen, ordered.values.join(chosen, on="seq", how="semi"), ordered.cautions.join(chosen, on="seq", how="semi")
    )


def _narrowed(side: Side, persons: pl.DataFrame, person_id: str) -> Side:
    """The side as far as it raises questions about one person."""
    key = persons.filter(pl.col("person_id") == person_id).select("person_key")
    keys = set(key.get_column("person_key"))
    pairing = side.pairing
    return replace(
        side,
        existing=replace(side.existing, users=side.existing.users.join(key, on="person_key", how="semi")),
        desired=replace(side.desired, troubles=tuple(t for t in side.desired.troubles if keys & set(t.persons))),
        pairing=replace(
            pairing,
            doubtful=pairing.doubtful.join(key, on="person_key", how="semi"),
            taken=pairing.taken.join(key, on="person_key", how="semi"),
            protected=pairing.protected.join(key, on="person_key", how="semi"),
        ),
    )


def _silence(name: str, problem: str) -> Question:
    return Question(name, "unreachable", problem, "mend it and plan again; nothing is changed there meanwhile")


def side_of(inst: Installation, store: Store, target: Target, name: str, picture: Picture) -> Side:
    """What one target holds and should hold, its users paired."""
    chosen = inst.config.targets[name]
    spec = TargetSpec(
        name,
        attributes=tuple(target.attributes),
        verbs=frozenset(str(verb) for verb in target.verbs),
        include=chosen.common.include,
        refuses_user_name=target.refuses_user_name,
        refuses_group_name=target.refuses_group_name,
    )
    existing = follow(store.existing(name), picture.persons, store.person_ids(), picture.links)
    protected = protected_users(existing, inst.config.protected().users)
    wanted = desire(spec, picture, inst.config, today=inst.today())
    settled = settle(name, wanted, existing, store.group_memory(name), inst.config)
    store.remember_groups(name, settled.memory)
    desired = settled.desired
    pairing = pair(
        existing,
        desired.users,
        picture.persons,
        addresses(store, existing, picture),
        by=inst.config.settings.adopt.by,
        protected=protected,
    )
    rate = chosen.common.rate or target.rate
    return Side(spec, existing, desired, pairing, protected, store.first_contact(name), rate, settled.notes)


def _questions(side: Side) -> list[Question]:
    name = side.spec.name
    asked = [
        Question(name, each.kind, each.problem, each.remedy, len(each.persons) or len(each.groups), each.line)
        for each in side.desired.troubles
    ]
    doubtful, taken, shut = side.pairing.doubtful, side.pairing.taken, side.pairing.protected
    if doubtful.height:
        users = doubtful.get_column("user_key").n_unique()
        text = f"{users} existing users could belong to several persons, or several to one"
        asked.append(Question(name, "doubtful", text, f"see `onefold adopt {name}`, then make addresses unique", users))
    if taken.height:
        shown = ", ".join(taken.get_column("name").head(5).to_list())
        text = f"{taken.height} persons would get the name of a user who is not theirs by any key (such as {shown})"
        asked.append(
            Question(name, "name", text, f"see `onefold adopt {name}`; perhaps adopt by user_name too", taken.height)
        )
    mine = side.existing.users.filter(pl.col("owned") & pl.col("present")).drop_nulls("person_key")
    if double := mine.height - mine.get_column("person_key").n_unique():
        text = f"{double} users belong to persons who have another user there; they are deactivated with them and else left alone"
        asked.append(Question(name, "second_user", text, "merge or delete them by hand", double))
    if shut.height:
        text = f"{shut.height} protected users match persons and stay untouched"
        asked.append(Question(name, "protected", text, "do it by hand", shut.height))
    return asked


def _seats(ordered: Ordered, connected: Mapping[str, Target], questions: list[Question]) -> dict[str, int]:
    """Seats left in each target that would get users, as it says right now."""
    needing = ordered.changes.filter(
        pl.col("verb").cast(pl.String).is_in([Verb.CREATE_USER.value, Verb.REACTIVATE_USER.value])
    )
    found = {}
    for name in sorted(needing.get_column("target").unique()):
        target = connected[name]
        if not isinstance(target, CountsSeats):
            continue
        try:
            left = [each.remaining for each in target.seats() if each.remaining is not None]
        except OnefoldError as error:
            questions.append(_silence(name, f"its seats could not be read: {error}"))
            continue
        if left:
            found[name] = min(left)
    return found


def _population(sides: Sequence[Side], persons: pl.DataFrame) -> pl.DataFrame:
    homes = persons.select("person_key", tenant="home_tenant")
    parts = [
        side.existing.users.filter(pl.col("owned") & pl.col("present") & pl.col("active"))
        .join(homes, on="person_key")
        .group_by("tenant")
        .agg(pl.len().cast(pl.Int64).alias("persons"))
        .select(target=pl.lit(side.spec.name), tenant="tenant", persons="persons")
        for side in sides
    ]
    return pl.concat(parts) if parts else pl.DataFrame(schema=POPULATION)


def _facts(
    inst: Installation,
    store: Store,
    sides: Sequence[Side],
    picture: Picture,
    previous: StoredPlan | None,
    *,
    seats: Mapping[str, int],
    questions: Sequence[Question],
) -> GuardFacts:
    settings = inst.config.settings
    now = inst.clock()
    protect = inst.config.protected()
    users, groups, beyond = [], [], []
    for side in sides:
        name = pl.lit(side.spec.name).alias("target")
        users.append(side.protected.select(name, "user_key", "protected"))
        admin = side.existing.groups.join(side.existing.traits.filter("grants_admin"), on="group_key", how="semi")
        listed = matching(side.existing.groups.get_column("name"), protect.groups, any_case=True)
        shut = pl.concat([admin, side.existing.groups.filter(listed)]).unique("group_key")
        groups.append(shut.select(name, group_name="name"))
        if settings.rollout is not None:
            who = outside(settings.rollout, side.existing, side.desired, picture.persons, today=inst.today())
            beyond.append(pl.DataFrame({"person_key": who}).select(name, "person_key"))
    shape = {"target": pl.String(), "user_key": pl.Int32(), "protected": pl.String()}
    return GuardFacts(
        limits=settings.limits,
        protect=protect,
        tenant_names={each.tenant_key: each.name for each in picture.tenants},
        first_contact=frozenset(side.spec.name for side in sides if side.first_contact),
        population=_population(sides, picture.persons),
        group_sizes=group_sizes(sides),
        protected_users=pl.concat(users) if users else pl.DataFrame(schema=shape),
        protected_groups=pl.concat(groups)
        if groups
        else pl.DataFrame(schema={"target": pl.String(), "group_name": pl.String()}),
        doubtful=picture.persons.filter(pl.col("doubtful").fill_null(value=False)).get_column("person_key"),
        window=store.ledger.removals_since(now - timedelta(days=settings.limits.deactivate.window.days)),
        approvals=store.approvals(now),
        config_changed=previous is not None and previous.header.config_digest != inst.config.digest,
        held_before=_held_before(previous),
        outside=pl.concat(beyond) if beyond else None,
        seats=seats,
        rename_line=inst.config.document.line("map.user_name"),
        questions=questions,
    )


def _held_before(previous: StoredPlan | None) -> pl.Series:
    none = pl.Series("fingerprint", [], dtype=pl.String)
    if previous is None:
        return none
    ids = [each.hold_id for each in previous.header.holds if each.guard == CONFIG]
    if not ids:
        return none
    asked = pl.col("held_by").list.set_intersection(pl.lit(ids, dtype=pl.List(pl.String))).list.len() > 0
    return previous.changes.filter(asked).get_column("fingerprint")
