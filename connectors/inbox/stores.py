"""Which store an inbox has, a SQLite file or a PostgreSQL database, and how each is opened: by the service, and beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from connectors.inbox.asking import Beside, Store
from connectors.inbox.database import ADDRESS, Database, malformed
from core.errors import RefusedError

FILE = "inbox/inbox.sqlite"
Where = Path | Database
"""Where the store is."""


def where(chosen: str | None, secret: str | None, *, base: Path, state: Path) -> Where:
    """From the setting `store` and, when it is a reference, what it refers to. RefusedError when that is no address of PostgreSQL."""
    if secret is not None and (not ADDRESS.match(secret) or malformed(secret)):
        raise RefusedError(
            f"`store` refers by {chosen} to something that is no address of PostgreSQL",
            field="store",
            remedy="Put postgresql://user:password@host/database there, special characters of the password as %XX, or name a file",
        )
    if secret is not None:
        return Database(secret)
    if chosen is not None and ADDRESS.match(chosen):
        return Database(chosen)
    return base / chosen if chosen else state / FILE


def open_store(place: Where) -> Store:
    """The store as the service uses it, not opened yet."""
    if isinstance(place, Database):
        from connectors.inbox.postgres import PostgresStore

        return PostgresStore(place)
    from connectors.inbox.sqlite import SqliteStore

    return SqliteStore(place)


@contextmanager
def beside(place: Where, *, frozen: bool = False) -> Iterator[Beside]:
    """A connection beside the service; `frozen`: read-only, and all that it reads is of one moment. It makes no tables."""
    opened = open_beside(place, frozen=frozen)
    try:
        yield opened
    finally:
        opened.close()


def open_beside(place: Where, *, frozen: bool = False) -> Beside:
    """The same for whoever closes it himself."""
    if isinstance(place, Database):
        from connectors.inbox.postgres_beside import PostgresBeside

        return PostgresBeside(place, frozen=frozen)
    from connectors.inbox.sqlite_beside import SqliteBeside

    return SqliteBeside.open(place, frozen=frozen)


def is_there(place: Where) -> bool:
    """Whether anybody has made a store there."""
    if isinstance(place, Database):
        from connectors.inbox.postgres_beside import has_tables

        return has_tables(place)
    return place.exists()


def make(place: Where) -> None:
    """Makes the tables when they are missing."""
    if isinstance(place, Database):
        from connectors.inbox.postgres_beside import give_tables

        give_tables(place)
    else:
        from connectors.inbox.sqlite_beside import give_tables as give_file_tables

        give_file_tables(place)
