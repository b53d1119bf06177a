"""The store as the pipeline reads it: one consistent snapshot of one tenant, beside a service that goes on writing."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from connectors.inbox import statements as sql
from connectors.inbox.asking import Row
from connectors.inbox.directory import STORE_ID
from connectors.inbox.records import Record, record
from connectors.inbox.schema import Kind
from connectors.inbox.sqlite import connect

PAGE = 1000
FILE = "inbox/inbox.sqlite"


def store_path(chosen: str | None, *, base: Path, state: Path) -> Path:
    """Where the store is: as the config says, relative to its folder, else in the state folder."""
    return base / chosen if chosen else state / FILE


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a tenant stands: `seq` is its watermark; below `pruned_seq` tombstones are forgotten."""

    tenant_no: int
    seq: int
    sealed_at: str | None
    pruned_seq: int
    users: int
    groups: int


class Snapshot:
    """One tenant at one moment. sqlite3.Error when the file cannot be read, KeyError when nothing was ever pushed."""

    def __init__(self, path: Path, tenant: str) -> None:
        self._con = connect(path, read_only=True)
        try:
            self._con.execute("BEGIN")
            self.standing = _standing(self._con, tenant)
            named = self._con.execute(sql.META_GET, (STORE_ID,)).fetchone()
            self.store_id = str(named[0]) if named else ""
        except BaseException:
            self._con.close()
            raise

    def resources(self, kind: Kind, after: int = 0) -> Iterator[list[Record]]:
        """Users or groups that moved after a number, tombstones too, a page at a time."""
        for page in self._pages(sql.SINCE[kind], after):
            yield [record(row) for row in page]

    def members(self, after: int = 0) -> Iterator[Sequence[Row]]:
        """Edges (group_id, member_id, kind, removed) that moved after a number."""
        yield from self._pages(sql.SINCE_MEMBERS, after)

    def duplicates(self) -> list[Row]:
        """External ids that several live users bear, and how many each; at most 20."""
        return self._con.execute(sql.DUPLICATES, (self.standing.tenant_no, 20)).fetchall()

    def _pages(self, statement: str, after: int) -> Iterator[list[Row]]:
        with closing(self._con.execute(statement, (self.standing.tenant_no, after))) as cursor:
            while page := cursor.fetchmany(PAGE):
                yield page

    def close(self) -> None:
        """Lets go of the snapshot."""
        self._con.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _standing(con: sqlite3.Connection, tenant: str) -> Standing:
    row = con.execute(sql.WATERMARK, (tenant,)).fetchone()
    if row is None:
        raise KeyError(tenant)
    return Standing(*row)


def watermarks(path: Path) -> dict[str, int]:
    """The newest number of every tenant; empty when there is no store yet. Cheap enough to be asked every second."""
    if not path.exists():
        return {}
    con = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)
    with closing(con):
        return {str(row[1]): int(row[2]) for row in con.execute(sql.TENANTS)}
