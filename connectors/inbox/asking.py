"""Operations as generators of SQL: they yield statements and are sent rows, so that one text runs on every store.

A write operation gets the `Turn` of its tenant: the tenant's row is locked, and sequence numbers are taken from it in
the same transaction, so that a reader who sees number n has seen every number below. An operation that refuses raises
ScimError *before* its first statement that writes; a store may then go on with the rest of the transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from connectors.inbox.statements import REDUCED, TURN_CLOSE

Row = tuple[Any, ...]
Ask = tuple[str, "tuple[Any, ...] | list[tuple[Any, ...]]"]  # a list of parameters runs the statement for each
T = TypeVar("T")
Operation = Generator[Ask, list[Row], T]


@dataclass(slots=True)
class Turn:
    """One tenant's part of a transaction: last sequence number taken, live counts, time of the writes (UTC, ISO 8601)."""

    tenant_no: int
    at: str
    seq: int
    users: int
    groups: int
    reduces: bool = False

    def next(self) -> int:
        """Takes a sequence number."""
        self.seq += 1
        return self.seq


Writing = Callable[[Turn], "Operation[T]"]


@dataclass(frozen=True, slots=True)
class Moved:
    """What a committed transaction did to one tenant: its newest number, and whether it takes access away."""

    tenant_no: int
    seq: int
    reduces: bool


Listener = Callable[[Sequence[Moved]], None]


class Store(Protocol):
    """Where the inbox keeps its things. Both implementations pass the same suite."""

    on_commit: Listener

    async def open(self) -> None:
        """Makes the tables when they are missing."""
        ...

    async def read(self, operation: Operation[T]) -> T:
        """Runs an operation that only asks, on committed data."""
        ...

    async def write(self, tenant_no: int, writing: Writing[T]) -> T:
        """Runs an operation in its tenant's turn and returns after the commit. Raises what the operation raised."""
        ...

    async def run(self, operation: Operation[T]) -> T:
        """Runs a writing operation that needs no turn (tokens, tenants), in a transaction of its own."""
        ...

    async def close(self) -> None:
        """Lets go of connections, after the writes under way."""
        ...


class Beside(Protocol):
    """One connection of whoever reads or writes the store beside the service: a command, a chore, the pipeline. Waits; knows no event loop.

    TransientError when the store is locked or gone.
    """

    def do(self, operation: Operation[T]) -> T:
        """Answers an operation's statements, in the transaction that is open, else each on its own."""
        ...

    def pages(self, statement: str, parameters: Row, size: int) -> Iterator[list[Row]]:
        """The rows of one statement, some at a time."""
        ...

    def writing(self, tenant_no: int | None = None) -> AbstractContextManager[None]:
        """A transaction in that tenant's turn, or for administrative changes."""
        ...

    def claim(self, tenant_no: int) -> bool:
        """Whether this tenant's checkpoint is ours to make, until the connection is closed; another process may be at it."""
        ...

    def close(self) -> None:
        """Lets go of it."""
        ...


def closed(turn: Turn) -> Operation[None]:
    """The end of a turn that took numbers, in the same transaction: a reader that sees the number sees all below it."""
    yield TURN_CLOSE, (turn.seq, turn.users, turn.groups, turn.tenant_no)
    if turn.reduces:
        yield REDUCED, (turn.tenant_no, turn.seq)


def one(sql: str, *parameters: Any) -> Operation[Row | None]:
    """The first row, or None."""
    rows = yield sql, parameters
    return rows[0] if rows else None


def every(sql: str, *parameters: Any) -> Operation[list[Row]]:
    """All rows."""
    rows = yield sql, parameters
    return rows


def each(sql: str, rows: list[Row]) -> Operation[None]:
    """The statement for each row."""
    yield sql, rows
