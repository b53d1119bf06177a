"""Applies a reviewed plan, less what would come out differently today. The order of calls is in `batch`, lost answers in `settle`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

import polars as pl

from connectors.target import Target
from core.errors import OnefoldError, RefusedError
from core.guard import FIRST_CONTACT, WAITS_FOR_ADOPTION, waits
from core.model import JSON, TargetMode
from core.plan import EDGE_VERBS, Plan
from core.render import shown_object
from state.plans import StoredPlan
from state.store import Store
from tasks.batch import Hand, Tally
from tasks.identify import identify
from tasks.installation import Installation
from tasks.override import moved
from tasks.plan_head import Reading
from tasks.planning import work_out
from tasks.settle import settle


@dataclass(frozen=True)
class Dropped:
    """A reviewed change that was not sent, and why."""

    target: str
    verb: str
    object: str
    reason: str


@dataclass
class Applied:
    """What became of a plan.

    `done_before`: changes that an earlier apply of it had carried out; `stopped`: by target, why; `skipped`: targets that
    may not be written (plan_only, frozen) although the plan has something for them.
    """

    run_id: str
    digest: str
    applied: int = 0
    failed: int = 0
    compensated: int = 0
    held: int = 0
    quarantined: int = 0
    done_before: int = 0
    settled: int = 0
    settled_done: frozenset[str] = frozenset()
    dropped: list[Dropped] = field(default_factory=list)
    requests: dict[str, int] = field(default_factory=dict)
    stopped: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, JSON]:
        """The document of `apply --json`."""
        return {
            "run_id": self.run_id,
            "digest": self.digest,
            "applied": self.applied,
            "failed": self.failed,
            "compensated": self.compensated,
            "held": self.held,
            "dropped": [
                {"target": each.target, "verb": each.verb, "object": each.object, "reason": each.reason}
                for each in self.dropped
            ],
            "quarantined": self.quarantined,
            "done_before": self.done_before,
            "settled": self.settled,
            "requests": dict(self.requests),
            "stopped": dict(self.stopped),
            "skipped": dict(self.skipped),
        }


def newest_digest(inst: Installation) -> str:
    """The digest of the plan saved last. RefusedError when there is none."""
    with Store.open(inst.state, purpose="apply", now=inst.clock) as store:
        header = store.newest_header()
    if header is None:
        raise RefusedError("there is no plan yet", remedy="Run `onefold plan` first")
    return header.digest


def apply(inst: Installation, run_id: str, prefix: str) -> Applied:
    """Applies the plan whose digest starts with `prefix`. RefusedError when there is none or its targets only plan."""
    if moved(inst):  # an override was set, cleared or has ended since: what rests on it comes out differently today
        identify(inst, run_id)
    with Store.open(inst.state, purpose="apply", now=inst.clock) as store:
        store.control.import_into(store)
        reviewed = store.plan(prefix)
        result = Applied(run_id, reviewed.header.digest)
        targets = _open(inst, store, reviewed, result)
        try:
            for name, target in list(targets.items()):
                _ready(inst, store, result, name, target)
            for name in result.stopped:
                if name in targets:
                    targets.pop(name).close()
            today = work_out(inst, store, run_id, Reading(), only=reviewed.header.person)
            chosen = _choose(store, reviewed, today, result)
            for name, target in targets.items():
                share = _Share(name, target, chosen.filter(pl.col("target") == name), today)
                _carry_out(inst, store, result, share)
        finally:
            for target in targets.values():
                target.close()
            store.record_receipts(run_id, inst.clock())
    return result


def _open(inst: Installation, store: Store, reviewed: StoredPlan, result: Applied) -> dict[str, Target]:
    """Targets that the plan would write to and may be written to."""
    frozen = store.control.frozen()
    wanted = {each.target for each in reviewed.header.targets}
    if reviewed.header.person is not None:
        wanted &= set(reviewed.changes.get_column("target"))
    opened: dict[str, Target] = {}
    for name in sorted(wanted & set(inst.config.targets)):
        if inst.config.targets[name].common.mode is not TargetMode.APPLY:
            result.skipped[name] = f"targets.{name}.mode is plan_only"
        elif name in frozen:
            result.skipped[name] = f"{name} is frozen; `onefold thaw {name}` ends it"
        else:
            try:
                opened[name] = inst.target(name)
            except OnefoldError as error:
                result.stopped[name] = str(error)
    if not opened and not result.stopped:
        why = "; ".join(result.skipped.values()) or "the plan speaks of no target of this config"
        raise RefusedError(why, remedy="Set `mode: apply` for a target when you want it written")
    waiting = set(reviewed.changes.filter(pl.col("held_by").is_null()).get_column("target"))
    result.skipped = {name: why for name, why in result.skipped.items() if name in waiting}
    return opened


def _ready(inst: Installation, store: Store, result: Applied, name: str, target: Target) -> None:
    """Asks the target who we are there, and settles what an earlier run left open."""
    try:
        target.capabilities()
        found = settle(store, result.run_id, target, name, inst.clock())
        result.settled += found.count
        result.settled_done |= found.done
    except OnefoldError as error:
        result.stopped[name] = str(error)


def _choose(store: Store, reviewed: StoredPlan, today: Plan, result: Applied) -> pl.DataFrame:
    """Today's ready changes that were reviewed. What was reviewed and is not among them is counted and named."""
    ready = today.ready.join(reviewed.changes.select("fingerprint").unique(), on="fingerprint", how="semi")
    now = pl.Series(sorted(store.ledger.done(reviewed.header.digest) | result.settled_done), dtype=pl.String)
    rest = reviewed.changes.join(ready, on="fingerprint", how="anti")
    done = rest.get_column("fingerprint").is_in(now.implode())
    result.done_before = int(done.sum())
    rest = rest.filter(~done)
    still = today.changes.filter(pl.col("held_by").is_not_null())
    held = still.join(reviewed.changes.select("fingerprint").unique(), on="fingerprint", how="semi")
    result.held = waits(held, today.header.holds)
    was_ready = pl.col("held_by").is_null()
    lost = rest.filter(was_ready)
    names = {each.hold_id: each.reason for each in today.header.holds}
    reasons = dict(held.select("fingerprint", pl.col("held_by").list.first()).iter_rows())
    for row in lost.with_columns(pl.col(pl.Enum).cast(pl.String)).iter_rows(named=True):
        hold = reasons.get(row["fingerprint"])
        why = f"held today: {names.get(hold, hold)}" if hold else "it would come out differently today"
        result.dropped.append(Dropped(row["target"], row["verb"], shown_object(row), why))
    if today.header.person is not None:
        return ready  # somebody asked for this person by name: what waits in quarantine is tried now
    return _without_quarantine(store, ready, today, result)


