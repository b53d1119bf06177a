"""Who is who, remembered: links, person ids, merged persons, human decisions. Only differences are written."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from io import RawIOBase
from typing import IO, cast

import polars as pl

from core.frames import LINEAGE, LINK, PERSON, PERSON_ID, conform
from state.history import KEYS, sync_rows
from state.session import Session

TABLES: dict[str, dict[str, pl.DataType]] = {"core_link": LINK, "core_person_id": PERSON_ID, "core_person": PERSON}


@dataclass(frozen=True, slots=True)
class Saved:
    """How many rows of links, person ids and persons were added, changed and ended."""

    added: int = 0
    changed: int = 0
    ended: int = 0


class _Hasher(RawIOBase):
    """A file that keeps nothing but the digest of what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.digest = hashlib.blake2b(digest_size=16)

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        view = memoryview(cast("bytes", data))
        self.digest.update(view)
        return view.nbytes


def content_of(frame: pl.DataFrame) -> str:
    """A digest of a frame's content and layout, to see quickly that it is the one written last."""
    sink = _Hasher()
    frame.rechunk().write_ipc(cast("IO[bytes]", sink), compression="uncompressed")
    return f"{pl.__version__}:{frame.height}:{sink.digest.hexdigest()}"


def save_identity(
    session: Session,
    run_id: str,
    links: pl.DataFrame,
    person_ids: pl.DataFrame,
    persons: pl.DataFrame,
    *,
    now: datetime,
    lineage: pl.DataFrame | None = None,
) -> Saved:
    """Makes the state hold exactly these frames (LINK, PERSON_ID, PERSON), with history; writes only what differs.

    `lineage`: LINEAGE of this matching, appended with the run.
    """
    with session.transaction():
        if lineage is not None and lineage.height:
            rows = conform(lineage, LINEAGE).with_columns(run_no=pl.lit(session.run_no(run_id, now), pl.Int32))
            session.insert("core_lineage", rows)
        return keep(session, run_id, TABLES, (links, person_ids, persons), now)


def keep(
    session: Session,
    run_id: str,
    tables: Mapping[str, dict[str, pl.DataType]],
    frames: Sequence[pl.DataFrame],
    now: datetime,
) -> Saved:
    """Makes each versioned table hold exactly its frame, with history; a frame that was written last is not looked at again."""
    total = Saved()
    for (table, schema), frame in zip(tables.items(), frames, strict=True):
        desired = conform(frame, schema).sort(KEYS[table])
        content = content_of(desired)
        if session.get(f"content_{table}") == content:
            continue
        existing = session.frame(f"{table}_rows", schema=schema)
        moved = sync_rows(session, table, existing, desired, session.run_no(run_id, now))
        session.put(f"content_{table}", content)
        total = Saved(total.added + moved[0], total.changed + moved[1], total.ended + moved[2])
    return total
