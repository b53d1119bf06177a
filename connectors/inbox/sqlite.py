"""The SQLite store: WAL, one writer with group commit, reads on the event loop.

All statements run on the event loop's thread, since they take microseconds and two Python threads would fight over the
interpreter; only COMMIT, which waits for the disk, runs in a thread. Writes that arrive meanwhile form the next
transaction, so that one flush serves them all.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from connectors.inbox.asking import Listener, Moved, Operation, Turn, Writing, closed
from connectors.inbox.clock import stamp
from connectors.inbox.statements import TABLES, TURN_OPEN
from connectors.inbox.wire import ScimError
from core.errors import TransientError

T = TypeVar("T")
BATCH = 64  # writes in one transaction
EAGER = 16  # statements of one operation that run without letting others have the loop
LOCK_SECONDS = 30.0
PAUSE_SECONDS = 0.005


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection in WAL mode that flushes every commit to the disk (`synchronous=FULL`); the file is 0600 in a folder 0700."""
    for folder in reversed([each for each in path.parents if not each.exists()]):
        folder.mkdir(mode=0o700, exist_ok=True)
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256, timeout=0)
    connection.execute("PRAGMA busy_timeout = 5000")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA cache_size = -16000")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute(f"PRAGMA busy_timeout = {5000 if read_only else 0}")
    if read_only:
        connection.execute("PRAGMA query_only = 1")
    return connection


class _Wrote(Exception):  # noqa: N818 - a signal between two functions of this file, not an error of ours
    """An operation refused after it had written: the transaction must be undone."""


class _Job:
    __slots__ = ("future", "tenant_no", "writing")

    def __init__(self, tenant_no: int | None, writing: Any, future: asyncio.Future[Any]) -> None:
        self.tenant_no = tenant_no
        self.writing = writing
        self.future = future


class SqliteStore:
    """One file. `on_commit` is called on the event loop after each commit that moved a tenant."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.on_commit: Listener = _nobody
        self._jobs: list[_Job] = []
        self._pump: asyncio.Task[None] | None = None
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="inbox-commit")
        self._writer: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None

    async def open(self) -> None:
        """Makes the tables when they are missing."""
        self._writer = connect(self.path)
        self._writer.execute("PRAGMA busy_timeout = 5000")
        for statement in TABLES:
            self._writer.execute(statement)
        self._writer.execute("PRAGMA busy_timeout = 0")
        self._reader = connect(self.path, read_only=True)

    async def read(self, operation: Operation[T]) -> T:
        """Runs an operation that only asks; long ones give way to others between statements."""
        assert self._reader is not None  # noqa: S101 - open() comes first
        return await _drive(self._reader, operation, None)

    async def write(self, tenant_no: int, writing: Writing[T]) -> T:
        """Queues the operation for the next transaction and returns after its commit."""
        return await self._queue(tenant_no, writing)  # type: ignore[no-any-return] # the future carries what the operation returns

    async def run(self, operation: Operation[T]) -> T:
        """The same without a tenant's turn."""
        return await self._queue(None, lambda _turn: operation)  # type: ignore[no-any-return] # as above

    async def close(self) -> None:
        """Waits for the writes under way."""
        while self._pump is not None and not self._pump.done():
            await asyncio.wait([self._pump])
        self._disk.shutdown(wait=True)
        for connection in (self._reader, self._writer):
            if connection is not None:
                connection.close()

    async def _queue(self, tenant_no: int | None, writing: Any) -> Any:
        job = _Job(tenant_no, writing, asyncio.get_running_loop().create_future())
        self._jobs.append(job)
        if self._pump is None or self._pump.done():
            self._pump = asyncio.create_task(self._run_jobs())
        return await asyncio.shield(job.future)

    async def _run_jobs(self) -> None:
        while self._jobs:
            many = _together(self._jobs)
            batch, self._jobs = self._jobs[:many], self._jobs[many:]
            try:
                await self._transaction(batch)
            except Exception as fault:  # noqa: BLE001 - every waiting request must get its answer, whatever happened
                await self._one_by_one(batch, fault)

    async def _one_by_one(self, batch: list[_Job], fault: Exception) -> None:
        """The whole was undone: each alone, so that one bad operation spoils nobody else's."""
        if len(batch) == 1:
            _fail(batch[0], fault)
            return
        for job in batch:
            try:
                await self._transaction([job])
            except Exception as own:  # noqa: BLE001 - as in _run_jobs
                _fail(job, own)

    async def _transaction(self, batch: list[_Job]) -> None:
        assert self._writer is not None  # noqa: S101 - open() comes first
        connection, loop = self._writer, asyncio.get_running_loop()
        await _begin(connection)
        answers: list[tuple[_Job, Any, ScimError | None]] = []
        turns: dict[int, tuple[Turn, int]] = {}
        try:
            for job in batch:
                turn = _turn(connection, turns, job.tenant_no)
                changes, seq = connection.total_changes, turn.seq
                try:
                    answers.append((job, await _drive(connection, job.writing(turn), changes), None))
                except ScimError as refusal:
                    if turn.seq != seq:
                        raise _Wrote from refusal
                    answers.append((job, None, refusal))
            moved = _close_turns(connection, turns)
            await loop.run_in_executor(self._disk, connection.execute, "COMMIT")
        except BaseException as fault:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            if isinstance(fault, _Wrote) and len(batch) == 1 and isinstance(fault.__cause__, ScimError):
                raise fault.__cause__ from None
            if isinstance(fault, sqlite3.OperationalError):
                raise TransientError(f"the inbox store cannot be written: {fault}", retry_after=30) from fault
            raise
        for job, answer, refused in answers:
            _settle(job, answer, refused)
        if moved:
            self.on_commit(moved)


