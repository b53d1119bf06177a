"""Reads one tenant through its connector: pages, counts, lands, judges. The only loop over pages; connectors yield, `verdict` judges."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import polars as pl

from connectors.source import CursorLost, Page, ReadsDelta, Source
from core.errors import OnefoldError, RefusedError
from core.frames import REJECTED, empty
from core.model import ExtractKind, Manifest, Verdict
from state.landing import KEYS, LandingWriter
from state.staging import ARRIVAL, ROWS_IN_MEMORY, Staging
from tasks.rows import aside, typed
from tasks.verdict import OBJECTS, Reading, Tally, judge

Progress = Callable[[str, int, int | None], None]
"""Told what goes on: subject, done, of how many (None: nobody knows)."""
TWICE = "stands for two different records"


def extract(
    source: Source,
    *,
    tenant: str,
    root: Path | str,
    extract_id: str,
    cursor_before: str | None,
    full: bool,
    now: Callable[[], datetime],
    previous: Manifest | None = None,
    shrink: float = 20.0,
    config_digest: str = "",
    progress: Progress | None = None,
    rows_in_memory: int = ROWS_IN_MEMORY,
    sleep: Callable[[float], None] = time.sleep,
) -> Manifest:
    """Reads the tenant and lands what it said; the manifest, written last, carries the verdict.

    With `cursor_before`, a source that reads deltas is asked for what moved, unless `full`; when it no longer serves that
    cursor, everything is read, each tenant after a pause of its own where the vendor forgot many at once (`sleep`). `previous` is the tenant's last complete full read, `shrink` the percentage by which this one
    may be smaller. A failure of the vendor is a verdict, never an exception; what was read before it is landed all the same.
    """
    started = now()
    reading = Reading()
    writer = LandingWriter(root, tenant, extract_id)
    with Staging(root, rows_in_memory=rows_in_memory) as staging:
        gatherer = _Gatherer(tenant, staging, reading, progress)
        delta = cursor_before is not None and not full and isinstance(source, ReadsDelta)
        if delta and isinstance(source, ReadsDelta) and cursor_before is not None:
            delta = gatherer.delta(source, cursor_before)
        if not delta:
            if gatherer.spread_seconds:
                sleep(gatherer.spread_seconds)
            gatherer.whole(source)
        last_word = delta or getattr(source, "last_word_counts", False)
        _land(staging, writer, reading, delta=delta, keep_last=last_word)
    verdict, reasons = judge(reading, delta=delta, previous=previous, shrink=shrink)
    manifest = Manifest(
        extract_id=extract_id,
        tenant=tenant,
        kind=ExtractKind.DELTA if delta else ExtractKind.FULL,
        cursor_before=cursor_before if delta else None,
        cursor_after=_cursor_after(verdict, gatherer.cursor_after, cursor_before if delta else None),
        started_at=started,
        finished_at=now(),
        accounts=reading.tallies["accounts"].landed,
        groups=reading.tallies["groups"].landed,
        memberships=reading.tallies["memberships"].landed,
        rejected=sum(tally.aside.total() for tally in reading.tallies.values()),
        claimed={name: tally.totals[-1] for name, tally in reading.tallies.items() if tally.totals},
        parts=tuple(writer.parts),
        verdict=verdict,
        reasons=(*gatherer.notes, *reasons),
        pages=reading.pages,
        config_digest=config_digest,
        knows_all=getattr(source, "knows_all", True),
    )
    writer.commit(manifest)
    return manifest


def _cursor_after(verdict: Verdict, reached: str | None, before: str | None) -> str | None:
    """Where the next delta starts: never past rows that were not read. None makes the next read a full one."""
    return before if verdict in {Verdict.PARTIAL, Verdict.FAILED} else reached


class _Gatherer:
    """Takes page after page into the staging, counting."""

    def __init__(self, tenant: str, staging: Staging, reading: Reading, progress: Progress | None) -> None:
        self.tenant, self.staging, self.reading = tenant, staging, reading
        self.cursor_after: str | None = None
        self.notes: list[str] = []
        self.spread_seconds = 0.0
        self._progress = progress

    def whole(self, source: Source) -> None:
        """Everything: accounts, groups, memberships. Stops at the first failure."""
        try:
            for listing in (source.accounts, source.groups, source.memberships):
                self._take(listing())
        except OnefoldError as error:
            self.reading.error = error

    def delta(self, source: ReadsDelta, cursor: str) -> bool:
        """What moved since the cursor. False when the vendor no longer serves it and nothing was read yet."""
        try:
            self._take(source.delta(cursor))
        except RefusedError as error:
            if not self.reading.pages:
                self.notes.append(f"everything was read, because what moved cannot be: {error}")
                if isinstance(error, CursorLost):  # the same second for one tenant, another for each
                    self.spread_seconds = error.spread_seconds * (zlib.crc32(self.tenant.encode()) % 1000) / 1000
                return False
            self.reading.error = error
        except OnefoldError as error:
            self.reading.error = error
        return True

    def _take(self, pages: Iterator[Page]) -> None:
        for page in pages:
            self.reading.pages += 1
            self.reading.warnings += page.warnings
            self.reading.gaps += page.gaps
            self.cursor_after = page.cursor_after or self.cursor_after
            tally = self.reading.tallies[page.object]
            tally.saw(page)
            rows = typed(page)
            set_aside = aside(page.rejected)
            lost = page.received - len(page.rows) - set_aside.height
            if lost > 0:
                self.reading.gaps.append(f"{lost} {page.object} of a page were received and not understood")
            self.staging.add(page.object, rows.frame)
            for rejected in (rows.rejected, set_aside):
                self.staging.add("rejected", rejected)
                _count_aside(self.reading, rejected)
            if self._progress is not None:
                total = tally.totals[-1] if tally.totals else None
                self._progress(f"{self.tenant} {page.object}", tally.received, total)


def _count_aside(reading: Reading, rejected: pl.DataFrame) -> None:
    known = pl.col("native_id").is_not_null().alias("known")
    kinds = rejected.group_by("object", "field", "problem", known).agg(pl.len(), pl.col("native_id").drop_nulls().min())
    for name, column, problem, _, many, sample in kinds.rows():
        reading.tallies[name].set_aside(column, problem, sample, many)


def _land(staging: Staging, writer: LandingWriter, reading: Reading, *, delta: bool, keep_last: bool) -> None:
    """Lands all rows in the order of their keys, each key once; what contradicts itself is set aside.

    A full read lands no removed edges: they are simply not among the others. Tombstones land, and are not counted as there.
    """
    groups: list[pl.Series] = []
    accounts: list[pl.Series] = []
    for name in OBJECTS:
        tally = reading.tallies[name]
        for rows in staging.ranges(name):
            frame = rows
            if name == "memberships":
                frame = _with_kind(rows, accounts, groups)
            frame, twice = _once(frame, name, tally, keep_last=keep_last)
            staging.add("rejected", twice)
            there = frame
            if not delta:
                there = frame.filter(~pl.col("removed" if name == "memberships" else "tombstone"))
                frame = there if name == "memberships" else frame
            tally.landed += there.height
            if name == "accounts":
                accounts.append(frame.get_column("native_id"))
            elif name == "groups":
                groups.append(frame.get_column("native_id"))
            if frame.height:
                writer.write(name, frame)
    for rows in staging.ranges("rejected"):
        writer.write("rejected", rows)


def _with_kind(rows: pl.DataFrame, accounts: list[pl.Series], groups: list[pl.Series]) -> pl.DataFrame:
    """Edges whose vendor does not say what the member is: a group when its id is a group's and no account's."""
    unsaid = rows.get_column("member_kind").is_null()
    if not unsaid.any():
        return rows
    member = rows.get_column("member_id")
    none = pl.Series([], dtype=pl.String)
    group = member.is_in(pl.concat([none, *groups]).implode()) & ~member.is_in(pl.concat([none, *accounts]).implode())
    kind = pl.when(~unsaid).then(pl.col("member_kind")).when(group).then(pl.lit("group")).otherwise(pl.lit("user"))
    return rows.with_columns(member_kind=kind).sort([*KEYS["memberships"], ARRIVAL])


def _once(
    rows: pl.DataFrame,
    name: str,
    tally: Tally,
    *,
    keep_last: bool,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Each key once, and what was set aside (REJECTED). Sorted in, sorted out.

    In a delta the last word counts. In a full read a repeated row is counted and kept once; of two different records with
    one id neither is believed.
    """
    keys = list(KEYS[name])
    content = rows.drop(ARRIVAL)
    double = content.select(pl.struct(keys).is_duplicated()).to_series()
    if not double.any():
        return content, empty(REJECTED)
    if keep_last:
        return content.unique(keys, keep="last", maintain_order=True), empty(REJECTED)
    several = content.filter(double)
    distinct = several.unique(keep="first", maintain_order=True)
    tally.repeats += several.height - distinct.height
    twice = distinct.select(pl.struct(keys).is_duplicated()).to_series()
    kept = pl.concat([content.filter(~double), distinct.filter(~twice)]).sort(keys)
    contradicting = distinct.filter(twice)
    rejected = contradicting.select(
        object=pl.lit(name),
        native_id=pl.col(keys[0]),
        field=pl.lit(keys[0]),
        problem=pl.lit(TWICE),
        raw=pl.struct(pl.all()).struct.json_encode(),
    )
    ids = contradicting.get_column(keys[0]).unique().sort()
    if len(ids):
        tally.set_aside(keys[0], TWICE, ids[0], len(ids))
    return kept, rejected
