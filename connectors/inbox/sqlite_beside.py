"""The SQLite file as it is opened beside the service, and the scratch database of a rebuild."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Self, TypeVar

from connectors.inbox.asking import Operation, Row
from connectors.inbox.sqlite import connect, drive_now, transaction
from connectors.inbox.statements import TABLES

T = TypeVar("T")


class SqliteBeside:
    """One connection."""

    def __init__(self, con: sqlite3.Connection) -> None:
        self._con = con

    @classmethod
    def open(cls, path: Path, *, frozen: bool) -> Self:
        """`frozen`: one read transaction from the first statement on."""
        con = connect(path, read_only=frozen)
        try:
            con.execute("BEGIN" if frozen else "PRAGMA busy_timeout = 5000")
        except BaseException:
            con.close()
            raise
        return cls(con)

    @classmethod
    def scratch(cls, target: Path | None = None) -> Self:
        """A database that vanishes with its connection, or a new file, which nobody else looks at meanwhile; with the tables."""
        con = sqlite3.connect(target or "", isolation_level=None, cached_statements=256)
        con.execute("PRAGMA synchronous = OFF")
        con.execute("BEGIN")
        for statement in TABLES:
            con.execute(statement)
        return cls(con)

    def do(self, operation: Operation[T]) -> T:
        """Answers an operation's statements."""
        return drive_now(self._con, operation)

    def pages(self, statement: str, parameters: Row, size: int) -> Iterator[list[Row]]:
        """The rows of one statement, some at a time."""
        with closing(self._con.execute(statement, parameters)) as cursor:
            while page := cursor.fetchmany(size):
                yield page

    def writing(self, tenant_no: int | None = None) -> AbstractContextManager[None]:  # noqa: ARG002 - one writer at a time, whatever the tenant
        """A transaction: nobody else writes meanwhile."""
        return transaction(self._con)

    def claim(self, tenant_no: int) -> bool:  # noqa: ARG002 - as above
        """One process serves a file."""
        return True

    def keep(self) -> None:
        """Writes a scratch file down."""
        self._con.execute("COMMIT")
        self._con.execute("PRAGMA synchronous = FULL")
        self._con.execute("PRAGMA journal_mode = WAL")

    def close(self) -> None:
        """Lets go of the file."""
        self._con.close()


def give_tables(path: Path) -> None:
    """Makes the file and its tables when they are missing."""
    with closing(connect(path)) as con:
        con.execute("PRAGMA busy_timeout = 5000")
        for statement in TABLES:
            con.execute(statement)
