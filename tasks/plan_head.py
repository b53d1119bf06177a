"""The head of a plan: what was read, what each target holds, forecast, the groups that change most. What changes is in `planning`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from core.adopt import Pairing
from core.desired import Desired, TargetSpec
from core.existing import Existing
from core.guard import Guarded
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
from core.plan import ADOPTIONS, EDGE_VERBS, digest
from state.plans import StoredPlan
from state.store import Store
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
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reading:
    """What the run read: manifests of its extracts, and targets that did not answer (name: problem)."""

    extracts: Sequence[Manifest] = ()
    silent: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()


def group_sizes(sides: Sequence[Side]) -> pl.DataFrame:
    """target, group_name, members of every existing group."""
    schema = {"target": pl.String(), "group_name": pl.String(), "members": pl.Int64()}
    parts = [
        side.existing.memberships.group_by("group_key")
        .agg(pl.len().cast(pl.Int64).alias("members"))
        .join(side.existing.groups.select("group_key", group_name="name"), on="group_key")
        .select(target=pl.lit(side.spec.name), group_name="group_name", members="members")
        for side in sides
    ]
    return pl.concat(parts) if parts else pl.DataFrame(schema=schema)


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


def header(  # noqa: PLR0917 - the head gathers what every step found
    inst: Installation,
    run_id: str,
    facts: Sequence[TenantFacts],
    store: Store,
    sides: Sequence[Side],
    guarded: Guarded,
    reading: Reading,
    previous: StoredPlan | None,
    seats: Mapping[str, int],
    observed: Sequence[str],
    *,
    person: str | None = None,
) -> PlanHeader:
    """The head of a plan; its digest covers the config's digest, the changes and the holds, whose plan it is. `observed`: notes on the picture."""
    changes = guarded.changes
    before = previous.changes if previous is not None else None
    if before is not None and person is not None:
        before = before.filter(pl.col("person_id") == person)
    rules = inst.config.digest if person is None else f"{inst.config.digest} {person}"
    notes = [*reading.notes, *observed, *(note for side in sides for note in side.notes)]
    if guarded.released:
        notes.append(f"{guarded.released} changes are approved")
    return PlanHeader(
        directory=inst.config.settings.directory,
        run_id=run_id,
        created_at=inst.clock(),
        config_digest=inst.config.digest,
        digest=digest(rules, changes, guarded.holds),
        extracts=_extract_lines(inst, facts, store, reading),
        targets=tuple(_target_line(inst, side) for side in sides),
        holds=guarded.holds,
        forecast={side.spec.name: _forecast(side, changes, seats) for side in sides},
        config_changed=previous is not None and previous.header.config_digest != inst.config.digest,
        previous_digest=previous.header.digest if previous is not None else None,
        added=changes.join(before, on="fingerprint", how="anti").height if before is not None else changes.height,
        removed=before.join(changes, on="fingerprint", how="anti").height if before is not None else 0,
        notes=tuple(notes),
        groups=_most_changed(changes, group_sizes(sides)),
        person=person,
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
