"""The PostgreSQL database as it is opened beside the service: one connection on an event loop of its own that runs only while it is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any, TypeVar

from connectors.inbox.asking import Operation, Row
from connectors.inbox.database import Database, answered, engine, lent, numbered, telling
from connectors.inbox.postgres import ALONE, TURN, drive, make_tables, there

T = TypeVar("T")
IDLE_SECONDS = 60  # a process that is frozen within a transaction does not hold its tenant for longer
FREEZE = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
CLAIM = "SELECT pg_try_advisory_lock(hashtext('onefold inbox ' || current_schema()), ?)"


class PostgresBeside:
    """One connection. Not for a thread that runs an event loop already."""

    def __init__(self, database: Database, *, frozen: bool = False) -> None:
        self._loop = asyncio.new_event_loop()
        self._stack = AsyncExitStack()
        try:
            self._raw = self._run(self._opened(database, frozen=frozen))
        except BaseException:
            self.close()
            raise

    async def _opened(self, database: Database, *, frozen: bool) -> Any:
        pool = engine(database, connections=1, idle_seconds=0 if frozen else IDLE_SECONDS, answer_seconds=None)
        self._stack.push_async_callback(pool.dispose)
        raw = await self._stack.enter_async_context(lent(pool))
        if frozen:
            await raw.execute(FREEZE)
        return raw

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        with telling():
            return self._loop.run_until_complete(work)

    def apply(self, work: Callable[[Any], Coroutine[Any, Any, T]]) -> T:
        """Something with asyncpg's own connection."""
        return self._run(work(self._raw))

    def do(self, operation: Operation[T]) -> T:
        """Answers an operation's statements."""
        return self._run(drive(self._raw, operation))

    def pages(self, statement: str, parameters: Row, size: int) -> Iterator[list[Row]]:
        """The rows of one statement, some at a time; in a frozen connection, since a cursor needs a transaction."""
        cursor = self._run(self._cursor(statement, parameters))
        while page := self._run(cursor.fetch(size)):
            yield [tuple(row) for row in page]

    async def _cursor(self, statement: str, parameters: Row) -> Any:
        return await self._raw.cursor(numbered(statement), *parameters)

    @contextmanager
    def writing(self, tenant_no: int | None = None) -> Iterator[None]:
        """A transaction that holds the tenant's row, or one that is alone with administrative changes."""
        self._run(self._raw.execute("BEGIN"))
        try:
            lock, parameters = (TURN, (tenant_no,)) if tenant_no is not None else (ALONE, ())
            self._run(answered(self._raw, lock, parameters))
            yield
            self._run(self._raw.execute("COMMIT"))
        except BaseException:
            if not self._raw.is_closed():
                self._run(self._raw.execute("ROLLBACK"))
            raise

    def claim(self, tenant_no: int) -> bool:
        """Whether this tenant's checkpoint is ours to make."""
        ((ours,),) = self._run(answered(self._raw, CLAIM, (tenant_no,)))
        return bool(ours)

    def close(self) -> None:
        """Ends the connection."""
        try:
            self._loop.run_until_complete(self._stack.aclose())
        finally:
            self._loop.close()


def has_tables(database: Database) -> bool:
    """Whether anybody has made an inbox there."""
    opened = PostgresBeside(database)
    try:
        return opened.apply(lambda raw: there(raw, ["inbox_tenant"]))
    finally:
        opened.close()


def give_tables(database: Database) -> None:
    """Makes them when they are missing."""
    opened = PostgresBeside(database)
    try:
        opened.apply(make_tables)
    finally:
        opened.close()
