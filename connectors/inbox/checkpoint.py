"""Checkpoints bound the log: a copy of one tenant's projection at a number, and the proof that checkpoint and log give the live state.

Works on the SQLite file beside a running service: reads in one snapshot, writes in short transactions.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from connectors.inbox import statements as sql
from connectors.inbox.asking import Row, Turn, Writing
from connectors.inbox.clock import stamp
from connectors.inbox.contest import Author
from connectors.inbox.resources import Write, contested_again, create, delete, patch, replace
from connectors.inbox.sqlite import connect, drive_now, transaction
from connectors.inbox.wire import Limits, dumps_text, loads, read_object
from core.errors import RefusedError

PAGE = 1000
EVERY = 20_000  # events after which a new checkpoint is worth its writing
BOUNDLESS = Limits(
    body_bytes=2**40,
    nesting=10_000,
    filter_characters=2**20,
    filter_terms=2**20,
    filter_depth=100,
    operations=2**30,
    members=2**30,
    values=2**30,
    text_characters=2**30,
)  # what was accepted once is never refused in a replay, whatever the limits are today


@dataclass(frozen=True, slots=True)
class Proof:
    """What a rebuild found: from which number, over how many events, and up to twenty differences (table, key)."""

    tenant: str
    checkpoint_seq: int
    seq: int
    events: int
    users: int
    groups: int
    differences: tuple[str, ...]

    @property
    def equal(self) -> bool:
        """Whether checkpoint and log give exactly the live state."""
        return not self.differences


@contextmanager
def _snapshot(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(connect(path, read_only=True)) as con:
        con.execute("BEGIN")
        yield con


def _rows(con: sqlite3.Connection, tenant_no: int, table: str, pruned: int) -> Iterator[Row]:
    """All rows of a tenant, keys first, without tombstones that were pruned."""
    keys = len(sql.KEYS[table])
    after: Row = ("",) * keys
    while True:
        rows = con.execute(sql.DUMP[table], (tenant_no, *after, pruned, PAGE)).fetchall()
        yield from rows
        if len(rows) < PAGE:
            return
        after = rows[-1][:keys]


def _parts(con: sqlite3.Connection, tenant_no: int, pruned: int) -> Iterator[tuple[str, list[Row]]]:
    for table in sql.KEYS:
        page: list[Row] = []
        for row in _rows(con, tenant_no, table, pruned):
            page.append(row)
            if len(page) == PAGE:
                yield table, page
                page = []
        if page:
            yield table, page


def checkpoint(path: Path, tenant_no: int) -> int:
    """Copies the tenant's projection as it is now; returns its number. The last step names it, so a death before leaves the old one."""
    with _snapshot(path) as reading, closing(connect(path)) as con:
        _, seq, users, groups, before, pruned = reading.execute(sql.TENANT_ROW, (tenant_no,)).fetchone()
        if seq <= before:
            return int(before)
        at = stamp()
        with transaction(con):
            con.execute("DELETE FROM inbox_checkpoint WHERE tenant_no = ? AND seq = ?", (tenant_no, seq))
            head = dumps_text({"users": users, "groups": groups})
            con.execute(sql.CHECKPOINT_ADD, (tenant_no, seq, 0, at, head))
        for part, (table, rows) in enumerate(_parts(reading, tenant_no, pruned), start=1):
            with transaction(con):
                data = dumps_text({"table": table, "rows": rows})
                con.execute(sql.CHECKPOINT_ADD, (tenant_no, seq, part, at, data))
        with transaction(con):
            con.execute(sql.CHECKPOINT_SET, (seq, tenant_no, seq))
            con.execute(sql.CHECKPOINT_DROP, (tenant_no, seq))
    return int(seq)


def prune(path: Path, tenant_no: int, before: datetime) -> int:
    """Forgets events and tombstones older than a time, never past the checkpoint; returns the number up to which all is forgotten."""
    with closing(connect(path)) as con, transaction(con):
        _, seq, _, _, checkpoint_seq, pruned = con.execute(sql.TENANT_ROW, (tenant_no,)).fetchone()
        (since,) = con.execute(sql.EVENT_SINCE, (tenant_no, stamp(before))).fetchone()
        bound = min(seq if since is None else since - 1, checkpoint_seq)
        if bound <= pruned:
            return int(pruned)
        con.execute(sql.EVENTS_DROP, (tenant_no, bound))
        for statement in sql.TOMBS_DROP.values():
            con.execute(statement, (tenant_no, bound))
        con.execute(sql.MEMBERS_PRUNE, (tenant_no, bound))
        con.execute(sql.PRUNED_SET, (bound, tenant_no, bound))
    return int(bound)


