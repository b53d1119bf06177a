"""The order, written once, as plain functions over steps. Today it ends with who is who: read, consolidate, identify, publish."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from core.model import Manifest, Verdict
from flows.exits import Exit
from tasks.consolidate import Taken, consolidate
from tasks.identify import Identified, identify
from tasks.installation import Installation
from tasks.publish import publish
from tasks.read import read_tenant
from tasks.runs import begin, finish

AT_ONCE = 8  # tenants read in parallel; each has its own server


@dataclass(frozen=True)
class Result:
    """How a run ended: what was read, what was taken in, who is who, and the exit code."""

    run_id: str
    extracts: tuple[Manifest, ...]
    taken: tuple[Taken, ...]
    identified: Identified
    exit: Exit


def read_all(inst: Installation, tenants: Sequence[str], *, full: bool) -> tuple[Manifest, ...]:
    """Reads tenants side by side; one that fails gives a failed extract and hurts no other."""
    with ThreadPoolExecutor(max_workers=max(1, min(AT_ONCE, len(tenants))), thread_name_prefix="extract") as pool:
        return tuple(pool.map(lambda tenant: read_tenant(inst, tenant, full=full), tenants))


def sync(inst: Installation, *, tenants: Sequence[str] | None = None, full: bool = False) -> Result:
    """Reads, consolidates, works out who is who, publishes. Writes nothing to any target."""
    run_id = begin(inst, "sync")
    with finish(inst, run_id, publish) as ending:
        chosen = sorted(inst.config.tenants) if tenants is None else sorted(tenants)
        extracts = read_all(inst, chosen, full=full)
        taken = consolidate(inst, run_id, extracts)
        identified = identify(inst, run_id)
        whole = all(each.verdict is Verdict.COMPLETE for each in extracts)
        ending.exit = Exit.DONE if whole else Exit.HELD
        return Result(run_id, extracts, taken, identified, Exit(ending.exit))
