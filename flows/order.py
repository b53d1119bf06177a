"""The order, written once: extract what is due, consolidate, plan, hold or approve, apply, verify, publish.

Plain functions over steps. `PLAIN` runs them here and now; `flows.sync` gives the same steps wrapped as Prefect tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from core.model import Manifest
from flows.exits import Exit, worst
from tasks.apply import Applied, apply_plan
from tasks.consolidate import consolidate
from tasks.installation import Installation
from tasks.observe import observe
from tasks.planning import Planned, make_plan
from tasks.publish import publish
from tasks.read import due, read_tenant
from tasks.runs import begin, finish

AT_ONCE = 8  # tenants read in parallel; each has its own server


def _all_at_once(
    step: Callable[[Installation, str, bool], Manifest], inst: Installation, tenants: Sequence[str], full: bool
) -> list[Manifest]:
    with ThreadPoolExecutor(max_workers=max(1, min(AT_ONCE, len(tenants))), thread_name_prefix="extract") as pool:
        return list(pool.map(lambda tenant: step(inst, tenant, full), tenants))


@dataclass(frozen=True)
class Steps:
    """The steps of a run, and how the extracts of several tenants are run side by side."""

    read: Callable[[Installation, str, bool], Manifest] = read_tenant
    side_by_side: Callable[..., list[Manifest]] = _all_at_once
    consolidate: Callable[..., object] = consolidate
    observe: Callable[..., object] = observe
    plan: Callable[..., Planned] = make_plan
    apply: Callable[..., Applied] = apply_plan
    publish: Callable[[Installation], object] = publish


PLAIN = Steps()


@dataclass(frozen=True)
class Result:
    """How a run ended: its plan, what was applied if anything was, and the exit code."""

    run_id: str
    planned: Planned | None
    applied: Applied | None
    exit: Exit


def plan(
    inst: Installation,
    *,
    tenants: Iterable[str] | None = None,
    full: bool = False,
    only_due: bool = False,
    steps: Steps = PLAIN,
    kind: str = "plan",
) -> Result:
    """Reads, consolidates, plans and publishes; writes nothing to targets."""
    run_id = begin(inst, kind)
    with finish(inst, run_id, steps.publish) as outcome:
        chosen = sorted(tenants) if tenants is not None else sorted(inst.config.tenants)
        manifests = steps.side_by_side(steps.read, inst, due(inst, chosen) if only_due else chosen, full)
        steps.consolidate(inst, run_id, manifests)
        steps.observe(inst, run_id)
        planned = steps.plan(inst, run_id)
        outcome.exit = worst(Exit.HELD if planned.held or planned.incomplete else Exit.DONE)
        outcome.digest = planned.digest
        return Result(run_id, planned, None, outcome.exit)


def apply(inst: Installation, digest: str, *, steps: Steps = PLAIN) -> Result:
    """Applies that plan, less what would come out differently today; publishes."""
    run_id = begin(inst, "apply")
    with finish(inst, run_id, steps.publish) as outcome:
        applied = steps.apply(inst, run_id, digest)
        outcome.exit = _verdict(applied)
        outcome.digest = digest
        return Result(run_id, None, applied, outcome.exit)


def sync(
    inst: Installation,
    *,
    apply: bool = False,
    tenants: Iterable[str] | None = None,
    full: bool = False,
    only_due: bool = False,
    steps: Steps = PLAIN,
) -> Result:
    """Plans, and applies what is not held when asked to."""
    run_id = begin(inst, "sync")
    with finish(inst, run_id, steps.publish) as outcome:
        chosen = sorted(tenants) if tenants is not None else sorted(inst.config.tenants)
        manifests = steps.side_by_side(steps.read, inst, due(inst, chosen) if only_due else chosen, full)
        steps.consolidate(inst, run_id, manifests)
        steps.observe(inst, run_id)
        planned = steps.plan(inst, run_id)
        codes = [Exit.HELD if planned.held or planned.incomplete else Exit.DONE]
        applied = None
        if apply and planned.ready:
            applied = steps.apply(inst, run_id, planned.digest)
            codes.append(_verdict(applied))
        outcome.exit = worst(*codes)
        outcome.digest = planned.digest
        return Result(run_id, planned, applied, outcome.exit)


def _verdict(applied: Applied) -> Exit:
    if applied.refused:
        return Exit.REFUSED
    if applied.failed or applied.quarantined:
        return Exit.FAILED
    return Exit.HELD if applied.held else Exit.DONE
