"""The PostgreSQL store: a lane for each tenant with group commit, reads on any connection, and several processes over one database.

A transaction locks its tenant's row first and takes its numbers from it, so writers of all processes follow one another
within a tenant, whatever they do beside it in others.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from connectors.inbox import statements as sql
from connectors.inbox.asking import Listener, Moved, Operation, Turn, Writing, closed
from connectors.inbox.clock import stamp
from connectors.inbox.database import ANSWER_SECONDS, Database, answered, collided, engine, lent, lost, telling
from connectors.inbox.wire import ScimError
from core.errors import OnefoldError, RefusedError, TransientError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

log = logging.getLogger("onefold.inbox")
T = TypeVar("T")
BATCH = 64  # writes in one transaction
CONNECTIONS = 8
IDLE_SECONDS = 10  # below the patience of who waits for the turn that a frozen process holds
TRIES = 3
PAUSE_SECONDS = 0.05
TURN = f"{sql.TURN_OPEN} FOR UPDATE"
# One administrative change at a time, as in SQLite: of tables, tenants, tokens. By schema, since a database may hold several inboxes.
ALONE = "SELECT pg_advisory_xact_lock(hashtext('onefold inbox ' || current_schema()), 0)"
THERE = "SELECT count(to_regclass(name)) FROM unnest(?::text[]) AS name"
LOOK_SECONDS = 1.0
# Without statistics the planner takes any index that begins with the tenant and walks all of it. In a first load the server's
# own upkeep comes a minute too late, and where it is switched off never.
GROWN = """SELECT relname FROM pg_stat_user_tables WHERE schemaname = current_schema() AND relname LIKE 'inbox%'
    AND n_mod_since_analyze > 100 + n_live_tup / 2 ORDER BY relname"""


class _Wrote(Exception):  # noqa: N818 - a signal between two functions of this file, not an error of ours
    """An operation refused after it had written: the transaction must be undone."""


@dataclass(slots=True)
class _Job:
    writing: Any
    future: asyncio.Future[Any]


@dataclass(slots=True)
class _Lane:
    """What waits to be written in one tenant, and the task that writes it."""

    jobs: list[_Job] = field(default_factory=list)
    pump: asyncio.Task[None] | None = None


async def make_tables(raw: Any) -> None:
    """Makes what is missing; a role that may not create tables is enough once they are there. RefusedError for a database that is not in UTF-8."""
    ((encoding,),) = await answered(raw, "SHOW server_encoding", ())
    if encoding != "UTF8":
        raise RefusedError(f"the inbox database holds {encoding}", remedy="Make it with ENCODING 'UTF8'")
    if await there(raw, list(sql.COPIED)):
        return
    async with raw.transaction():
        await raw.execute(ALONE)
        # texts sort and compare by code point, as in SQLite, whatever the database's language is
        for statement in sql.TABLES:
            await raw.execute(statement.replace(" TEXT", ' TEXT COLLATE "C"'))


async def there(raw: Any, tables: list[str]) -> bool:
    """Whether these tables are there."""
    ((found,),) = await answered(raw, THERE, (tables,))
    return bool(found == len(tables))


class PostgresStore:
    """One database. `on_commit` is called on the event loop after each commit of this process that moved a tenant."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.on_commit: Listener = _nobody
        self._lanes: dict[int, _Lane] = {}
        self._pool: AsyncEngine | None = None
        self._analysing: asyncio.Task[None] | None = None
        self._looked = 0.0

    async def open(self) -> None:
        """Makes the tables when they are missing. TransientError or RefusedError when the database cannot be reached."""
        self._pool = engine(
            self.database, connections=CONNECTIONS, idle_seconds=IDLE_SECONDS, answer_seconds=ANSWER_SECONDS
        )
        with telling():
            async with lent(self._pool) as raw:
                await make_tables(raw)

    async def read(self, operation: Operation[T]) -> T:
        """Runs an operation that only asks, on one connection. A question may be asked again, on another, when that one has died."""
        try:
            statement, parameters = next(operation)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return] # Operation[T] returns T
        with telling():
            for attempt in range(TRIES):
                try:
                    async with lent(self._open()) as raw:
                        while True:
                            rows = await answered(raw, statement, parameters)
                            try:
                                statement, parameters = operation.send(rows)
                            except StopIteration as done:
                                return done.value  # type: ignore[no-any-return] # as above
                except Exception as fault:
                    if attempt + 1 == TRIES or not lost(fault):
                        raise
                    await asyncio.sleep(PAUSE_SECONDS * attempt)
        raise AssertionError  # the last try returns or raises

    async def write(self, tenant_no: int, writing: Writing[T]) -> T:
        """Queues the operation for its tenant's next transaction and returns after its commit."""
        lane = self._lanes.setdefault(tenant_no, _Lane())
        job = _Job(writing, asyncio.get_running_loop().create_future())
        lane.jobs.append(job)
        if lane.pump is None or lane.pump.done():
            lane.pump = asyncio.create_task(self._run_jobs(tenant_no, lane))
        return await asyncio.shield(job.future)

    async def run(self, operation: Operation[T]) -> T:
        """Runs a writing operation in a transaction of its own, one at a time over all processes."""
        with telling():
            try:
                async with lent(self._open()) as raw:
                    await raw.execute("BEGIN")
                    await raw.execute(ALONE)
                    answer = await drive(raw, operation)
                    await raw.execute("COMMIT")
                    return answer
            except _Wrote as wrote:
                raise wrote.__cause__ or wrote from None

    async def close(self) -> None:
        """Waits for the writes under way."""
        while pumps := [lane.pump for lane in self._lanes.values() if lane.pump is not None and not lane.pump.done()]:
            await asyncio.wait(pumps)
        if self._analysing is not None:
            await asyncio.wait([self._analysing])
        if self._pool is not None:
            await self._pool.dispose()

    def _tend(self) -> None:
        """After a write, at most once a second: statistics for tables that have grown a lot since they were analysed."""
        now = asyncio.get_running_loop().time()
        if now - self._looked >= LOOK_SECONDS and (self._analysing is None or self._analysing.done()):
            self._looked = now
            self._analysing = asyncio.create_task(self._analyse())

    async def _analyse(self) -> None:
        try:
            with telling():
                async with lent(self._open()) as raw:
                    for (table,) in await answered(raw, GROWN, ()):
                        await raw.execute(f"ANALYZE (SKIP_LOCKED) {table}")
        except OnefoldError as fault:
            log.warning("tables of the inbox could not be analysed: %s", fault)

    def _open(self) -> AsyncEngine:
        assert self._pool is not None  # noqa: S101 - open() comes first
        return self._pool

    async def _run_jobs(self, tenant_no: int, lane: _Lane) -> None:
        while lane.jobs:
            batch, lane.jobs = lane.jobs[:BATCH], lane.jobs[BATCH:]
            try:
                with telling():
                    await self._again(tenant_no, batch)
            except Exception as fault:  # noqa: BLE001 - every waiting request must get its answer, whatever happened
                await self._one_by_one(tenant_no, batch, fault)

    async def _one_by_one(self, tenant_no: int, batch: list[_Job], fault: Exception) -> None:
        """The whole was undone: each alone, so that one bad operation spoils nobody else's; unless nobody can be served."""
        if len(batch) == 1 or isinstance(fault, TransientError | RefusedError):
            for job in batch:
                _settle(job, None, fault)
            return
        for job in batch:
            try:
                with telling():
                    await self._again(tenant_no, [job])
            except Exception as own:  # noqa: BLE001 - as in _run_jobs
                _settle(job, None, own)

    async def _again(self, tenant_no: int, batch: list[_Job]) -> None:
        """The transaction, tried again when it was undone by another or by a connection that had died; never after its commit was sent."""
        for attempt in range(TRIES):
            committing = False
            try:
                async with lent(self._open()) as raw:
                    await raw.execute("BEGIN")
                    answers, moved = await _work(raw, tenant_no, batch)
                    committing = True
                    await raw.execute("COMMIT")
            except _Wrote as wrote:
                if len(batch) == 1 and wrote.__cause__ is not None:
                    raise wrote.__cause__ from None
                raise
            except Exception as fault:
                passes = collided(fault) or (lost(fault) and not committing)
                if not passes or attempt + 1 == TRIES:
                    raise
                await asyncio.sleep(PAUSE_SECONDS * attempt)
            else:
                for job, answer, refusal in answers:
                    _settle(job, answer, refusal)
                if moved:
                    self.on_commit(moved)
                    self._tend()
                return