def _without_quarantine(store: Store, ready: pl.DataFrame, today: Plan, result: Applied) -> pl.DataFrame:
    now = today.header.created_at
    kept = [(each.target, each.object_id) for each in store.ledger.quarantine() if each.next_try_at > now]
    if not kept:
        return ready
    shut = pl.DataFrame(kept, schema={"target": pl.String(), "object_id": pl.String()}, orient="row")
    waiting = ready.join(shut, on=["target", "object_id"], how="semi")
    units = ready.join(waiting.select("target", "unit").unique(), on=["target", "unit"], how="semi")
    edges = ready.filter(pl.col("verb").cast(pl.String).is_in(EDGE_VERBS) & pl.col("user_key").is_null())
    edges = edges.join(
        units.select("target", "person_key").drop_nulls().unique(), on=["target", "person_key"], how="semi"
    )
    result.quarantined += units.height + edges.height
    return ready.join(units, on="seq", how="anti").join(edges, on="seq", how="anti")


@dataclass(frozen=True)
class _Share:
    """What one target gets of today's plan."""

    name: str
    target: Target
    rows: pl.DataFrame
    today: Plan


def _carry_out(inst: Installation, store: Store, result: Applied, share: _Share) -> None:
    name, target = share.name, share.target
    tell = partial(_progress, inst, name, share.rows.height)
    before = target.requests
    hand = Hand(store, result.run_id, result.digest, name, target, inst.clock, tell)
    try:
        tally = hand.carry_out(share.rows, share.today.values)
    finally:
        result.requests[name] = target.requests - before
    _count(result, name, tally)
    store.record_receipts(result.run_id, inst.clock())
    if (
        share.today.header.person is None
        and store.first_contact(name)
        and tally.stopped is None
        and _adoption_done(share.today, name, tally)
    ):
        store.mark_adopted(name, result.run_id, inst.clock())


def _progress(inst: Installation, name: str, total: int, done: int) -> None:
    inst.progress(f"write to {name}", done, total)


def _count(result: Applied, name: str, tally: Tally) -> None:
    result.applied += tally.applied
    result.failed += tally.failed
    result.compensated += tally.compensated
    result.quarantined += tally.quarantined
    if tally.stopped is not None:
        result.stopped[name] = tally.stopped
    result.dropped += [Dropped(name, change.verb.value, change.label, why) for change, why in tally.dropped]


def _adoption_done(today: Plan, name: str, tally: Tally) -> bool:
    """Nothing of the adoption waits for approval any more, and what was approved was sent. What nobody can approve is not waited for."""
    asked = [
        each.hold_id
        for each in today.header.holds
        if each.guard == FIRST_CONTACT and each.target == name and each.releasable
    ]
    mine = today.changes.filter((pl.col("target") == name) & ~pl.col("verb").cast(pl.String).is_in(WAITS_FOR_ADOPTION))
    firm = [each.hold_id for each in today.header.holds if not each.releasable]
    waiting = mine.filter(
        (pl.col("held_by").list.set_intersection(pl.lit(asked, dtype=pl.List(pl.String))).list.len() > 0)
        & (pl.col("held_by").list.set_intersection(pl.lit(firm, dtype=pl.List(pl.String))).list.len() == 0)
    )
    return waiting.is_empty() and not any(change.verb.value.startswith("adopt_") for change, _ in tally.dropped)


def outcome(result: Applied) -> Mapping[str, int]:
    """Counts for events and tables."""
    return {
        "applied": result.applied,
        "failed": result.failed,
        "compensated": result.compensated,
        "held": result.held,
        "dropped": len(result.dropped),
        "quarantined": result.quarantined,
    }
