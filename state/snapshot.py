"""Snapshots: read-only copies of the state with documented views, published by rename, readable while a run writes."""

from __future__ import annotations

import os
import shutil
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import polars as pl

from core.errors import RefusedError
from core.model import PlanHeader
from state import plans
from state.plans import StoredPlan
from state.private import private_file, private_folder, sync_folder
from state.session import Params, Session
from state.statements import statement, views

if TYPE_CHECKING:
    from state.store import Store

FOLDER = "snapshots"
LATEST = "latest.duckdb"
# What changes in every run, also when nothing else does: renewed in a copy of the last snapshot.
BOOKKEEPING = ("run", "extract", "tenant", "plan_header", "meta", "history_run")
VIEWS = (
    "people", "accounts", "links", "groups", "memberships", "target_accounts", "runs", "changes", "planned_changes", "holds",
    "approvals", "time_to_deprovision", "license_waste", "duplicates", "orphans",
)  # fmt: skip


def publish(store: Store, *, now: datetime, keep: int = 10) -> Path:
    """Writes `snapshots/<time>.duckdb` and points `latest.duckdb` at it; keeps the newest `keep`. Returns its path.

    Dying anywhere leaves the previous `latest.duckdb` in place.
    """
    folder = private_folder(store.folder / FOLDER)
    path = folder / f"{now:%Y%m%dT%H%M%S%f}.duckdb"
    draft = folder / f".{path.name}.draft"
    for stale in folder.glob(".*.draft*"):
        stale.unlink()
    session = store.session
    revision = session.get("revision") or "0"
    latest = folder / LATEST
    again = latest.exists() and _revision_of(latest) == revision
    if again:
        shutil.copyfile(latest, draft)
    _write(session, draft, revision, now, again=again)
    private_file(draft)
    draft.replace(path)
    link = folder / f".{LATEST}.draft"
    os.link(path, link)
    link.replace(latest)
    sync_folder(folder)
    _forget(folder, keep)
    return path


def _revision_of(path: Path) -> str | None:
    """Which state a snapshot shows; None when it cannot be told, such as after an upgrade."""
    try:
        with duckdb.connect(str(path), read_only=True) as con:
            found = con.execute(statement("published_revision")).fetchall()
    except duckdb.Error:
        return None
    if not found or found[0][1] != _layout():
        return None
    return str(found[0][0])


def _layout() -> str:
    """Names the shape of the views: another program's snapshot is written anew."""
    from state.identity import digest_of_text

    return digest_of_text("".join(views()))


def _write(session: Session, draft: Path, revision: str, now: datetime, *, again: bool) -> None:
    con = session.con
    name = con.execute("SELECT current_database()").fetchall()[0][0]
    con.execute("ATTACH ? AS snap", [str(draft)])
    try:
        if again:
            for table in BOOKKEEPING:
                con.execute(statement("snapshot_clear").format(table=table))
                con.execute(statement("snapshot_renew").format(table=table, state=name))
            con.execute("DROP TABLE snap.published")
        else:
            con.execute(f'COPY FROM DATABASE "{name}" TO snap')
        con.execute(statement("snapshot_publish"), {"now": now, "revision": revision, "layout": _layout()})
        if not again:
            con.execute("USE snap")
            try:
                for text in views():
                    con.execute(text)
            finally:
                con.execute(f'USE "{name}"')
        con.execute("CHECKPOINT snap")
    finally:
        con.execute("DETACH snap")


def _forget(folder: Path, keep: int) -> None:
    for old in sorted(folder.glob("[0-9]*.duckdb"))[: -max(keep, 1)]:
        old.unlink()


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
        self.published_at: datetime = con.execute(statement("published_revision")).fetchall()[0][2]

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

    def __enter__(self) -> Snapshot:
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
        return self._session.con.sql(text, params=dict(params or {})).pl()

    def plan(self, prefix: str) -> StoredPlan:
        """The plan whose digest starts with `prefix`. RefusedError when none or several do."""
        return plans.plan(self._session, prefix)

    def newest_plan(self) -> StoredPlan | None:
        """The plan saved last before publication."""
        return plans.newest_plan(self._session)

    def newest_header(self) -> PlanHeader | None:
        """The header of the plan saved last before publication."""
        return plans.newest_header(self._session)
