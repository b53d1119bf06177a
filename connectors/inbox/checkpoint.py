"""Checkpoints bound the log: a copy of one tenant's projection at a number, and the proof that checkpoint and log give the live state.

Works beside a running service: reads in one snapshot, writes in short transactions.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from connectors.inbox import statements as sql
from connectors.inbox.asking import Beside, Operation, Row, Turn, Writing, each, every, one
from connectors.inbox.clock import stamp
from connectors.inbox.contest import Author
from connectors.inbox.resources import Write, contested_again, create, delete, patch, replace
from connectors.inbox.sqlite_beside import SqliteBeside
from connectors.inbox.stores import Where, beside
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
    key_bytes=2**30,
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


def _rows(store: Beside, tenant_no: int, table: str, pruned: int) -> Iterator[Row]:
    """All rows of a tenant, keys first, without tombstones that were pruned."""
    keys = len(sql.KEYS[table])
    after: Row = ("",) * keys
    while True:
        rows = store.do(every(sql.DUMP[table], tenant_no, *after, pruned, PAGE))
        yield from rows
        if len(rows) < PAGE:
            return
        after = rows[-1][:keys]


def _parts(store: Beside, tenant_no: int, pruned: int) -> Iterator[tuple[str, list[Row]]]:
    for table in sql.KEYS:
        page: list[Row] = []
        for row in _rows(store, tenant_no, table, pruned):
            page.append(row)
            if len(page) == PAGE:
                yield table, page
                page = []
        if page:
            yield table, page


def checkpoint(place: Where, tenant_no: int) -> int:
    """Copies the tenant's projection as it is now; returns its number. The last step names it, so a death before leaves the old one.

    While another process makes one, nothing is done, and the number is that of the newest.
    """
    with beside(place) as store:
        if not store.claim(tenant_no):
            return int(_tenant(store, tenant_no)[4])
        with beside(
            place, frozen=True
        ) as reading:  # opened after the claim, so that it sees what another process has made
            _, seq, users, groups, before, pruned = _tenant(reading, tenant_no)
            if seq <= before:
                return int(before)
            with store.writing(tenant_no):
                store.do(_begun(tenant_no, seq, dumps_text({"users": users, "groups": groups})))
            for part, (table, rows) in enumerate(_parts(reading, tenant_no, pruned), start=1):
                data = dumps_text({"table": table, "rows": rows})
                with store.writing(tenant_no):
                    store.do(every(sql.CHECKPOINT_ADD, tenant_no, seq, part, stamp(), data))
            with store.writing(tenant_no):
                store.do(_named(tenant_no, seq))
    return int(seq)


def _begun(tenant_no: int, seq: int, head: str) -> Operation[None]:
    yield sql.CHECKPOINT_CLEAR, (tenant_no, seq)
    yield sql.CHECKPOINT_ADD, (tenant_no, seq, 0, stamp(), head)


def _named(tenant_no: int, seq: int) -> Operation[None]:
    yield sql.CHECKPOINT_SET, (seq, tenant_no, seq)
    yield sql.CHECKPOINT_DROP, (tenant_no, seq)


def prune(place: Where, tenant_no: int, before: datetime) -> int:
    """Forgets events and tombstones older than a time, never past the checkpoint; returns the number up to which all is forgotten."""
    with beside(place) as store, store.writing(tenant_no):
        return store.do(_pruned(tenant_no, stamp(before)))


def _pruned(tenant_no: int, before: str) -> Operation[int]:
    ((_, seq, _, _, checkpoint_seq, pruned),) = yield sql.TENANT_ROW, (tenant_no,)
    ((since,),) = yield sql.EVENT_SINCE, (tenant_no, before)
    bound = min(seq if since is None else since - 1, checkpoint_seq)
    if bound <= pruned:
        return int(pruned)
    yield sql.EVENTS_DROP, (tenant_no, bound)
    for statement in sql.TOMBS_DROP.values():
        yield statement, (tenant_no, bound)
    yield sql.MEMBERS_PRUNE, (tenant_no, bound)
    yield sql.PRUNED_SET, (bound, tenant_no, bound)
    return int(bound)


def due(place: Where) -> list[int]:
    """Numbers of the tenants whose log has grown enough since their checkpoint."""
    with beside(place) as store:
        return [row[0] for row in store.do(every(sql.TENANTS)) if row[2] - row[9] >= EVERY]


def rebuild(place: Where, tenant: str) -> Proof:
    """Replays the log over the checkpoint into a scratch database and compares it with the live rows. RefusedError when the log has a gap."""
    with beside(place, frozen=True) as live, closing(SqliteBeside.scratch()) as made:
        tenant_no = _number(live, tenant)
        _, seq, users, groups, start, pruned = _tenant(live, tenant_no)
        turn = _load(live, made, tenant_no, start)
        events = _replay(live, made, turn, tenant, seq)
        found = [f"counts {(turn.users, turn.groups)} instead of {(users, groups)}"]
        differences = found if (turn.users, turn.groups) != (users, groups) else []
        for table in sql.KEYS:
            differences += _differences(
                table, _rows(live, tenant_no, table, pruned), _rows(made, tenant_no, table, pruned)
            )
        return Proof(tenant, start, seq, events, users, groups, tuple(differences[:20]))


def _tenant(store: Beside, tenant_no: int) -> Row:
    (row,) = store.do(every(sql.TENANT_ROW, tenant_no))
    return row


def _number(store: Beside, tenant: str) -> int:
    row = store.do(one(sql.TENANT_NO, tenant))
    if row is None:
        raise RefusedError("nothing was ever pushed to this inbox", tenant=tenant, remedy="Check the name")
    return int(row[0])


def _load(live: Beside, made: Beside, tenant_no: int, start: int) -> Turn:
    if not start:
        return Turn(tenant_no, stamp(), 0, 0, 0)
    head, part = loads(_part(live, tenant_no, start, 0) or "{}"), 1
    while (text := _part(live, tenant_no, start, part)) is not None:
        data = loads(text)
        made.do(each(sql.LOAD[data["table"]], [(tenant_no, *row) for row in data["rows"]]))
        part += 1
    for user_id, doc in made.do(every(sql.USER_DOCS)):
        addresses = [entry["value"].casefold() for entry in loads(doc).get("emails", ()) if "value" in entry]
        made.do(each(sql.ADDRESS_ADD, [(tenant_no, address, user_id) for address in addresses]))
    return Turn(tenant_no, stamp(), start, head["users"], head["groups"])


def _part(live: Beside, tenant_no: int, start: int, part: int) -> str | None:
    row = live.do(one(sql.CHECKPOINT_PART, tenant_no, start, part))
    return None if row is None else str(row[0])


def _replay(live: Beside, made: Beside, turn: Turn, tenant: str, until: int) -> int:
    events = 0
    while turn.seq < until:
        rows = live.do(every(sql.EVENTS, turn.tenant_no, turn.seq, PAGE))
        for seq, at, writer, provider, verb, kind, resource_id, body in rows:
            if seq != turn.seq + 1:
                break
            turn.at = at
            parsed = read_object(body.encode(), BOUNDLESS)
            write = Write(kind, resource_id, parsed, body, Author(writer, provider), BOUNDLESS)
            made.do(_writing_of(verb, write)(turn))
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
        first = min(key for key in (here, there) if key is not None)
        found.append(f"{table} {'/'.join(map(str, first))}")
        if here == first:
            left = next(live, None)
        if there == first:
            right = next(made, None)
    return found
