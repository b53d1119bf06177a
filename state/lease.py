"""The lease: one writer at a time, over every entry. Taken over only from a holder proven dead, never from a slow one.

Proof of death: the holder's host has booted since; or its process is gone, or its number belongs to a later process; or,
where its process cannot be seen from here (another container on the same host), its lock on `lease.lock`, which the
kernel drops when the process dies, can be had.
"""

from __future__ import annotations

import fcntl
import os
import socket
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from core.errors import InUseError
from state.sqlite import ask, stamp, writing

LOCK = "lease.lock"
FRESH_SECONDS = 2.0  # how long a renewal is believed without asking the control store again


@dataclass(frozen=True, slots=True)
class Process:
    """What names a process for good: host, boot, process name space, number, and when it started (kernel ticks)."""

    host: str
    boot_id: str
    pid_space: str
    pid: int
    start: str


def _start_of(pid: int) -> str | None:
    """Start time of a living process in kernel ticks; None when there is none, or only its unreaped remains."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in {"Z", "X"} else fields[19]


def this_process() -> Process:
    """The process that asks."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    pid = os.getpid()
    return Process(socket.gethostname(), boot, str(Path("/proc/self/ns/pid").readlink()), pid, _start_of(pid) or "")


def proven_dead(holder: Process, here: Process, *, lock_free: Callable[[], bool]) -> bool:
    """True only when the holder cannot be running any more."""
    if holder.host != here.host:
        return False
    if holder.boot_id != here.boot_id:
        return True
    if holder.pid_space != here.pid_space:
        return lock_free()
    return _start_of(holder.pid) != holder.start


class Lease:
    """A lease that this process holds until `release`. Ask `still_mine` before every call that writes."""

    def __init__(
        self, con: sqlite3.Connection, turn: threading.RLock, token: str, handle: int, clock: Callable[[], datetime]
    ) -> None:
        self._con = con
        self._turn = turn
        self._token = token
        self._handle = handle
        self._clock = clock
        self._renewed = time.monotonic()

    @classmethod
    def acquire(
        cls,
        con: sqlite3.Connection,
        turn: threading.RLock,
        folder: Path,
        *,
        purpose: str,
        clock: Callable[[], datetime],
    ) -> Lease:
        """Takes the lease; `turn` guards `con`. InUseError, naming holder and purpose, when a holder is not proven dead."""
        here, token = this_process(), uuid.uuid4().hex
        handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            with turn, writing(con):
                if found := ask(con, "lease_holder"):
                    _refuse_or_take(found[0], here, handle)
                _lock_or_refuse(handle)
                at = stamp(clock())
                con.execute(
                    "INSERT OR REPLACE INTO lease VALUES ('state', ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (token, here.host, here.boot_id, here.pid_space, here.pid, here.start, purpose, at, at),
                )
        except BaseException:
            os.close(handle)
            raise
        return cls(con, turn, token, handle, clock)

    def renew(self) -> bool:
        """Says that we live. False when the lease is no longer ours."""
        with self._turn, writing(self._con):
            self._con.execute("UPDATE lease SET renewed_at = ? WHERE token = ?", (stamp(self._clock()), self._token))
            mine = bool(self._con.execute("SELECT changes()").fetchone()[0])
        if mine:
            self._renewed = time.monotonic()
        return mine

    def still_mine(self) -> bool:
        """Whether we may send. Renews when the last renewal is old, so that a process that was stopped asks first."""
        if time.monotonic() - self._renewed < FRESH_SECONDS:
            return True
        return self.renew()

    def release(self) -> None:
        """Gives the lease back; a no-op when it is no longer ours.

        The lock goes first: a lease without a holder whose lock is still held would turn the next one away.
        """
        os.close(self._handle)
        with self._turn, writing(self._con):
            self._con.execute("DELETE FROM lease WHERE token = ?", (self._token,))


def _lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lock_or_refuse(handle: int) -> None:
    if not _lock(handle):
        raise InUseError("the state is in use by a process that left no name", remedy="Try again in a moment")


def _refuse_or_take(row: tuple[object, ...], here: Process, handle: int) -> None:
    host, boot_id, pid_space, pid, start, purpose, renewed_at = row
    holder = Process(str(host), str(boot_id), str(pid_space), int(str(pid)), str(start))
    if proven_dead(holder, here, lock_free=lambda: _lock(handle)):
        return
    raise InUseError(
        f"the state is in use by process {holder.pid} on {holder.host} ({purpose}, last heard of at {renewed_at} UTC)",
        remedy="Wait for it; `onefold stop` ends it between two writes",
    )
