"""What a write does to the log and to its projection: create, replace, patch, delete. The same functions replay the log.

Each accepted write takes one number and appends one event. A write that changes nothing appends its event and leaves the
row as it was. Members are rows of their own, so that one edge never rewrites a group.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from dataclasses import replace as replace_fields

from connectors.inbox import statements as sql
from connectors.inbox.asking import Operation, Turn, Writing
from connectors.inbox.contest import Author, Conflict, conflict
from connectors.inbox.draft import Draft
from connectors.inbox.members import apply_edits
from connectors.inbox.patch import apply_operations, from_body, replaced
from connectors.inbox.records import Record, record
from connectors.inbox.schema import Kind
from connectors.inbox.wire import Doc, Limits, ScimError, dumps_text

NAME = {"User": "userName", "Group": "displayName"}
Precondition = Callable[[Record], None]
"""Raises ScimError 412 when the stored record is not the one that the client has seen."""


@dataclass(frozen=True, slots=True)
class Write:
    """One request that changes something: `body` parsed, `logged` as the log keeps it (JSON text without passwords)."""

    kind: Kind
    id: str
    body: Doc
    logged: str
    author: Author
    limits: Limits


def missing(kind: Kind) -> ScimError:
    """The same words for what never was, what is gone and what is another tenant's."""
    return ScimError(404, f"there is no such {kind}")


def _name(draft: Draft) -> str:
    return str(draft.doc[NAME[draft.kind]]).casefold()


def _external_id(doc: Doc) -> str | None:
    found = doc.get("externalId")
    return found if isinstance(found, str) else None


def _addresses(doc: Doc) -> list[str]:
    found = [each["value"].casefold() for each in doc.get("emails", ()) if isinstance(each.get("value"), str)]
    return list(dict.fromkeys(found))


def _event(turn: Turn, write: Write, verb: str) -> Operation[int]:
    seq = turn.next()
    author = write.author
    row = (turn.tenant_no, seq, turn.at, author.writer, author.mark, verb, write.kind, write.id, write.logged)
    yield sql.EVENT_ADD, row
    return seq


def _refuse_taken(turn: Turn, write: Write, name: str) -> Operation[None]:
    rows = yield sql.NAME_TAKEN[write.kind], (turn.tenant_no, name)
    if rows and rows[0][0] != write.id:
        raise ScimError(409, f"a {write.kind} with this {NAME[write.kind]} exists already", "uniqueness")


def _held(turn: Turn, write: Write) -> Operation[Record]:
    rows = yield sql.BY_ID[write.kind], (turn.tenant_no, write.id)
    if not rows:
        raise missing(write.kind)
    return record(rows[0])


def create(write: Write) -> Writing[Record]:
    """POST. ScimError 409 when the name is taken."""

    def writing(turn: Turn) -> Operation[Record]:
        draft = from_body(write.kind, write.body, write.limits)
        name = _name(draft)
        yield from _refuse_taken(turn, write, name)
        seq = yield from _event(turn, write, "create")
        author = write.author
        members = 0
        if draft.edits:
            members = (yield from apply_edits(turn, write.id, draft.edits, held=0, seq=seq)).members
        doc, cleared = dumps_text(draft.doc), dumps_text(sorted(draft.cleared))
        tail = (turn.at, turn.at, None, author.writer, author.mark, 0, members)
        head = (turn.tenant_no, write.id, seq, seq, name, _external_id(draft.doc))
        yield sql.ADD[write.kind], (*head, doc, cleared, *tail)
        if write.kind == "User":
            yield from _put_addresses(turn, write.id, _addresses(draft.doc))
            turn.users += 1
        else:
            turn.groups += 1
        return Record(write.id, seq, seq, doc, cleared, *tail)

    return writing


def _put_addresses(turn: Turn, user_id: str, addresses: Sequence[str]) -> Operation[None]:
    if addresses:
        yield sql.ADDRESS_ADD, [(turn.tenant_no, each, user_id) for each in addresses]


def replace(write: Write, precondition: Precondition | None = None) -> Writing[Record | Conflict]:
    """PUT. ScimError 404, 409, 412."""

    def change(before: Record) -> Draft:
        held = Draft(write.kind, write.limits, before.content(), before.cleared_names())
        return replaced(write.kind, held, write.body, write.limits)

    return _changing(write, "replace", change, precondition)


