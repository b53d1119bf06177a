"""What a human should look at, and which decisions shaped or shape the links, remembered. Only differences are written."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from core.frames import DECIDED, REVIEW, UNDONE
from state.identity import Saved, keep
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
    with session.transaction():
        if decided.get_column("since_run").has_nulls() or undone.get_column("to_run").has_nulls():
            number = session.run_no(run_id, now)
            decided = decided.with_columns(pl.col("since_run").fill_null(number))
            undone = undone.with_columns(pl.col("to_run").fill_null(number))
        return keep(session, run_id, TABLES, (doubts, decided, undone), now)
