"""The ledger: an intent on disk before each call, a receipt after it. Append-only, in `ledger.sqlite`; open to any reader.

The lease holder writes; whoever survives it finds intents without receipts in `open_intents` and looks at the target.
Why it does not live in DuckDB: docs/decisions/0003-where-the-ledger-lives.md.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import polars as pl

from core.frames import TIME, WINDOW
from core.model import REDUCES_ACCESS, Evidence, Receipt, Verb
from state.sqlite import ask, connect, stamp, unstamp, writing

NAME = "ledger.sqlite"
STATE: dict[str, pl.DataType] = {
    "intent_id": pl.Int64(),
    "run_id": pl.String(),
    "plan": pl.String(),
    "seq": pl.Int32(),
    "target": pl.String(),
    "verb": pl.String(),
    "object_id": pl.String(),
    "fingerprint": pl.String(),
    "user_name": pl.String(),
    "group_name": pl.String(),
    "person_id": pl.String(),
    "unit": pl.Int32(),
    "state": pl.String(),  # intended, applied, already, failed, unknown, compensated
    "detail": pl.String(),
    "compensates": pl.Int64(),
    "at": TIME,
    "received_at": TIME,
}


@dataclass(frozen=True, slots=True)
class Intent:
    """One call that is about to be made. `remote_id` is the user's once it is known; `compensates` the intent that it undoes."""

    seq: int
    target: str
    verb: Verb
    object_id: str
    fingerprint: str
    user_name: str | None = None
    group_name: str | None = None
    person_key: int | None = None
    person_id: str | None = None
    user_key: int | None = None
    remote_id: str | None = None
    evidence: Evidence = Evidence.GRANT
    evidence_tenant: int | None = None
    unit: int = 0
    reason: str = ""
    before: Mapping[str, str | None] = field(default_factory=dict)
    after: Mapping[str, str | None] = field(default_factory=dict)
    compensates: int | None = None


@dataclass(frozen=True, slots=True)
class OpenIntent:
    """An intent of which nobody knows whether its call took effect."""

    intent_id: int
    run_id: str
    plan: str
    at: datetime
    intent: Intent


@dataclass(frozen=True, slots=True)
class Quarantined:
    """An object whose changes wait: how often it failed, with what, and when it is tried next."""

    target: str
    object_id: str
    fingerprint: str
    verb: str
    label: str
    attempts: int
    next_try_at: datetime
    error: str
    first_at: datetime
    last_at: datetime


