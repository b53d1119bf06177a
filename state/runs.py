"""Runs: what each was for, what it was given, how it ended."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime

import polars as pl

from core.frames import TIME
from core.model import JSON
from state.session import Session

RUN: dict[str, pl.DataType] = {
    "run_id": pl.String(),
    "kind": pl.String(),  # plan, apply, sync, …
    "started_at": TIME,
    "finished_at": TIME,  # null: it runs, or it died
    "config_digest": pl.String(),
    "inputs": pl.String(),  # JSON
    "outcome": pl.String(),
    "exit_code": pl.Int32(),
    "digest": pl.String(),  # of the plan it made or applied
    "detail": pl.String(),  # why it failed, if it did
}


def begin_run(
    session: Session, run_id: str, kind: str, now: datetime, *, config_digest: str, inputs: Mapping[str, JSON]
) -> None:
    """Remembers that a run began; told again, nothing changes."""
    with session.transaction():
        given = json.dumps(dict(inputs), sort_keys=True)
        session.run(
            "run_begin",
            {"run_id": run_id, "kind": kind, "now": now, "config_digest": config_digest, "inputs": given},
        )


def end_run(
    session: Session,
    run_id: str,
    now: datetime,
    *,
    outcome: str,
    exit_code: int,
    digest: str | None = None,
    detail: str = "",
) -> None:
    """Remembers how a run ended."""
    with session.transaction():
        session.run(
            "run_end",
            {
                "run_id": run_id,
                "now": now,
                "outcome": outcome,
                "exit_code": exit_code,
                "digest": digest,
                "detail": detail,
            },
        )


def runs(session: Session) -> pl.DataFrame:
    """All runs, newest first, as RUN."""
    return session.frame("run_list", schema=RUN)
