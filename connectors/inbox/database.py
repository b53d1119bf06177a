"""A PostgreSQL database as the inbox reaches it: its address, TLS, sessions, and which of its errors pass."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qs, urlsplit

from connectors.inbox.asking import Row
from core.errors import OnefoldError, RefusedError, TransientError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

ADDRESS = re.compile(r"^postgres(ql)?(\+asyncpg)?://")
CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 60.0  # for one statement of the service
LOCK_SECONDS = 30
PLAN_SECONDS = 60  # a plan made over tables that were empty then is not kept for longer
RETRY_SECONDS = 5.0
REMEDY = "Start it, or correct the address that `store` refers to"


@dataclass(frozen=True, slots=True)
class Database:
    """One database by its address as libpq writes it (`postgresql://user@host/name?sslmode=…`); it may hold a password and is never shown."""

    url: str = field(repr=False)

    @property
    def address(self) -> str:
        """The address as asyncpg wants it; Prefect's spelling `postgresql+asyncpg://` is understood too."""
        return ADDRESS.sub("postgresql://", self.url, count=1)

    @property
    def stated(self) -> dict[str, str]:
        """Parameters after the question mark; the last of several wins."""
        return {name: values[-1] for name, values in parse_qs(urlsplit(self.address).query).items()}

    @property
    def remote(self) -> bool:
        """Whether a host is named that is neither this machine nor a folder of sockets."""
        named = urlsplit(self.address).netloc.rpartition("@")[2] or self.stated.get("host") or os.environ.get("PGHOST")
        return any(not _here(each) for each in (named or "").split(",") if each)


def malformed(url: str) -> bool:
    """Whether an address cannot mean what its writer meant: mostly a `/`, `#`, `?`, `@` or `[` in a password that is not written as %XX."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return True
    hosts = parts.netloc.rpartition("@")[2].split(",")
    ports = [each.rpartition("]")[2].rpartition(":")[2] for each in hosts if ":" in each.rpartition("]")[2]]
    return bool(parts.fragment or "@" in parts.path or "@" in parts.netloc.rpartition("@")[0]) or not all(
        each.isdecimal() for each in ports
    )


def holds_password(url: str) -> bool:
    """Whether an address has a password written into it."""
    login = urlsplit(url).netloc.rpartition("@")[0]
    return ":" in login or bool({"password", "sslpassword"} & parse_qs(urlsplit(url).query).keys())


def _here(host: str) -> bool:
    bracketed, many = host.startswith("["), host.count(":") > 1
    name = host[1:].partition("]")[0] if bracketed else host if many else host.partition(":")[0]
    if name.startswith(("/", "%2F", "%2f")) or name.lower() == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def tls(database: Database) -> ssl.SSLContext | Literal["verify-full"] | None:
    """How asyncpg is to encrypt: to another host certificate and name are verified unless the address, or PGSSLMODE, says otherwise.

    By the authorities of this system where none are named by `sslrootcert`; asyncpg itself would look for a file in the home
    folder and would verify nothing by default. None leaves it to the address.
    """
    stated = database.stated
    mode = stated.get("sslmode") or os.environ.get("PGSSLMODE") or ("verify-full" if database.remote else "prefer")
    if mode != "verify-full":
        return None
    if (stated.get("sslrootcert") or os.environ.get("PGSSLROOTCERT") or "system") != "system":
        return "verify-full"
    context = ssl.create_default_context()
    if certificate := stated.get("sslcert") or os.environ.get("PGSSLCERT"):
        key = stated.get("sslkey") or os.environ.get("PGSSLKEY")
        context.load_cert_chain(certificate, key, stated.get("sslpassword"))
    return context


def engine(database: Database, *, connections: int, idle_seconds: int, answer_seconds: float | None) -> AsyncEngine:
    """SQLAlchemy's pool over asyncpg. `idle_seconds`: how long a transaction may wait for us before the server ends it; 0: for ever."""
    import asyncpg
    from sqlalchemy.ext.asyncio import create_async_engine

    # Not as start-up parameters, which poolers refuse. Who waits for its turn gives up; who holds one and is frozen loses it;
    # an answer comes after the flush also where the server's default is not to wait for it. All statements are lookups by keys.
    session = f"""SET lock_timeout = '{LOCK_SECONDS}s'; SET idle_in_transaction_session_timeout = '{idle_seconds}s';
        SET default_transaction_isolation = 'read committed'; SET enable_seqscan = off;
        SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"""
    name = {} if "application_name" in database.stated else {"server_settings": {"application_name": "onefold inbox"}}

    async def connected(**_: Any) -> Any:
        made = await asyncpg.connect(
            database.address,
            ssl=tls(database),
            timeout=CONNECT_SECONDS,
            command_timeout=answer_seconds,
            max_cached_statement_lifetime=PLAN_SECONDS,
            **name,
        )
        await made.execute(session)
        return made

    return create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connected,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=LOCK_SECONDS,
        pool_use_lifo=True,
        pool_reset_on_return=None,  # we end our own transactions, and throw a connection away when we could not
    )