def patch(write: Write, precondition: Precondition | None = None) -> Writing[Record | Conflict]:
    """PATCH: all operations or none. ScimError 400, 404, 409, 412."""

    def change(before: Record) -> Draft:
        draft = Draft(write.kind, write.limits, before.content(), before.cleared_names())
        apply_operations(draft, write.body)
        return draft

    return _changing(write, "patch", change, precondition)


def _changing(
    write: Write, verb: str, change: Callable[[Record], Draft], precondition: Precondition | None
) -> Writing[Record | Conflict]:
    def writing(turn: Turn) -> Operation[Record | Conflict]:
        before = yield from _held(turn, write)
        if precondition is not None:
            precondition(before)
        draft = change(before)
        name = _name(draft)
        old = before.content()
        if name != str(old[NAME[write.kind]]).casefold():
            yield from _refuse_taken(turn, write, name)
        if found := conflict(write.kind, before, draft, write.author):
            yield from contest(write, before, turn)
            return found
        seq = yield from _event(turn, write, verb)
        return (yield from _store(turn, write, _Change(before, old, draft, name, seq)))

    return writing


@dataclass(frozen=True, slots=True)
class _Change:
    before: Record
    old: Doc
    draft: Draft
    name: str
    seq: int


def _store(turn: Turn, write: Write, change: _Change) -> Operation[Record]:
    """Writes the row only when something differs from what it held."""
    before, draft, seq = change.before, change.draft, change.seq
    members, moved = before.members, False
    if draft.edits:
        done = yield from apply_edits(turn, write.id, draft.edits, held=before.members, seq=seq)
        members, moved = done.members, done.moved
        turn.reduces |= done.removed > 0
    doc, cleared = dumps_text(draft.doc), dumps_text(sorted(draft.cleared))
    settled = write.author.settles(before)
    if draft.doc == change.old and cleared == before.cleared and not settled:
        if not moved:
            return before
        row = (seq, turn.at, write.author.writer, members, turn.tenant_no, write.id)
        yield sql.TOUCH[write.kind], row
        return replace_fields(before, seq=seq, changed_at=turn.at, members=members)
    provider, contested = (write.author.mark, 0) if settled else (before.provider, before.contested)
    yield (
        sql.SET[write.kind],
        (
            *(seq, change.name, _external_id(draft.doc), doc, cleared, turn.at, write.author.writer),
            *(provider, contested, members, turn.tenant_no, write.id),
        ),
    )
    if write.kind == "User":
        if (after := _addresses(draft.doc)) != _addresses(change.old):
            yield sql.ADDRESS_DROP, (turn.tenant_no, write.id)
            yield from _put_addresses(turn, write.id, after)
        turn.reduces |= change.old.get("active") is not False and draft.doc.get("active") is False
    return replace_fields(before, seq=seq, changed_at=turn.at, doc=doc, cleared=cleared, members=members)


def delete(write: Write, precondition: Precondition | None = None) -> Writing[Conflict | None]:
    """DELETE: the row stays as a tombstone, its edges as removed ones. ScimError 404, 412."""

    def writing(turn: Turn) -> Operation[Conflict | None]:
        before = yield from _held(turn, write)
        if precondition is not None:
            precondition(before)
        if found := conflict(write.kind, before, None, write.author):
            yield from contest(write, before, turn)
            return found
        seq = yield from _event(turn, write, "delete")
        key = (turn.tenant_no, write.id)
        yield sql.LEFT_GROUPS, (turn.tenant_no, *key)
        yield sql.LEAVE_ALL, (seq, *key)
        if write.kind == "User":
            yield sql.ADDRESS_DROP, key
            turn.users -= 1
        else:
            yield sql.EMPTY_GROUP, (seq, *key)
            turn.groups -= 1
        yield sql.TOMB[write.kind], (seq, turn.at, turn.at, write.author.writer, *key)
        turn.reduces = True
        return None

    return writing


def contest(write: Write, before: Record, turn: Turn) -> Operation[None]:
    """Notes that two providers want this record. An event of its own, since it decides about later writes; once is enough."""
    if before.contested:
        return
    noted = Write(write.kind, write.id, {}, "{}", write.author, write.limits)
    seq = yield from _event(turn, noted, "contest")
    yield sql.CONTEST[write.kind], (seq, turn.tenant_no, write.id)


def contested_again(write: Write) -> Writing[None]:
    """The event of `contest`, replayed."""

    def writing(turn: Turn) -> Operation[None]:
        before = yield from _held(turn, write)
        yield from contest(write, before, turn)

    return writing
