"""Makes the plan: from the picture in the state and the shadows of the targets to changes, holds and forecast. Writes to no target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta

import polars as pl

from connectors.target import CountsSeats, Target
from core.adopt import ADDRESS, Pairing, pair, protected_users
from core.closure import closure
from core.desired import Desired, Picture, TargetSpec, desire
from core.diff import Difference, diff
from core.errors import OnefoldError
from core.existing import Existing
from core.guard import CONFIG, POPULATION, Guarded, GuardFacts, Question, guard
from core.match_keys import verified_addresses
from core.model import (
    ExtractLine,
    Forecast,
    GroupLine,
    Manifest,
    PlanHeader,
    TargetLine,
    TenantFacts,
    TenantMode,
    Verb,
    Verdict,
)
from core.names import matching
from core.normalise import normalise
from core.plan import ADOPTIONS, EDGE_VERBS, Ordered, Plan, digest, order
from core.rollout import outside
from state.plans import StoredPlan
from state.store import Store
from tasks.identify import tenant_facts
from tasks.installation import Installation

HOUR = 3600
MOST_CHANGED = 6  # groups named in the plan


@dataclass(frozen=True)
class Side:
    """One target while planning: what it can do, holds and should hold, and how its users were paired."""

    spec: TargetSpec
    existing: Existing
    desired: Desired
    pairing: Pairing
    protected: pl.DataFrame
    first_contact: bool
    rate: float


@dataclass(frozen=True)
class Reading:
    """What the run read: manifests of its extracts, and targets that did not answer (name: problem)."""

    extracts: Sequence[Manifest] = ()
    silent: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()


def make_plan(inst: Installation, run_id: str, reading: Reading | None = None, *, only: str | None = None) -> Plan:
    """Plans and saves. `only`: person_id or user name; the plan then holds that person's changes alone and is not saved."""
    with Store.open(inst.state, purpose="plan", now=inst.clock) as store:
        store.control.import_into(store)
        plan = work_out(inst, store, run_id, reading or Reading(), only=only)
        if only is None:
            store.save_plan(plan.header, plan.changes, plan.values)
            _mirror(inst, store, plan)
    return plan


def _mirror(inst: Installation, store: Store, plan: Plan) -> None:
    rows = [
        {"id": each.hold_id, "target": each.target, "guard": each.guard, "count": each.count, "reason": each.reason}
        for each in plan.header.holds
    ]
    store.control.mirror("holds", rows, inst.clock())


def work_out(
    inst: Installation, store: Store, run_id: str, reading: Reading, *, only: str | None = None, live: bool = True
) -> Plan:
    """The plan from what the state holds now. `live`: ask targets for their seats where users are created."""
    facts = tenant_facts(inst, store)
    picture, cycles = picture_of(store, facts)
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
            questions += _questions(side)
        previous = store.newest_plan()
        ordered = order(differences) if differences else _empty()
        if only is not None:
            ordered = _of_person(ordered, only)
        if live:
            seats = _seats(ordered, connected, questions)
    guarded = guard(ordered, _facts(inst, store, sides, picture, previous, seats=seats, questions=questions))
    header = _header(inst, run_id, facts, store, sides, guarded, reading, previous, seats, cycles)
    return Plan(header, guarded.changes, ordered.values)


def _empty() -> Ordered:
    from core.diff import DRAFT, VALUE

    return order([Difference(pl.DataFrame(schema=DRAFT), pl.DataFrame(schema=VALUE))])


def _of_person(ordered: Ordered, who: str) -> Ordered:
    mine = ordered.changes.filter(
        (pl.col("person_id") == who) | (pl.col("user_name").str.to_lowercase() == who.lower())
    )
    people = ordered.changes.join(
        mine.select("target", "person_key").drop_nulls(), on=["target", "person_key"], how="semi"
    )
    return Ordered(
        people, ordered.values.join(people, on="seq", how="semi"), ordered.cautions.join(people, on="seq", how="semi")
    )


def _silence(name: str, problem: str) -> Question:
    return Question(name, "unreachable", problem, "mend it and plan again; nothing is changed there meanwhile")


def picture_of(store: Store, facts: tuple[TenantFacts, ...]) -> tuple[Picture, int]:
    """The merged directory as the rules see it, and how many cycles of groups it has."""
    groups = store.groups()
    closed = closure(store.memberships(), groups)
    picture = Picture(store.persons(), store.accounts(), store.links(), groups, closed.effective, facts)
    return picture, len(closed.cycles)


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
    existing = store.existing(name)
    protected = protected_users(existing, inst.config.protected().users)
    desired = desire(spec, picture, inst.config, today=inst.today())
    pairing = pair(
        existing,
        desired.users,
        picture.persons,
        _addresses(existing, picture),
        by=inst.config.settings.adopt.by,
        protected=protected,
    )
    rate = chosen.common.rate or target.rate
    return Side(spec, existing, desired, pairing, protected, store.first_contact(name), rate)


def _addresses(existing: Existing, picture: Picture) -> pl.DataFrame:
    """Verified addresses of persons; worked out only where a user is nobody's yet."""
    if existing.users.filter(~pl.col("owned") & pl.col("present")).is_empty():
        return pl.DataFrame(schema=ADDRESS)
    rows = picture.accounts.select("account_key", "tenant_key", "user_type").with_columns(
        normalise(picture.accounts).drop("account_key")
    )
    found = verified_addresses(rows, picture.tenants)
    return found.join(picture.links, on="account_key").select("person_key", "address").unique()


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


