"""Reads one tenant into landing files; which tenants are due. A tenant that cannot be opened gives a failed extract, not an error."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

from connectors.source import Source
from core.errors import OnefoldError
from core.model import ExtractKind, Manifest, Verdict
from state.control import Control
from state.landing import LandingWriter, manifests
from tasks.extract import extract
from tasks.installation import Installation

FULL_EVERY = timedelta(days=7)
AGAIN = timedelta(days=1)  # a full read that proved nothing is repeated so soon


def extract_id_of(inst: Installation, tenant: str) -> str:
    """A fresh id: tenant, second, and a tail that two workers never share."""
    return f"{tenant}-{inst.clock():%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:6]}"


def frozen_names(inst: Installation) -> frozenset[str]:
    """Tenants and targets that somebody froze: nothing is read from, or written to, them."""
    with Control.open(inst.state) as control:
        return control.frozen()


def due(inst: Installation, tenants: Sequence[str]) -> list[str]:
    """Those whose interval has passed since their newest extract, and those never read."""
    now = inst.clock()
    chosen = []
    for tenant in tenants:
        landed = manifests(inst.landing, tenant)
        if not landed or landed[-1].finished_at + inst.config.tenants[tenant].common.interval <= now:
            chosen.append(tenant)
    return chosen


def full_due(landed: Sequence[Manifest], every: timedelta, now: datetime) -> bool:
    """Whether deltas went on for long enough: the last complete full read is older than `every`, and the last try than a day."""
    full = [each for each in landed if each.kind is ExtractKind.FULL and each.verdict is not Verdict.FAILED]
    if not full:
        return False  # no cursor either: the read is a full one anyway
    complete = [each for each in full if each.verdict is Verdict.COMPLETE]
    proven = bool(complete) and complete[-1].started_at + every > now
    return not proven and full[-1].started_at + min(AGAIN, every) <= now


def full_every(source: Source | type[Source], chosen: timedelta | None) -> timedelta:
    """The span of the config, never more than what the vendor bears."""
    most: timedelta = getattr(source, "full_every", chosen or FULL_EVERY)
    return min(chosen or FULL_EVERY, most)


def _failed(inst: Installation, tenant: str, extract_id: str, error: OnefoldError) -> Manifest:
    now = inst.clock()
    manifest = Manifest(
        extract_id=extract_id,
        tenant=tenant,
        kind=ExtractKind.FULL,
        cursor_before=None,
        cursor_after=None,
        started_at=now,
        finished_at=now,
        accounts=0,
        groups=0,
        memberships=0,
        rejected=0,
        claimed={},
        parts=(),
        verdict=Verdict.FAILED,
        reasons=(str(error),),
        config_digest=inst.config.digest,
    )
    LandingWriter(inst.landing, tenant, extract_id).commit(manifest)
    return manifest


def read_tenant(inst: Installation, tenant: str, full: bool = False) -> Manifest:  # noqa: FBT001, FBT002 - crosses Prefect's task border by position
    """One extract of one tenant, landed: what moved, or everything when `full` or when `full_every` has passed.

    Its verdict tells how it went; only a bug raises.
    """
    extract_id = extract_id_of(inst, tenant)
    landed = manifests(inst.landing, tenant)
    whole = [each for each in landed if each.kind is ExtractKind.FULL and each.verdict is Verdict.COMPLETE]
    chosen = inst.config.tenants[tenant]
    try:
        source = inst.source(tenant)
    except OnefoldError as error:
        return _failed(inst, tenant, extract_id, error)
    try:
        full = full or full_due(landed, full_every(source, chosen.common.full_every), inst.clock())
        return extract(
            source,
            tenant=tenant,
            root=inst.landing,
            extract_id=extract_id,
            cursor_before=None if full else Control.cursor(inst.state, tenant),
            full=full,
            now=inst.clock,
            previous=whole[-1] if whole else None,
            shrink=chosen.common.shrink,
            config_digest=inst.config.digest,
            progress=inst.progress,
        )
    finally:
        source.close()
