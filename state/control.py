"""`control.sqlite`: what anybody may say to an installation, or ask of it, while a run goes on. Needs no lease.

Holds the lease, decisions, overrides, approvals, requests (sync, stop), frozen tenants and targets, and mirrors of what the
writer knows (tenants and cursors, runs, small tables by name). A run imports decisions, overrides and approvals at its start.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

import polars as pl

from core.errors import InUseError
from core.frames import APPROVAL
from core.model import JSON
from state.lease import Lease
from state.sqlite import ask, connect, connect_reading, stamp, unstamp, writing

if TYPE_CHECKING:
    from state.store import Store

NAME = "control.sqlite"
BETWEEN_SECONDS = 0.1  # between two tries for the lease of somebody who waits
PATIENCE: ContextVar[float] = ContextVar("patience", default=0.0)  # seconds for which this context waits for the lease
Kind = Literal["sync", "stop"]


@dataclass(frozen=True, slots=True)
class Decision:
    """A human's word on two accounts: `same` pins, `different` vetoes, `open` takes back what was said before."""

    tenant_a: str
    native_id_a: str
    tenant_b: str
    native_id_b: str
    decision: Literal["same", "different", "open"]
    decided_by: str
    why: str = ""
    verified: bool = False  # it is proven who decided
    decided_at: datetime | None = None  # None: when it is recorded


@dataclass(frozen=True, slots=True)
class Word:
    """A decision as recorded. `decision_id` sorts by time and order, so that the later of two words stands."""

    decision_id: str
    tenant_a: str
    native_id_a: str
    tenant_b: str
    native_id_b: str
    decision: str
    decided_by: str
    decided_at: datetime
    verified: bool
    why: str


@dataclass(frozen=True, slots=True)
class Override:
    """An exception from the rules of status: `inactive` takes access away, `keep` keeps it, `clear` takes back what was said.

    `until` is when it ends by itself (None: only when cleared).
    """

    person_id: str
    says: Literal["inactive", "keep", "clear"]
    until: datetime | None
    reason: str
    said_by: str
    said_at: datetime