def _group_sizes(sides: Sequence[Side]) -> pl.DataFrame:
    schema = {"target": pl.String(), "group_name": pl.String(), "members": pl.Int64()}
    parts = [
        side.existing.memberships.group_by("group_key")
        .agg(pl.len().cast(pl.Int64).alias("members"))
        .join(side.existing.groups.select("group_key", group_name="name"), on="group_key")
        .select(target=pl.lit(side.spec.name), group_name="group_name", members="members")
        for side in sides
    ]
    return pl.concat(parts) if parts else pl.DataFrame(schema=schema)


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
        group_sizes=_group_sizes(sides),
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


def _extract_lines(
    inst: Installation, facts: Sequence[TenantFacts], store: Store, reading: Reading
) -> tuple[ExtractLine, ...]:
    newest = store.newest_extracts()
    just_read = {each.tenant: each for each in reading.extracts}
    lines = []
    for each in sorted(facts, key=lambda fact: (fact.rank, fact.name)):
        kept, read = newest.get(each.name), just_read.get(each.name)
        failed = read is not None and read.verdict is Verdict.FAILED
        reasons = read.reasons if read is not None else kept.reasons if kept is not None else ("never read",)
        if failed and kept is not None:
            reasons = (*reasons, f"the read of {kept.finished_at:%d.%m. %H:%M} UTC stands")
        elif not each.trusted and kept is not None and kept.verdict is Verdict.COMPLETE:
            age = int((inst.clock() - kept.finished_at).total_seconds() // 60)
            reasons = (*reasons, f"{age} minutes old, older than its freshness: removes nobody")
        lines.append(
            ExtractLine(
                tenant=each.name,
                extract_id=kept.extract_id if kept else None,
                verdict=read.verdict if read is not None else kept.verdict if kept else Verdict.FAILED,
                reasons=reasons,
                accounts=kept.accounts if kept else 0,
                groups=kept.groups if kept else 0,
                memberships=kept.memberships if kept else 0,
                accounts_before=kept.accounts_before if kept else None,
                mode=TenantMode(each.mode),
                finished_at=kept.finished_at if kept else None,
            )
        )
    return tuple(lines)


def _header(  # noqa: PLR0917 - the head gathers what every step found
    inst: Installation,
    run_id: str,
    facts: Sequence[TenantFacts],
    store: Store,
    sides: Sequence[Side],
    guarded: Guarded,
    reading: Reading,
    previous: StoredPlan | None,
    seats: Mapping[str, int],
    cycles: int,
) -> PlanHeader:
    changes = guarded.changes
    before = previous.changes.select("fingerprint") if previous is not None else None
    notes = list(reading.notes)
    if cycles:
        notes.append(f"{cycles} cycles of groups that contain one another; each has the union of their members")
    if guarded.released:
        notes.append(f"{guarded.released} changes are approved")
    return PlanHeader(
        directory=inst.config.settings.directory,
        run_id=run_id,
        created_at=inst.clock(),
        config_digest=inst.config.digest,
        digest=digest(inst.config.digest, changes, guarded.holds),
        extracts=_extract_lines(inst, facts, store, reading),
        targets=tuple(_target_line(inst, side) for side in sides),
        holds=guarded.holds,
        forecast={side.spec.name: _forecast(side, changes, seats) for side in sides},
        config_changed=previous is not None and previous.header.config_digest != inst.config.digest,
        previous_digest=previous.header.digest if previous is not None else None,
        added=changes.join(before, on="fingerprint", how="anti").height if before is not None else changes.height,
        removed=before.join(changes, on="fingerprint", how="anti").height if before is not None else 0,
        notes=tuple(notes),
        groups=_most_changed(changes, _group_sizes(sides)),
    )


def _target_line(inst: Installation, side: Side) -> TargetLine:
    here = side.existing.users.filter("present")
    owned = here.filter("owned").height
    doubtful = side.pairing.doubtful.get_column("user_key").n_unique()
    return TargetLine(
        target=side.spec.name,
        existing=here.height,
        owned=owned,
        strangers=side.pairing.strangers.height,
        doubtful=doubtful,
        mode=inst.config.targets[side.spec.name].common.mode,
        first_contact=side.first_contact,
    )


def _forecast(side: Side, changes: pl.DataFrame, seats: Mapping[str, int]) -> Forecast:
    mine = changes.filter((pl.col("target") == side.spec.name) & pl.col("held_by").is_null())
    verbs = mine.get_column("verb").cast(pl.String)
    writes = int((~verbs.is_in(ADOPTIONS)).sum())
    before = seats.get(side.spec.name)
    taken = int(verbs.is_in([Verb.CREATE_USER.value, Verb.REACTIVATE_USER.value]).sum())
    freed = int((verbs == Verb.DEACTIVATE_USER.value).sum())
    return Forecast(
        writes=writes,
        minutes=writes / side.rate / 60,
        share=writes / (side.rate * HOUR),
        seats_before=before,
        seats_after=None if before is None else before - taken + freed,
    )


def _most_changed(changes: pl.DataFrame, sizes: pl.DataFrame) -> tuple[GroupLine, ...]:
    verb = pl.col("verb").cast(pl.String)
    edges = changes.filter(verb.is_in(EDGE_VERBS))
    ready = pl.col("held_by").is_null()
    rows = (
        edges.group_by("target", "group_name")
        .agg(
            (ready & (verb == Verb.ADD_MEMBER.value)).sum().alias("added"),
            (ready & (verb == Verb.REMOVE_MEMBER.value)).sum().alias("removed"),
            (~ready).sum().alias("held"),
            pl.len().alias("n"),
        )
        .sort("n", "target", "group_name", descending=[True, False, False])
        .head(MOST_CHANGED)
        .join(sizes, on=["target", "group_name"], how="left", maintain_order="left")
    )
    return tuple(
        GroupLine(row["target"], row["group_name"], row["members"] or 0, row["added"], row["removed"], row["held"])
        for row in rows.iter_rows(named=True)
    )
