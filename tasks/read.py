"""Reads one tenant into landing files; which tenants are due. A tenant that cannot be opened gives a failed extract, not an error."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import polars as pl

from connectors.source import ReadsOne, Source
from core.errors import OnefoldError
from core.frames import LANDED_ACCOUNT, REJECTED, empty
from core.model import ExtractKind, Manifest, Verdict
from state.control import Control
from state.landing import LandingWriter, newest_first
from state.store import Store
from tasks.extract import extract
from tasks.installation import Installation
from tasks.rows import aside, typed

FULL_EVERY = timedelta(days=7)
AGAIN = timedelta(days=1)  # a full read that proved nothing is repeated so soon
REBUILT = "-backfill"  # how ids of extracts end that were put together from others: no vendor was asked for those


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
        newest = next((each for each in newest_first(inst.landing, tenant) if each.kind is not ExtractKind.ONE), None)
        if newest is None or newest.finished_at + inst.config.tenants[tenant].common.interval <= now:
            chosen.append(tenant)
    return chosen


def full_due(landed: Sequence[Manifest], every: timedelta, now: datetime) -> bool:
    """Whether deltas went on for long enough: the last complete full read is older than `every`, and the last try than a day."""
    full = [each for each in landed if _asked_for_all(each) and each.verdict is not Verdict.FAILED]
    if not full:
        return False  # no cursor either: the read is a full one anyway
    complete = [each for each in full if each.verdict is Verdict.COMPLETE]
    proven = bool(complete) and complete[-1].started_at + every > now
    return not proven and full[-1].started_at + min(AGAIN, every) <= now


def _asked_for_all(extract: Manifest) -> bool:
    """Whether the vendor was asked for everything: what `backfill` rebuilt from deltas cross-checks nothing."""
    return extract.kind is ExtractKind.FULL and not extract.extract_id.endswith(REBUILT)


def full_every(source: Source | type[Source], chosen: timedelta | None) -> timedelta:
    """The span of the config, never more than what the vendor bears."""
    most: timedelta = getattr(source, "full_every", chosen or FULL_EVERY)
    return min(chosen or FULL_EVERY, most)


def _failed(
    inst: Installation, tenant: str, extract_id: str, error: OnefoldError, kind: ExtractKind = ExtractKind.FULL
) -> Manifest:
    now = inst.clock()
    manifest = Manifest(
        extract_id=extract_id,
        tenant=tenant,
        kind=kind,
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
    landed = _since_last_whole(inst, tenant)
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


def _since_last_whole(inst: Installation, tenant: str) -> list[Manifest]:
    """The newest complete full read and what was landed after it, newest last; everything where there is none."""
    found = []
    for each in newest_first(inst.landing, tenant):
        found.append(each)
        if _asked_for_all(each) and each.verdict is Verdict.COMPLETE:
            break
    return found[::-1]


def left_behind(inst: Installation, store: Store, tenants: Iterable[str]) -> list[Manifest]:
    """Of these tenants the newest extract, where it was landed and nobody took it in: its run died in between.

    What it holds is not read again, and not lost until the tenant is due. One that cannot follow what was taken in since is
    told as superseded, as any other.
    """
    found = []
    for tenant in sorted(set(tenants) - frozen_names(inst)):
        newest = next((each for each in newest_first(inst.landing, tenant) if each.kind is not ExtractKind.ONE), None)
        if newest is not None and newest.verdict is not Verdict.FAILED and not store.knows_extract(newest.extract_id):
            found.append(newest)
    return found


def read_accounts(inst: Installation, tenant: str, native_ids: Sequence[str]) -> Manifest | None:
    """An extract of these accounts alone, landed. None where the tenant's connector cannot read one account."""
    extract_id = extract_id_of(inst, tenant)
    started = inst.clock()
    try:
        source = inst.source(tenant)
    except OnefoldError as error:
        return _failed(inst, tenant, extract_id, error, ExtractKind.ONE)
    try:
        if not isinstance(source, ReadsOne):
            return None
        pages = [page for native_id in native_ids for page in source.one(native_id)]
        found = [typed(page) for page in pages]
    except OnefoldError as error:
        return _failed(inst, tenant, extract_id, error, ExtractKind.ONE)
    finally:
        source.close()
    rows = pl.concat([empty(LANDED_ACCOUNT), *(each.frame for each in found)]).unique(maintain_order=True)
    rows = rows.filter(pl.col("native_id").is_in(list(native_ids)) & pl.col("native_id").is_unique())
    rejected = pl.concat(
        [*(each.rejected for each in found), *(aside(page.rejected) for page in pages), empty(REJECTED)]
    )
    writer = LandingWriter(inst.landing, tenant, extract_id)
    writer.write("accounts", rows)
    if rejected.height:
        writer.write("rejected", rejected)
    warnings = tuple(dict.fromkeys(each for page in pages for each in (*page.warnings, *page.gaps)))
    manifest = Manifest(
        extract_id=extract_id,
        tenant=tenant,
        kind=ExtractKind.ONE,
        cursor_before=None,
        cursor_after=None,
        started_at=started,
        finished_at=inst.clock(),
        accounts=rows.height,
        groups=0,
        memberships=0,
        rejected=rejected.height,
        claimed={},
        parts=tuple(writer.parts),
        verdict=Verdict.SUSPECT if warnings else Verdict.COMPLETE,
        reasons=warnings,
        pages=len(pages),
        config_digest=inst.config.digest,
        knows_all=False,
    )
    writer.commit(manifest)
    return manifest
