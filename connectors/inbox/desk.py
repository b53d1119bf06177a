"""The store as an administrator's command opens it, beside a service that may be running."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar

from connectors.inbox.asking import Operation, Row, every
from connectors.inbox.directory import Status, statuses
from connectors.inbox.directory import seal as sealing
from connectors.inbox.sqlite import connect, drive_now, transaction
from connectors.inbox.statements import FAILURES, TABLES
from core.errors import RefusedError

T = TypeVar("T")


class Desk:
    """One connection. Methods drive the same operations as the service does."""

    def __init__(self, con: sqlite3.Connection) -> None:
        self._con = con

    def ask(self, operation: Operation[T]) -> T:
        """An operation that only asks."""
        return drive_now(self._con, operation)

    def do(self, operation: Operation[T]) -> T:
        """A writing operation in a transaction of its own."""
        with transaction(self._con):
            return drive_now(self._con, operation)

    def status(self, tenant: str) -> Status:
        """Where a tenant stands. RefusedError when the service has never known it."""
        found = next((each for each in self.ask(statuses()) if each.name == tenant), None)
        if found is None:
            raise RefusedError("nothing was pushed to this tenant yet", tenant=tenant, remedy="Start `onefold serve`")
        return found

    def seal(self, tenant: str) -> tuple[Status, bool]:
        """Ends the first load; tells the status before and whether it was filling."""
        before = self.status(tenant)
        if before.sealed_at is None:
            self.do(sealing(before.tenant_no))
        return before, before.sealed_at is None

    def failures(self) -> list[Row]:
        """Failed credentials by day and source address, the newest day and the most first; at most 20."""
        return self.ask(every(FAILURES))[:20]

    def copy(self, target: Path) -> None:
        """A consistent copy of the whole store, also while a service writes. RefusedError when the target exists."""
        try:
            os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        except FileExistsError as error:
            raise RefusedError(f"{target} exists already", remedy="Name another place for the copy") from error
        with closing(sqlite3.connect(target)) as made:
            self._con.backup(made)


@contextmanager
def desk(path: Path) -> Iterator[Desk]:
    """Opens the store, making it when it is missing."""
    with closing(connect(path)) as con:
        con.execute("PRAGMA busy_timeout = 5000")
        for statement in TABLES:
            con.execute(statement)
        yield Desk(con)