class Ledger:
    """One open ledger. Methods may be called from several threads."""

    def __init__(self, con: sqlite3.Connection) -> None:
        self._con = con
        self._turn = threading.RLock()

    @classmethod
    def open(cls, folder: Path) -> Ledger:
        """Opens or creates `ledger.sqlite` in the state folder."""
        return cls(connect(folder / NAME, "ledger_"))

    def close(self) -> None:
        """Lets go of the file."""
        self._con.close()

    def intend(self, run_id: str, plan: str, intents: Sequence[Intent], now: datetime) -> list[int]:
        """Writes intents as one group; they are on disk when it returns. Their ids, in the order given. `plan`: its digest."""
        with self._turn, writing(self._con):
            last = ask(self._con, "ledger_last_intent")[0][0]
            first = int(str(last or 0)) + 1
            ids = list(range(first, first + len(intents)))
            at = stamp(now)
            rows = [_row(number, run_id, plan, each, at) for number, each in zip(ids, intents, strict=True)]
            self._con.executemany(_INTEND, rows)
            self._con.executemany(_VALUE, _values(ids, intents))
        return ids

    def receive(self, run_id: str, receipts: Iterable[tuple[int, Receipt]], now: datetime) -> None:
        """Writes receipts as one group; they are on disk when it returns. After a definite one no other is taken."""
        at = stamp(now)
        rows = [
            (intent_id, run_id, each.outcome.value, each.remote_id, each.detail, each.requests, at)
            for intent_id, each in receipts
        ]
        with self._turn, writing(self._con):
            self._con.executemany(_RECEIVE, rows)

    def open_intents(self, target: str | None = None) -> list[OpenIntent]:
        """Intents without a definite receipt (none, or `unknown`), oldest first; of one target when it is named."""
        with self._turn:
            rows = ask(self._con, "ledger_open_intents", (target, target))
            values: dict[int, tuple[dict[str, str | None], dict[str, str | None]]] = {}
            for number, attribute, before, after in ask(self._con, "ledger_open_values"):
                old, wanted = values.setdefault(int(str(number)), ({}, {}))
                old[str(attribute)], wanted[str(attribute)] = before, after  # type: ignore[assignment]  # TEXT columns
        return [_open(row, *values.get(int(str(row[0])), ({}, {}))) for row in rows]

    def states(self, run_id: str) -> pl.DataFrame:
        """Each intent of a run and what became of it, in order, as STATE."""
        with self._turn:
            return _frame(ask(self._con, "ledger_states", (run_id,)), STATE)

    def done(self, plan: str) -> frozenset[str]:
        """Fingerprints of the plan's changes that took effect, in whatever run, and were not undone. `plan`: its digest."""
        with self._turn:
            return frozenset(str(row[0]) for row in ask(self._con, "ledger_done", (plan,)))

    def removals_since(self, since: datetime) -> pl.DataFrame:
        """How many removals took effect since then, as core.frames.WINDOW; undone ones do not count."""
        verbs = sorted(verb.value for verb in REDUCES_ACCESS)
        with self._turn:
            rows = ask(self._con, "ledger_removals_since", (stamp(since), *verbs))
        return _frame(rows, WINDOW)

    def answered_after(self, receipt_no: int) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Answered intents with a receipt number above this one, in order of receipts, and their values (ANSWER, VALUE)."""
        with self._turn:
            rows = ask(self._con, "ledger_answered_after", (receipt_no,))
            values = ask(self._con, "ledger_answered_values_after", (receipt_no,)) if rows else []
        return _frame(rows, ANSWER), _frame(values, VALUE)

    def newest_receipt(self) -> int:
        """The number of the newest receipt; 0 when there is none."""
        with self._turn:
            return int(str(ask(self._con, "ledger_newest_receipt")[0][0]))

    def put_in_quarantine(self, rows: Sequence[Quarantined]) -> None:
        """Keeps objects back until `next_try_at`; what is in it already is overwritten, its first time kept."""
        with self._turn, writing(self._con):
            self._con.executemany(
                _QUARANTINE,
                [
                    (
                        each.target,
                        each.object_id,
                        each.fingerprint,
                        each.verb,
                        each.label,
                        each.attempts,
                        stamp(each.next_try_at),
                        each.error,
                        stamp(each.first_at),
                        stamp(each.last_at),
                    )
                    for each in rows
                ],
            )

    def quarantine(self) -> list[Quarantined]:
        """All objects in quarantine, by target and object."""
        with self._turn:
            rows = ask(self._con, "quarantine_list")
        return [
            Quarantined(
                target=str(row[0]),
                object_id=str(row[1]),
                fingerprint=str(row[2]),
                verb=str(row[3]),
                label=str(row[4]),
                attempts=int(str(row[5])),
                next_try_at=unstamp(row[6]),
                error=str(row[7]),
                first_at=unstamp(row[8]),
                last_at=unstamp(row[9]),
            )
            for row in rows
        ]

    def release(self, objects: Iterable[tuple[str, str]]) -> None:
        """Takes (target, object_id) pairs out of quarantine."""
        with self._turn, writing(self._con):
            self._con.executemany("DELETE FROM quarantine WHERE target = ? AND object_id = ?", list(objects))


INTENT_COLUMNS = (
    "intent_id", "run_id", "plan", "seq", "target", "verb", "object_id", "fingerprint", "user_name", "group_name", "person_key",
    "person_id", "user_key", "remote_id", "evidence", "evidence_tenant", "unit", "reason", "compensates", "at",
)  # fmt: skip
_INTEND = f"INSERT INTO intent ({', '.join(INTENT_COLUMNS)}) VALUES ({', '.join('?' * len(INTENT_COLUMNS))})"  # noqa: S608 - our own column names
_VALUE = "INSERT INTO intent_value VALUES (?, ?, ?, ?)"
_RECEIVE = (
    "INSERT INTO receipt (intent_id, run_id, outcome, remote_id, detail, requests, at) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 "
    "WHERE NOT EXISTS (SELECT 1 FROM receipt WHERE intent_id = ?1 AND outcome <> 'unknown')"
)
_QUARANTINE = (
    "INSERT INTO quarantine VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET fingerprint = excluded.fingerprint, "
    "verb = excluded.verb, label = excluded.label, attempts = excluded.attempts, next_try_at = excluded.next_try_at, "
    "error = excluded.error, last_at = excluded.last_at"
)
ANSWER: dict[str, pl.DataType] = {
    "receipt_no": pl.Int64(),
    "intent_id": pl.Int64(),
    "run_id": pl.String(),
    "plan": pl.String(),
    "seq": pl.Int32(),
    "target": pl.String(),
    "verb": pl.String(),
    "object_id": pl.String(),
    "fingerprint": pl.String(),
    "user_name": pl.String(),
    "group_name": pl.String(),
    "person_key": pl.Int32(),
    "person_id": pl.String(),
    "user_key": pl.Int32(),
    "remote_id": pl.String(),  # the receipt's, else the intent's
    "evidence": pl.String(),
    "evidence_tenant": pl.Int16(),
    "unit": pl.Int32(),
    "reason": pl.String(),
    "compensates": pl.Int64(),
    "intended_at": TIME,
    "outcome": pl.String(),
    "detail": pl.String(),
    "requests": pl.Int32(),
    "received_at": TIME,
}
VALUE: dict[str, pl.DataType] = {
    "intent_id": pl.Int64(),
    "attribute": pl.String(),
    "before": pl.String(),
    "after": pl.String(),
}


def _row(number: int, run_id: str, plan: str, intent: Intent, at: str) -> tuple[object, ...]:
    return (
        number,
        run_id,
        plan,
        intent.seq,
        intent.target,
        intent.verb.value,
        intent.object_id,
        intent.fingerprint,
        intent.user_name,
        intent.group_name,
        intent.person_key,
        intent.person_id,
        intent.user_key,
        intent.remote_id,
        intent.evidence.value,
        intent.evidence_tenant,
        intent.unit,
        intent.reason,
        intent.compensates,
        at,
    )


def _values(ids: Sequence[int], intents: Sequence[Intent]) -> list[tuple[int, str, str | None, str | None]]:
    return [
        (number, name, each.before.get(name), each.after.get(name))
        for number, each in zip(ids, intents, strict=True)
        for name in sorted({*each.before, *each.after})
    ]


def _open(row: tuple[object, ...], before: dict[str, str | None], after: dict[str, str | None]) -> OpenIntent:
    named = dict(zip(INTENT_COLUMNS, row, strict=True))
    run_id, plan, at = str(named.pop("run_id")), str(named.pop("plan")), unstamp(named.pop("at"))
    number = int(str(named.pop("intent_id")))
    named |= {"verb": Verb(str(named["verb"])), "evidence": Evidence(str(named["evidence"]))}
    return OpenIntent(number, run_id, plan, at, Intent(**named, before=before, after=after))  # type: ignore[arg-type]  # columns are named like fields


def _frame(rows: list[tuple[object, ...]], schema: dict[str, pl.DataType]) -> pl.DataFrame:
    """Rows of SQLite, whose times are text, as a frame of that schema."""
    text = {name: pl.String() if kind == TIME else kind for name, kind in schema.items()}
    frame = pl.DataFrame(rows, schema=text, orient="row")
    times = [
        pl.col(name).str.to_datetime("%Y-%m-%d %H:%M:%S%.6f", time_unit="us")
        for name, kind in schema.items()
        if kind == TIME
    ]
    return frame.with_columns(times)