@dataclass(frozen=True, slots=True)
class Request:
    """Something asked of the next run (`sync`) or of the running one (`stop`); `subject` is a tenant, or empty for all."""

    request_no: int
    kind: str
    subject: str
    asked_by: str
    asked_at: datetime


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds the lease, what for, and when it last said so."""

    host: str
    pid: int
    purpose: str
    renewed_at: datetime


@contextmanager
def patient(seconds: float) -> Iterator[None]:
    """Inside, whoever wants the lease while another run holds it waits so long before it is refused."""
    before = PATIENCE.set(seconds)
    try:
        yield
    finally:
        PATIENCE.reset(before)


class Control:
    """One open control store. Methods may be called from several threads."""

    def __init__(self, con: sqlite3.Connection, folder: Path) -> None:
        self._con = con
        self._folder = folder
        self._turn = threading.RLock()

    @classmethod
    def open(cls, folder: Path) -> Control:
        """Opens or creates `control.sqlite` in the state folder."""
        return cls(connect(folder / NAME, "control_"), folder)

    def close(self) -> None:
        """Lets go of the file."""
        self._con.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @staticmethod
    def known_tenants(folder: Path) -> dict[str, int]:
        """Names and keys of tenants that were ever consolidated; empty without a state. Creates nothing."""
        return {str(name): int(str(key)) for name, key, _ in _peek(folder, "control_tenants")}

    @staticmethod
    def cursor(folder: Path, tenant: str) -> str | None:
        """Where the tenant's next delta read may start, as last committed; None: read it in full. Creates nothing."""
        found = {str(name): cursor for name, _, cursor in _peek(folder, "control_tenants")}
        return None if found.get(tenant) is None else str(found[tenant])

    def acquire(self, purpose: str, clock: Callable[[], datetime]) -> Lease:
        """Takes the lease on the state. InUseError when somebody who may be alive holds it, after the patience of `patient`."""
        until = time.monotonic() + PATIENCE.get()
        while True:
            try:
                with self._turn:
                    return Lease.acquire(self._con, self._turn, self._folder, purpose=purpose, clock=clock)
            except InUseError:
                if time.monotonic() >= until:
                    raise
                time.sleep(BETWEEN_SECONDS)

    def holder(self) -> Holder | None:
        """Who holds the lease."""
        rows = self._ask("lease_holder")
        return Holder(str(rows[0][0]), int(str(rows[0][3])), str(rows[0][5]), unstamp(rows[0][6])) if rows else None

    def decide(self, decisions: Iterable[Decision], now: datetime) -> None:
        """Records decisions on pairs of accounts; the newest word on a pair stands."""
        rows = [
            (
                uuid.uuid4().hex,
                each.tenant_a,
                each.native_id_a,
                each.tenant_b,
                each.native_id_b,
                each.decision,
                each.decided_by,
                stamp(each.decided_at or now),
                each.verified,
                each.why,
            )
            for each in decisions
        ]
        self._many(
            "INSERT INTO decision (decision_id, tenant_a, native_id_a, tenant_b, native_id_b, decision, decided_by, decided_at, "
            "verified, why) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            rows,
        )

    def words(self) -> list[Word]:
        """Every decision ever made, in order, whether a run has imported it or not."""
        return [
            Word(
                decision_id=str(key),
                tenant_a=str(tenant_a),
                native_id_a=str(native_a),
                tenant_b=str(tenant_b),
                native_id_b=str(native_b),
                decision=str(word),
                decided_by=str(who),
                decided_at=unstamp(at),
                verified=bool(verified),
                why=str(why),
            )
            for key, tenant_a, native_a, tenant_b, native_b, word, who, at, verified, why in self._ask(
                "control_decisions"
            )
        ]

    def rename_tenant(self, old: str, name: str) -> None:
        """Decisions speak of the tenant by its name of now, so that a state that was lost finds its accounts again."""
        self._many("UPDATE decision SET tenant_a = ? WHERE tenant_a = ?", [(name, old)])
        self._many("UPDATE decision SET tenant_b = ? WHERE tenant_b = ?", [(name, old)])

    def override(self, overrides: Iterable[Override]) -> None:
        """Records exceptions; the last word on a person stands."""
        rows = [
            (
                uuid.uuid4().hex,
                each.person_id,
                each.says,
                None if each.until is None else stamp(each.until),
                each.reason,
                each.said_by,
                stamp(each.said_at),
            )
            for each in overrides
        ]
        self._many(
            "INSERT INTO override (override_id, person_id, says, until, reason, said_by, said_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
            rows,
        )

    def overrides(self) -> list[Override]:
        """Everything that was ever said, oldest first, whether a run has imported it or not."""
        return [
            Override(
                str(person_id),
                "inactive" if says == "inactive" else "keep" if says == "keep" else "clear",
                None if until is None else unstamp(until),
                str(reason),
                str(said_by),
                unstamp(said_at),
            )
            for _, person_id, says, until, reason, said_by, said_at in self._ask("control_overrides")
        ]

    def approve(
        self,
        fingerprints: Iterable[str],
        *,
        digest: str,
        approved_by: str,
        now: datetime,
        until: datetime | None,
        hold_id: str | None = None,
        verified: bool = False,
    ) -> int:
        """Releases changes by fingerprint until `until` (None: no end). Returns how many. `verified`: who it was is proven."""
        at = stamp(now)
        end = None if until is None else stamp(until)
        rows = [
            (uuid.uuid4().hex, fingerprint, digest, hold_id, approved_by, verified, at, end)
            for fingerprint in sorted(set(fingerprints))
        ]
        self._many(
            "INSERT INTO approval (approval_id, fingerprint, digest, hold_id, approved_by, verified, approved_at, until) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            rows,
        )
        return len(rows)

    def approvals(self, now: datetime) -> pl.DataFrame:
        """Approvals that hold at `now`, as core.frames.APPROVAL, whether a run has imported them or not."""
        rows = [
            (fingerprint, who, unstamp(at), None if until is None else unstamp(until))
            for fingerprint, who, at, until in self._ask("control_approvals", (stamp(now),))
        ]
        return pl.DataFrame(rows, schema=APPROVAL, orient="row")

    def request(self, kind: Kind, *, subject: str = "", asked_by: str, now: datetime) -> None:
        """Asks for a sync, or for the running run to stop. The same request that waits already is not doubled."""
        with self._turn, writing(self._con):
            self._con.execute(
                "INSERT INTO request (kind, subject, asked_by, asked_at) SELECT ?1, ?2, ?3, ?4 WHERE NOT EXISTS "
                "(SELECT 1 FROM request WHERE kind = ?1 AND subject = ?2 AND taken_at IS NULL)",
                (kind, subject, asked_by, stamp(now)),
            )

    def waiting(self, kind: Kind) -> list[Request]:
        """Requests of that kind that nobody took yet, oldest first."""
        return [
            Request(int(str(number)), str(what), str(subject), str(who), unstamp(at))
            for number, what, subject, who, at in self._ask("control_requests", (kind,))
        ]

    def take(self, requests: Iterable[Request], now: datetime) -> None:
        """Marks requests as taken: what was asked later stays."""
        self._many(
            "UPDATE request SET taken_at = ? WHERE request_no = ?", [(stamp(now), each.request_no) for each in requests]
        )

    def freeze(self, subject: str, *, asked_by: str, now: datetime) -> None:
        """Nothing from that tenant, or to that target, until `thaw`."""
        self._many("INSERT OR IGNORE INTO frozen VALUES (?, ?, ?)", [(subject, asked_by, stamp(now))])

    def thaw(self, subject: str) -> None:
        """Ends a freeze."""
        self._many("DELETE FROM frozen WHERE subject = ?", [(subject,)])

    def frozen(self) -> frozenset[str]:
        """Names of frozen tenants and targets."""
        return frozenset(str(row[0]) for row in self._ask("control_frozen"))

    def import_into(self, store: Store) -> int:
        """Copies decisions, overrides and approvals that the state does not hold yet; returns how many."""
        decisions, approvals = self._ask("control_decisions"), self._ask("control_approvals_all")
        taken = store.take_decisions(decisions) + store.take_approvals(approvals)
        return taken + store.take_overrides(self._ask("control_overrides"))

    def mirror_tenants(self, tenants: Mapping[str, tuple[int, str | None]]) -> None:
        """Shows names, keys and cursors as committed in the state."""
        with self._turn, writing(self._con):
            self._con.execute("DELETE FROM tenant")
            self._con.executemany(
                "INSERT INTO tenant VALUES (?, ?, ?)", [(name, key, cursor) for name, (key, cursor) in tenants.items()]
            )

    def mirror_run(self, run_id: str, **columns: str | int | datetime | None) -> None:
        """Shows a run: kind, started_at, finished_at, outcome, exit_code, digest; those given are set."""
        given = {name: stamp(value) if isinstance(value, datetime) else value for name, value in columns.items()}
        with self._turn, writing(self._con):
            self._con.execute(
                "INSERT OR IGNORE INTO run (run_id, kind, started_at) VALUES (?, ?, ?)",
                (run_id, given.get("kind") or "", given.get("started_at") or ""),
            )
            for name, value in given.items():
                self._con.execute(_SET_RUN[name], (value, run_id))

    def runs(self, newest: int = 20) -> list[dict[str, object]]:
        """The newest runs, also one that runs right now (finished_at null)."""
        names = ("run_id", "kind", "started_at", "finished_at", "outcome", "exit_code", "digest")
        return [dict(zip(names, row, strict=True)) for row in self._ask("control_runs", (newest,))]

    def mirror(self, name: str, rows: Sequence[Mapping[str, JSON]], now: datetime) -> None:
        """Shows a small table, such as holds or quarantine, under a name."""
        self._many(
            "INSERT OR REPLACE INTO mirror VALUES (?, ?, ?)",
            [(name, json.dumps([dict(row) for row in rows]), stamp(now))],
        )

    def mirrored(self, name: str) -> list[dict[str, JSON]]:
        """A small table as last shown; empty when it never was."""
        found = self._ask("control_mirror", (name,))
        return json.loads(str(found[0][0])) if found else []

    def _ask(self, name: str, params: Sequence[object] = ()) -> list[tuple[object, ...]]:
        with self._turn:
            return ask(self._con, name, params)

    def _many(self, text: str, rows: Sequence[Sequence[object]]) -> None:
        with self._turn, writing(self._con):
            self._con.executemany(text, rows)


_SET_RUN = {
    "kind": "UPDATE run SET kind = ? WHERE run_id = ?",
    "started_at": "UPDATE run SET started_at = ? WHERE run_id = ?",
    "finished_at": "UPDATE run SET finished_at = ? WHERE run_id = ?",
    "outcome": "UPDATE run SET outcome = ? WHERE run_id = ?",
    "exit_code": "UPDATE run SET exit_code = ? WHERE run_id = ?",
    "digest": "UPDATE run SET digest = ? WHERE run_id = ?",
}


def _peek(folder: Path, name: str) -> list[tuple[object, ...]]:
    con = connect_reading(folder / NAME)
    if con is None:
        return []
    try:
        return ask(con, name)
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            return []  # created this instant by another process, not shaped yet
        raise
    finally:
        con.close()
