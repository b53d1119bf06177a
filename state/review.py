"""What a human should look at, and which decisions shaped or shape the links, remembered. Only differences are written."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from core.frames import DECIDED, REVIEW, UNDONE, conform
from state.history import KEYS, sync_rows
from state.identity import Saved, content_of
from state.session import Session

TABLES: dict[str, dict[str, pl.DataType]] = {"core_doubt": REVIEW, "core_decided": DECIDED, "core_undone": UNDONE}


def save_review(
    session: Session,
    run_id: str,
    doubts: pl.DataFrame,
    decided: pl.DataFrame,
    undone: pl.DataFrame,
    *,
    now: datetime,
) -> Saved:
    """Makes the state hold exactly these frames (REVIEW, DECIDED, UNDONE); a run that is null is this one."""
    total = Saved()
    with session.transaction():
        if decided.get_column("since_run").has_nulls() or undone.get_column("to_run").has_nulls():
            number = session.run_no(run_id, now)
            decided = decided.with_columns(pl.col("since_run").fill_null(number))
            undone = undone.with_columns(pl.col("to_run").fill_null(number))
        for (table, schema), frame in zip(TABLES.items(), (doubts, decided, undone), strict=True):
            desired = conform(frame, schema).sort(KEYS[table])
            content = content_of(desired)
            if session.get(f"content_{table}") == content:
                continue
            existing = session.frame(f"{table}_rows", schema=schema)
            moved = sync_rows(session, table, existing, desired, session.run_no(run_id, now))
            session.put(f"content_{table}", content)
            total = Saved(total.added + moved[0], total.changed + moved[1], total.ended + moved[2])
    return total