def due(path: Path) -> list[int]:
    """Numbers of the tenants whose log has grown enough since their checkpoint."""
    with closing(connect(path, read_only=True)) as con:
        rows = con.execute(sql.TENANTS).fetchall()
    return [row[0] for row in rows if row[2] - row[9] >= EVERY]


def rebuild(path: Path, tenant: str) -> Proof:
    """Replays the log over the checkpoint into a scratch database and compares it with the live rows. RefusedError when the log has a gap."""
    with _snapshot(path) as live, closing(_scratch()) as made:
        tenant_no = _number(live, tenant)
        _, seq, users, groups, start, pruned = live.execute(sql.TENANT_ROW, (tenant_no,)).fetchone()
        turn = _load(live, made, tenant_no, start)
        events = _replay(live, made, turn, tenant, seq)
        found = [f"counts {(turn.users, turn.groups)} instead of {(users, groups)}"]
        differences = found if (turn.users, turn.groups) != (users, groups) else []
        for table in sql.KEYS:
            differences += _differences(
                table, _rows(live, tenant_no, table, pruned), _rows(made, tenant_no, table, pruned)
            )
        return Proof(tenant, start, seq, events, users, groups, tuple(differences[:20]))


def _scratch() -> sqlite3.Connection:
    """A database in a temporary file that vanishes with its connection."""
    con = sqlite3.connect("", isolation_level=None, cached_statements=256)
    con.execute("PRAGMA synchronous = OFF")
    con.execute("BEGIN")
    for statement in sql.TABLES:
        con.execute(statement)
    return con


def _number(con: sqlite3.Connection, tenant: str) -> int:
    row = con.execute("SELECT tenant_no FROM inbox_tenant WHERE name = ?", (tenant,)).fetchone()
    if row is None:
        raise RefusedError("nothing was ever pushed to this inbox", tenant=tenant, remedy="Check the name")
    return int(row[0])


def _load(live: sqlite3.Connection, made: sqlite3.Connection, tenant_no: int, start: int) -> Turn:
    if not start:
        return Turn(tenant_no, stamp(), 0, 0, 0)
    head, part = loads(_part(live, tenant_no, start, 0) or "{}"), 1
    while (text := _part(live, tenant_no, start, part)) is not None:
        data = loads(text)
        made.executemany(sql.LOAD[data["table"]], [(tenant_no, *row) for row in data["rows"]])
        part += 1
    for row in made.execute("SELECT id, doc FROM inbox_user WHERE deleted_at IS NULL").fetchall():
        addresses = [each["value"].casefold() for each in loads(row[1]).get("emails", ()) if "value" in each]
        made.executemany(sql.ADDRESS_ADD, [(tenant_no, each, row[0]) for each in addresses])
    return Turn(tenant_no, stamp(), start, head["users"], head["groups"])


def _part(live: sqlite3.Connection, tenant_no: int, start: int, part: int) -> str | None:
    row = live.execute(sql.CHECKPOINT_PART, (tenant_no, start, part)).fetchone()
    return None if row is None else str(row[0])


def _replay(live: sqlite3.Connection, made: sqlite3.Connection, turn: Turn, tenant: str, until: int) -> int:
    events = 0
    while turn.seq < until:
        rows = live.execute(sql.EVENTS, (turn.tenant_no, turn.seq, PAGE)).fetchall()
        for seq, at, writer, provider, verb, kind, resource_id, body in rows:
            if seq != turn.seq + 1:
                break
            turn.at = at
            parsed = read_object(body.encode(), BOUNDLESS)
            write = Write(kind, resource_id, parsed, body, Author(writer, provider), BOUNDLESS)
            drive_now(made, _writing_of(verb, write)(turn))
            events += 1
        if not rows or turn.seq != rows[-1][0]:
            raise RefusedError(
                f"the log has no event {turn.seq + 1}", tenant=tenant, remedy="Restore the store from a backup"
            )
    return events


def _writing_of(verb: str, write: Write) -> Writing[Any]:
    match verb:
        case "create":
            return create(write)
        case "replace":
            return replace(write)
        case "patch":
            return patch(write)
        case "delete":
            return delete(write)
        case "contest":
            return contested_again(write)
        case _:
            raise RefusedError(f"the log holds a verb {verb!r} that this program does not know")


def _differences(table: str, live: Iterator[Row], made: Iterator[Row]) -> list[str]:
    """Keys of rows that differ, both sides walked in the order of their keys."""
    found: list[str] = []
    keys = len(sql.KEYS[table])
    left, right = next(live, None), next(made, None)
    while (left or right) and len(found) < 20:
        if left == right:
            left, right = next(live, None), next(made, None)
            continue
        here, there = left[:keys] if left else None, right[:keys] if right else None
        first = min(each for each in (here, there) if each is not None)
        found.append(f"{table} {'/'.join(map(str, first))}")
        if here == first:
            left = next(live, None)
        if there == first:
            right = next(made, None)
    return found
