"""Snapshots: read-only copies of the state with documented views, published by rename, readable while a run writes."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self

import duckdb
import polars as pl

from core.errors import RefusedError
from core.model import PlanHeader
from state import plans, tenants
from state.migrate import NAME as STATE_FILE
from state.plans import StoredPlan
from state.private import private_file, private_folder, sync_folder
from state.session import Params, Session
from state.statements import statement, views
from state.tenants import Consumed

if TYPE_CHECKING:
    from state.store import Store

FOLDER = "snapshots"
LATEST = "latest.duckdb"
VIEWS = (
    "people", "accounts", "links", "groups", "memberships", "target_accounts", "runs", "changes", "planned_changes", "holds",
    "approvals", "doubts", "decisions", "lineage", "time_to_deprovision", "license_waste", "duplicates", "orphans",
    "status_conflicts", "group_nesting", "provenance",
)  # fmt: skip


def publish(store: Store, *, now: datetime, keep: int = 10) -> Path:
    """Writes `snapshots/<time>.duckdb` and points `latest.duckdb` at it; keeps the newest `keep`. Returns its path.

    Dying anywhere leaves the previous `latest.duckdb` in place. Costs a copy of the file, whatever changed.
    """
    folder = private_folder(store.folder / FOLDER)
    path = folder / f"{now:%Y%m%dT%H%M%S%f}.duckdb"
    draft = folder / f".{path.name}.draft"
    for stale in folder.glob(".*.draft*"):
        stale.unlink()
    _copy(store, draft)
    _dress(store.session.con, draft, now)
    private_file(draft)
    draft.replace(path)
    link = folder / f".{LATEST}.draft"
    os.link(path, link)
    link.replace(folder / LATEST)
    sync_folder(folder)
    for old in sorted(folder.glob("[0-9]*.duckdb"))[: -max(keep, 1)]:
        old.unlink()
    return path


def _copy(store: Store, draft: Path) -> None:
    """A copy of the state's file as of now; the state stays open.

    Another process copies: if this one opened and closed the file, the kernel would drop DuckDB's lock on it. While a
    log cannot be folded in, DuckDB copies row by row instead.
    """
    con, source = store.session.con, store.folder / STATE_FILE
    con.execute("CHECKPOINT")
    log = source.with_name(f"{source.name}.wal")
    if log.exists() and log.stat().st_size:
        con.execute("ATTACH ? AS snap", [str(draft)])
        name = con.execute("SELECT current_database()").fetchall()[0][0]
        con.execute(f'COPY FROM DATABASE "{name}" TO snap')
        con.execute("DETACH snap")
        return
    copier = shutil.which("cp") or "/bin/cp"
    subprocess.run([copier, "--", str(source), str(draft)], check=True, capture_output=True)  # noqa: S603 - our own two paths


def _dress(con: duckdb.DuckDBPyConnection, draft: Path, now: datetime) -> None:
    """Adds the documented views and the time of publication."""
    name = con.execute("SELECT current_database()").fetchall()[0][0]
    con.execute("ATTACH ? AS snap", [str(draft)])
    try:
        con.execute("USE snap")
        con.begin()
        con.execute(statement("snapshot_publish"), {"now": now})
        for text in views():
            con.execute(text)
        con.commit()
        con.execute("CHECKPOINT snap")
    finally:
        con.execute(f'USE "{name}"')
        con.execute("DETACH snap")


def export_parquet(store_or_snapshot: Store | Snapshot, folder: Path) -> list[Path]:
    """Writes each documented view of the newest snapshot as `<view>.parquet` into the folder; returns the files."""
    snapshot = store_or_snapshot
    if not isinstance(snapshot, Snapshot):
        with Snapshot.open(snapshot.folder) as opened:
            return export_parquet(opened, folder)
    private_folder(folder)
    files = []
    for view in VIEWS:
        path, draft = folder / f"{view}.parquet", folder / f".{view}.draft"
        snapshot.table(view).write_parquet(draft, compression="zstd")
        draft.replace(path)
        files.append(path)
    return files


class Snapshot:
    """The newest snapshot, open for reading; what is published meanwhile is not seen. A context manager."""

    def __init__(self, con: duckdb.DuckDBPyConnection, path: Path) -> None:
        self._session = Session(con)
        self.path = path
        self.published_at: datetime = con.execute(statement("published_at")).fetchall()[0][0]

    @classmethod
    def open(cls, folder: Path) -> Snapshot:
        """Opens `snapshots/latest.duckdb` of the state folder. RefusedError when nothing was published yet."""
        path = folder / FOLDER / LATEST
        if not path.exists():
            raise RefusedError(f"{path} does not exist: nothing was published yet", remedy="Run `onefold plan` once")
        return cls(duckdb.connect(str(path), read_only=True), path)

    def close(self) -> None:
        """Lets go of the file."""
        self._session.con.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def age_seconds(self, now: datetime) -> float:
        """How old it is."""
        return (now - self.published_at).total_seconds()

    def table(self, view: str) -> pl.DataFrame:
        """All rows of a documented view, in its order."""
        if view not in VIEWS:
            raise RefusedError(f"{view!r} is no view of a snapshot", remedy=f"Choose one of {', '.join(VIEWS)}")
        return self.query(f"FROM {view}")

    def query(self, text: str, params: Params | None = None) -> pl.DataFrame:
        """The answer to a question in SQL."""
        answer: pl.DataFrame = self._session.con.sql(text, params=dict(params or {})).pl()
        return answer

    def ask(
        self, name: str, params: Params | None = None, schema: Mapping[str, pl.DataType] | None = None
    ) -> pl.DataFrame:
        """The answer of `sql/<name>.sql`, brought to `schema` when one is given."""
        return self._session.frame(name, params, schema)

    def tenant_keys(self) -> dict[str, int]:
        """Keys of all tenants ever known, by name."""
        return {name: row.key for name, row in tenants.tenant_rows(self._session).items()}

    def newest_extracts(self) -> dict[str, Consumed]:
        """Per tenant the newest extract that was consolidated."""
        return tenants.newest_extracts(self._session)

    def plan(self, prefix: str) -> StoredPlan:
        """The plan whose digest starts with `prefix`. RefusedError when none or several do."""
        return plans.plan(self._session, prefix)

    def newest_plan(self) -> StoredPlan | None:
        """The plan saved last before publication."""
        return plans.newest_plan(self._session)

    def newest_header(self) -> PlanHeader | None:
        """The header of the plan saved last before publication."""
        return plans.newest_header(self._session)