@asynccontextmanager
async def lent(pool: AsyncEngine) -> AsyncIterator[Any]:
    """A connection of asyncpg out of the pool: its own calls take half the time of SQLAlchemy's. One that failed half-way is thrown away."""
    while True:
        held = await pool.connect()
        raw = (await held.get_raw_connection()).driver_connection
        assert raw is not None  # noqa: S101 - it was connected
        if not raw.is_closed():
            break
        await held.invalidate()
        await held.close()
    try:
        yield raw
    except Exception as fault:
        if lost(fault):
            raw.terminate()
        raise
    finally:
        if not raw.is_closed() and raw.is_in_transaction():
            with suppress(Exception):  # then it is thrown away
                await raw.execute("ROLLBACK")
        if raw.is_closed() or raw.is_in_transaction():
            raw.terminate()
            await held.invalidate()
        await held.close()


@lru_cache(maxsize=1024)
def numbered(sql: str) -> str:
    """The statement with `$1`, `$2` … for its `?`; none of ours holds a question mark of its own."""
    first, *others = sql.split("?")
    return first + "".join(f"${place}{text}" for place, text in enumerate(others, start=1))


async def answered(raw: Any, sql: str, parameters: Row | list[Row]) -> list[Row]:
    """One statement's rows; a list of parameters runs it for each."""
    if isinstance(parameters, list):
        await raw.executemany(numbered(sql), parameters)
        return []
    return [tuple(row) for row in await raw.fetch(numbered(sql), *parameters)]


def collided(fault: BaseException) -> bool:
    """Whether the transaction was undone only because others ran beside it."""
    import asyncpg

    return isinstance(_origin(fault), asyncpg.SerializationError | asyncpg.DeadlockDetectedError)


def lost(fault: BaseException) -> bool:
    """Whether the connection, not the statement, failed: another one may have more luck."""
    import asyncpg

    ended = (
        asyncpg.PostgresConnectionError,
        asyncpg.AdminShutdownError,
        asyncpg.CrashShutdownError,
        asyncpg.CannotConnectNowError,
        asyncpg.IdleInTransactionSessionTimeoutError,
        asyncpg.ReadOnlySQLTransactionError,  # a server that has become somebody's replica
        asyncpg.InternalClientError,  # the server's farewell was read, its hanging up not yet
        ConnectionError,
    )
    fault = _origin(fault)
    closed = isinstance(fault, asyncpg.InterfaceError) and not isinstance(
        fault, ValueError
    )  # ValueError: our own fault
    return closed or isinstance(fault, ended)


def told(fault: BaseException) -> OnefoldError | None:
    """What a caller is told: to come again, or that the address does not let us in. None for a defect of ours."""
    import asyncpg
    from sqlalchemy import exc

    barred = (
        asyncpg.ClientConfigurationError,
        asyncpg.InvalidAuthorizationSpecificationError,
        asyncpg.InvalidCatalogNameError,
        asyncpg.InsufficientPrivilegeError,
        ssl.SSLCertVerificationError,
    )
    busy = (
        asyncpg.InsufficientResourcesError,
        asyncpg.OperatorInterventionError,
        asyncpg.LockNotAvailableError,
        exc.TimeoutError,
        TimeoutError,
        OSError,
    )
    fault = _origin(fault)
    if isinstance(fault, barred):
        return RefusedError(f"the inbox database cannot be opened: {_line(fault)}", remedy=REMEDY)
    if isinstance(fault, busy) or lost(fault) or collided(fault):
        said = f"the inbox database does not answer: {_line(fault)}"
        return TransientError(said, retry_after=RETRY_SECONDS, remedy=REMEDY)
    return None


@contextmanager
def telling() -> Iterator[None]:
    """What passes or is barred is raised as an error of ours."""
    try:
        yield
    except Exception as fault:
        if (said := told(fault)) is not None:
            raise said from fault
        raise


def _origin(fault: BaseException) -> BaseException:
    """The error of asyncpg in one that SQLAlchemy has made of it, as it does while it connects."""
    from sqlalchemy import exc

    if isinstance(fault, exc.DBAPIError) and fault.orig is not None:
        return fault.orig.__cause__ or fault.orig
    return fault


def _line(fault: BaseException) -> str:
    """The first line of an error; details below it may hold values."""
    return next(iter(str(fault).splitlines()), "") or type(fault).__name__
