"""The order, written once: read, consolidate, identify, observe, plan, apply, suggest, publish.

Plain functions over steps. `PLAIN` runs them here and now; `flows.sync` gives the same steps wrapped as Prefect tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace

from core.errors import InUseError, RefusedError
from core.guard import waits
from core.model import Manifest, Verdict
from core.plan import Plan
from flows.exits import Exit, worst
from tasks.apply import Applied
from tasks.apply import apply as apply_plan
from tasks.consolidate import Taken, consolidate
from tasks.expiry import ending_tokens, told
from tasks.identify import Identified, identify
from tasks.installation import Installation
from tasks.observe import Seen, observe
from tasks.offboard import Left, standing
from tasks.person import look, read_person
from tasks.plan_head import Reading
from tasks.planning import make_plan
from tasks.publish import publish
from tasks.read import due, frozen_names, read_tenant
from tasks.runs import begin, finish
from tasks.suggestions import look_alike

AT_ONCE = 8  # tenants read in parallel; each has its own server
ReadStep = Callable[[Installation, str, bool], Manifest]


def _side_by_side(step: ReadStep, inst: Installation, tenants: Sequence[str], full: bool) -> list[Manifest]:  # noqa: FBT001 - crosses Prefect's task border by position
    with ThreadPoolExecutor(max_workers=max(1, min(AT_ONCE, len(tenants))), thread_name_prefix="extract") as pool:
        return list(pool.map(lambda tenant: step(inst, tenant, full), tenants))


@dataclass(frozen=True)
class Steps:
    """The steps of a run, and how the extracts of several tenants run side by side."""

    read: ReadStep = read_tenant
    side_by_side: Callable[[ReadStep, Installation, Sequence[str], bool], list[Manifest]] = _side_by_side
    consolidate: Callable[[Installation, str, Sequence[Manifest]], tuple[Taken, ...]] = consolidate
    identify: Callable[[Installation, str], Identified] = identify
    observe: Callable[[Installation, str, Sequence[str]], tuple[Seen, ...]] = observe
    plan: Callable[[Installation, str, Reading], Plan] = make_plan
    apply: Callable[[Installation, str, str], Applied] = apply_plan
    suggest: Callable[[Installation, str], int | None] = look_alike
    publish: Callable[[Installation], object] = publish


PLAIN = Steps()


@dataclass(frozen=True)
class What:
    """What a run is asked to do. `only_due`: read only tenants whose interval has passed.

    `who`: a person_id; the run reads, plans and applies for that person alone. `tenants` may then only leave some out.
    """

    tenants: Sequence[str] | None = None
    full: bool = False
    only_due: bool = False
    again: Sequence[str] = ()  # targets to read anew
    who: str | None = None


@dataclass(frozen=True)
class Result:
    """How a run ended: what was read, who is who, its plan, what was applied if anything was, and the exit code."""

    run_id: str
    extracts: tuple[Manifest, ...] = ()
    taken: tuple[Taken, ...] = ()
    identified: Identified | None = None
    plan: Plan | None = None
    applied: Applied | None = None
    exit: Exit = Exit.UNEXPECTED
    refused: str | None = None  # why nothing at all was applied
    left: tuple[Left, ...] = ()  # of an offboarding: what each target shows afterwards


def plan(inst: Installation, what: What | None = None, *, steps: Steps = PLAIN) -> Result:
    """Reads, consolidates, plans and publishes; writes nothing to targets."""
    run_id, asked = begin(inst, "plan"), what or What()
    with finish(inst, run_id, steps.publish) as ending:
        result = _planned(inst, run_id, asked, steps)
        ending.exit = result.exit
        ending.digest = result.plan.header.digest if result.plan else None
        _suggest(inst, run_id, asked, steps)
        return result


def sync(
    inst: Installation, what: What | None = None, *, apply: bool = False, steps: Steps = PLAIN, kind: str = "sync"
) -> Result:
    """Plans, and applies what is not held when asked to. `kind`: what the history calls it."""
    run_id, asked = begin(inst, kind), what or What()
    with finish(inst, run_id, steps.publish) as ending:
        result = _planned(inst, run_id, asked, steps)
        digest = result.plan.header.digest if result.plan else None
        ending.digest = digest
        if apply and digest is not None and result.plan is not None and result.plan.ready.height:
            applied = steps.apply(inst, run_id, digest)
            code = worst(result.exit, verdict(applied))
            result = replace(result, applied=applied, exit=code)
        ending.exit = result.exit
        _suggest(inst, run_id, asked, steps)
        return result


def _suggest(inst: Installation, run_id: str, what: What, steps: Steps) -> None:
    """Looks for look-alikes once everything else is done. Where another run has the state by now, that one looks: what this run did stands."""
    if what.who is None:
        with suppress(InUseError):
            steps.suggest(inst, run_id)


def offboard(inst: Installation, person_id: str, *, steps: Steps = PLAIN) -> Result:
    """Carries out at once that the person is inactive, in every target: reads no tenant. `exit` tells of the plan and the apply.

    Whether access is gone is told by `tasks.offboard.standing`, which asks the targets.
    """
    run_id = begin(inst, "offboard")
    with finish(inst, run_id, steps.publish) as ending:
        result = _planned(inst, run_id, What(tenants=(), who=person_id), steps)
        made = result.plan
        if made is not None and made.ready.height:
            try:
                applied = steps.apply(inst, run_id, made.header.digest)
            except InUseError:
                raise
            except RefusedError as error:
                result = replace(result, exit=Exit.REFUSED, refused=str(error))
            else:
                result = replace(result, applied=applied, exit=worst(result.exit, verdict(applied)))
        left = standing(inst, run_id, person_id, made, result.applied, result.refused)
        result = replace(result, left=left, exit=worst(*(Exit(each.exit) for each in left)))
        ending.exit, ending.digest = result.exit, made.header.digest if made else None
        return result


def apply(inst: Installation, digest: str, *, steps: Steps = PLAIN) -> Result:
    """Applies that plan, less what would come out differently today; publishes. RefusedError when nothing may be applied."""
    run_id = begin(inst, "apply")
    with finish(inst, run_id, steps.publish) as ending:
        ending.digest = digest
        try:
            applied = steps.apply(inst, run_id, digest)
        except RefusedError:
            ending.exit = Exit.REFUSED
            raise
        code = verdict(applied)
        nothing = not (applied.applied or applied.done_before or applied.failed)
        if nothing and applied.held:
            code = Exit.REFUSED  # all of it waits, nothing was approved
        ending.exit, ending.digest = code, applied.digest
        return Result(run_id, applied=applied, exit=code)


def _planned_for(inst: Installation, run_id: str, person_id: str, what: What, steps: Steps) -> Result:
    """The plan of one person: reads that person alone, where that can be done, in tenants and targets."""
    frozen = frozen_names(inst)
    chosen = inst.config.tenants if what.tenants is None else what.tenants
    read = read_person(inst, person_id, chosen, frozen=frozen)
    taken = steps.consolidate(inst, run_id, read.extracts)
    identified = steps.identify(inst, run_id)
    seen = look(inst, run_id, person_id, frozen=frozen)
    silent = {each.target: each.problem for each in seen if each.problem is not None}
    made = make_plan(inst, run_id, Reading((), silent, (*read.notes, *identified.notes)), only=person_id)
    codes = [Exit.DONE]
    if silent or any(each.verdict is not Verdict.COMPLETE for each in read.extracts):
        codes.append(Exit.HELD)
    if waits(made.changes, made.header.holds):
        codes.append(Exit.HELD)
    return Result(run_id, read.extracts, taken, identified, made, None, worst(*codes))


def _planned(inst: Installation, run_id: str, what: What, steps: Steps) -> Result:
    if what.who is not None:
        return _planned_for(inst, run_id, what.who, what, steps)
    frozen = frozen_names(inst)
    chosen = sorted(set(inst.config.tenants if what.tenants is None else what.tenants) - frozen)
    extracts = steps.side_by_side(steps.read, inst, due(inst, chosen) if what.only_due else chosen, what.full)
    taken = steps.consolidate(inst, run_id, extracts)
    identified = steps.identify(inst, run_id)
    seen = steps.observe(inst, run_id, what.again)
    silent = {each.target: each.problem for each in seen if each.problem is not None}
    notes = (
        *identified.notes,
        *(f"{name} is frozen; `onefold thaw {name}` ends it" for name in sorted(frozen)),
        *(told(each) for each in ending_tokens(inst)),
        *(f"{each.tenant}: {each.reason}" for each in taken if each.accepted and each.moved and each.reason),
    )
    reading = Reading(tuple(extracts), silent, notes)
    made = steps.plan(inst, run_id, reading)
    codes = [Exit.DONE]
    if any(each.verdict is not Verdict.COMPLETE for each in extracts) or silent:
        codes.append(Exit.HELD)
    if waits(made.changes, made.header.holds) or any(each.guard == "unreachable" for each in made.header.holds):
        codes.append(Exit.HELD)
    return Result(run_id, tuple(extracts), taken, identified, made, None, worst(*codes))


def verdict(applied: Applied) -> Exit:
    """The exit code of an apply. A target that stopped refused its share, whatever the others took."""
    codes = [Exit.DONE]
    if applied.stopped:
        codes.append(Exit.REFUSED)
    if applied.failed or applied.quarantined:
        codes.append(Exit.FAILED)
    if applied.held or applied.dropped or applied.skipped:
        codes.append(Exit.HELD)
    return worst(*codes)