def _together(jobs: list[_Job]) -> int:
    """How many of the first jobs form a transaction. One without a turn is alone: its operation has begun and cannot be done again."""
    alone = next((place for place, job in enumerate(jobs) if job.tenant_no is None), BATCH)
    return max(1, min(alone, BATCH))


async def _begin(connection: sqlite3.Connection) -> None:
    """BEGIN IMMEDIATE, waiting for another process without blocking the loop. TransientError after half a minute."""
    waited = 0.0
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as fault:
            if "locked" not in str(fault):
                raise
            if waited >= LOCK_SECONDS:
                raise TransientError("the inbox store is locked by another process", retry_after=30) from fault
            await asyncio.sleep(PAUSE_SECONDS)
            waited += PAUSE_SECONDS
        else:
            return


def _turn(connection: sqlite3.Connection, turns: dict[int, tuple[Turn, int]], tenant_no: int | None) -> Turn:
    if tenant_no is None:
        return Turn(0, stamp(), 0, 0, 0)
    if tenant_no not in turns:
        row = connection.execute(TURN_OPEN, (tenant_no,)).fetchone()
        turns[tenant_no] = (Turn(tenant_no, stamp(), *row), row[0])
    return turns[tenant_no][0]


def _close_turns(connection: sqlite3.Connection, turns: dict[int, tuple[Turn, int]]) -> list[Moved]:
    moved = []
    for turn, before in turns.values():
        if turn.seq != before:
            drive_now(connection, closed(turn))
            moved.append(Moved(turn.tenant_no, turn.seq, turn.reduces))
    return moved


async def _drive(connection: sqlite3.Connection, operation: Operation[T], changes: int | None) -> T:
    """Answers an operation's statements. A refusal after a statement that changed rows is signalled as `_Wrote`."""
    asked = 0
    try:
        sql, parameters = next(operation)
        while True:
            many = isinstance(parameters, list)
            cursor = connection.executemany(sql, parameters) if many else connection.execute(sql, parameters)
            asked += 1
            if asked > EAGER:
                await asyncio.sleep(0)
            sql, parameters = operation.send([] if many else cursor.fetchall())
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return] # Operation[T] returns T
    except ScimError as refusal:
        if changes is not None and connection.total_changes != changes:
            raise _Wrote from refusal
        raise


@contextmanager
def transaction(con: sqlite3.Connection) -> Iterator[None]:
    """A writing transaction of a process beside the service. TransientError when the store stays locked for half a minute."""
    until = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            con.execute("BEGIN IMMEDIATE")
            break
        except sqlite3.OperationalError as fault:
            if "locked" not in str(fault) or time.monotonic() > until:
                raise TransientError("the inbox store is locked by another process", retry_after=30) from fault
            time.sleep(PAUSE_SECONDS)
    try:
        yield
    except BaseException:
        con.execute("ROLLBACK")
        raise
    con.execute("COMMIT")


def drive_now(connection: sqlite3.Connection, operation: Operation[T]) -> T:
    """The same without an event loop, for readers and rebuilds."""
    try:
        sql, parameters = next(operation)
        while True:
            many = isinstance(parameters, list)
            cursor = connection.executemany(sql, parameters) if many else connection.execute(sql, parameters)
            sql, parameters = operation.send([] if many else cursor.fetchall())
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return] # Operation[T] returns T


def _settle(job: _Job, answer: Any, refusal: ScimError | None) -> None:
    if job.future.done():  # its client went away; the write stands
        return
    if refusal is not None:
        job.future.set_exception(refusal)
    else:
        job.future.set_result(answer)


def _fail(job: _Job, fault: BaseException) -> None:
    if not job.future.done():
        job.future.set_exception(fault)


def _nobody(_moved: Sequence[Moved]) -> None:
    """Nobody listens."""