async def _work(
    raw: Any, tenant_no: int, batch: list[_Job]
) -> tuple[list[tuple[_Job, Any, ScimError | None]], list[Moved]]:
    """All jobs in their tenant's turn."""
    ((seq, users, groups),) = await answered(raw, TURN, (tenant_no,))
    turn = Turn(tenant_no, stamp(), seq, users, groups)
    answers: list[tuple[_Job, Any, ScimError | None]] = []
    for job in batch:
        try:
            answers.append((job, await drive(raw, job.writing(turn)), None))
        except ScimError as refusal:
            answers.append((job, None, refusal))
    if turn.seq == seq:
        return answers, []
    await drive(raw, closed(turn))
    return answers, [Moved(tenant_no, turn.seq, turn.reduces)]


async def drive(raw: Any, operation: Operation[T]) -> T:
    """Answers an operation's statements. A refusal after a statement that writes is signalled as `_Wrote`."""
    wrote = False
    try:
        statement, parameters = next(operation)
        while True:
            rows = await answered(raw, statement, parameters)
            wrote = wrote or not statement.startswith("SELECT")
            statement, parameters = operation.send(rows)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return] # Operation[T] returns T
    except ScimError as refusal:
        if wrote:
            raise _Wrote from refusal
        raise


def _settle(job: _Job, answer: Any, refusal: Exception | None) -> None:
    if job.future.done():  # its client went away; the write stands
        return
    if refusal is not None:
        job.future.set_exception(refusal)
    else:
        job.future.set_result(answer)


def _nobody(_moved: Sequence[Moved]) -> None:
    """Nobody listens."""
