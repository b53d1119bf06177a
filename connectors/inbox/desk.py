"""The store as an administrator's command opens it, beside a service that may be running."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar

from connectors.inbox.asking import Beside, Operation, Row, each, every
from connectors.inbox.directory import Status, statuses
from connectors.inbox.directory import seal as sealing
from connectors.inbox.statements import COPIED, FAILURES
from connectors.inbox.stores import Where, beside, make
from core.errors import RefusedError

T = TypeVar("T")
PAGE = 1000


class Desk:
    """One connection. Methods drive the same operations as the service does."""

    def __init__(self, store: Beside, place: Where) -> None:
        self._store = store
        self._place = place

    def ask(self, operation: Operation[T]) -> T:
        """An operation that only asks."""
        return self._store.do(operation)

    def do(self, operation: Operation[T]) -> T:
        """A writing operation in a transaction of its own."""
        with self._store.writing():
            return self._store.do(operation)

    def status(self, tenant: str) -> Status:
        """Where a tenant stands. RefusedError when the service has never known it."""
        found = next((status for status in self.ask(statuses()) if status.name == tenant), None)
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
        """A consistent copy of the whole store as a SQLite file, also while a service writes. RefusedError when the target exists."""
        from connectors.inbox.sqlite_beside import SqliteBeside

        try:
            os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        except FileExistsError as error:
            raise RefusedError(f"{target} exists already", remedy="Name another place for the copy") from error
        with beside(self._place, frozen=True) as live, closing(SqliteBeside.scratch(target)) as made:
            for table, (columns, many) in COPIED.items():
                fill = f"INSERT INTO {table} ({columns}) VALUES ({', '.join('?' * many)})"  # noqa: S608 - constants only
                for page in live.pages(f"SELECT {columns} FROM {table}", (), PAGE):  # noqa: S608 - constants only
                    made.do(each(fill, page))
            made.keep()


@contextmanager
def desk(place: Where) -> Iterator[Desk]:
    """Opens the store, making it when it is missing."""
    make(place)
    with beside(place) as store:
        yield Desk(store, place)
