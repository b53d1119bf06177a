"""SQLite files beside the state: private, write-ahead logged, every commit on disk before it returns."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from core.errors import RefusedError
from state.private import private_file, private_folder
from state.statements import migrations, statement

BUSY_SECONDS = 30.0


def connect(path: Path, prefix: str) -> sqlite3.Connection:
    """Opens or creates the file, brought to the newest shape of its `prefix`. RefusedError when a newer program shaped it.

    Usable from several threads when they take turns. `synchronous=FULL`: a commit is durable when it returns.
    """
    private_folder(path.parent)
    con = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    con.execute("PRAGMA journal_mode=WAL")
    con.execute("PRAGMA synchronous=FULL")
    con.execute("PRAGMA foreign_keys=ON")
    _migrate(con, path, prefix)
    private_file(path)
    return con


def connect_reading(path: Path) -> sqlite3.Connection | None:
    """The file opened for reading, or None when there is none (nothing is created)."""
    if not path.exists():
        return None
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS, isolation_level=None)


def _migrate(con: sqlite3.Connection, path: Path, prefix: str) -> None:
    known = migrations(prefix)
    found = con.execute("PRAGMA user_version").fetchone()[0]
    if found > len(known):
        con.close()
        raise RefusedError(
            f"{path} was written by a newer Onefold (its shape is {found}, this program knows {len(known)})",
            remedy="Use the newer program",
        )
    for number, _name, text in known[found:]:
        with writing(con):
            if con.execute("PRAGMA user_version").fetchone()[0] >= number:
                continue  # another process was quicker
            for each in _statements(text):
                con.execute(each)
            con.execute(f"PRAGMA user_version={number}")


def _statements(text: str) -> Iterator[str]:
    """Single statements of a script: `executescript` would commit between them."""
    buffer = ""
    for line in text.splitlines(keepends=True):
        buffer += line
        if sqlite3.complete_statement(buffer):
            yield buffer
            buffer = ""


@contextmanager
def writing(con: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """One transaction, all or nothing; waits for other writers first."""
    con.execute("BEGIN IMMEDIATE")
    try:
        yield con
    except BaseException:
        con.execute("ROLLBACK")
        raise
    con.execute("COMMIT")


def ask(con: sqlite3.Connection, name: str, params: Sequence[object] = ()) -> list[tuple[object, ...]]:
    """All rows of `sql/<name>.sql` with question marks filled in."""
    return con.execute(statement(name), params).fetchall()


def stamp(at: datetime) -> str:
    """A time as text that sorts as time does: always with microseconds."""
    return at.isoformat(sep=" ", timespec="microseconds")


def unstamp(text: object) -> datetime:
    """The time that `stamp` wrote."""
    return datetime.fromisoformat(str(text))
