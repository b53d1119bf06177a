"""What a write does to the log and to its projection: create, replace, patch, delete. The same functions replay the log.

Each accepted write takes one number and appends one event. A write that changes nothing appends its event and leaves the
row as it was. Members are rows of their own, so that one edge never rewrites a group. Whether a write goes to the record or
to its author's view of it (`contest`, `views`) is decided by what is stored, so that a replay decides alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from dataclasses import replace as replace_fields

from connectors.inbox import statements as sql
from connectors.inbox import views
from connectors.inbox.asking import Operation, Turn, Writing
from connectors.inbox.contest import Author, kept_apart
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

    def key(self, resource_id: str, viewer: str) -> views.Key:
        """The author's view of a resource of that kind."""
        return views.Key(self.kind, resource_id, viewer)


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
    found = yield from _bearers(turn, write, name)
    if any(each != write.id for each in found):
        raise ScimError(409, f"a {write.kind} with this {NAME[write.kind]} exists already", "uniqueness")


def _bearers(turn: Turn, write: Write, name: str) -> Operation[list[str]]:
    """Ids of what has that name, in the store or as the author sees it."""
    rows = yield sql.NAME_TAKEN[write.kind], (turn.tenant_no, name)
    viewer = write.author.viewer
    own = (yield sql.VIEWS_BY_KEY, (turn.tenant_no, write.kind, viewer, "name", name)) if viewer else []
    return [row[0] for row in (*rows, *own)]


def _held(turn: Turn, kind: Kind, resource_id: str) -> Operation[Record]:
    rows = yield sql.BY_ID[kind], (turn.tenant_no, resource_id)
    if not rows:
        raise missing(kind)
    return record(rows[0])


def _held_and_seen(turn: Turn, write: Write) -> Operation[tuple[Record, Record]]:
    """The record, and as its author sees it. ScimError 404 when it is not there or the author has deleted it."""
    before = yield from _held(turn, write.kind, write.id)
    found = yield from views.seen(turn.tenant_no, write.kind, before, write.author.viewer)
    if found is None:
        raise missing(write.kind)
    return before, found


def create(write: Write) -> Writing[Record]:
    """POST. Of a record that only its author sees deleted: it is there again for the author, as the author says. ScimError 409 when the name is taken."""

    def writing(turn: Turn) -> Operation[Record]:
        draft = from_body(write.kind, write.body, write.limits)
        name = _name(draft)
        if (hidden := (yield from _hidden(turn, write, name))) is not None:
            return (yield from _joined(turn, write, hidden, draft))
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


def _hidden(turn: Turn, write: Write, name: str) -> Operation[Record | None]:
    """The record of that name when its author has deleted it in its own view, and calls nothing else so."""
    viewer = write.author.viewer
    found = (yield from _bearers(turn, write, name)) if viewer else []
    if len(found) != 1:
        return None
    before = yield from _held(turn, write.kind, found[0])
    shown = yield from views.seen(turn.tenant_no, write.kind, before, viewer)
    return before if shown is None else None


def _joined(turn: Turn, write: Write, before: Record, draft: Draft) -> Operation[Record]:
    seq = yield from _event(turn, write, "create")
    return (yield from _apart(turn, write, before, draft, seq))


def _apart(turn: Turn, write: Write, before: Record, own: Draft, seq: int) -> Operation[Record]:
    """Keeps a write in its author's view; gives the record as the author sees it then."""
    viewer = write.author.viewer
    assert viewer is not None  # noqa: S101 - the caller has looked
    patch = views.difference(before.content(), own.doc)
    yield from views.put(turn, write.key(before.id, viewer), patch, own.edits, seq)
    found = yield from views.seen(turn.tenant_no, write.kind, before, viewer)
    return found or before


def _put_addresses(turn: Turn, user_id: str, addresses: Sequence[str]) -> Operation[None]:
    if addresses:
        yield sql.ADDRESS_ADD, [(turn.tenant_no, each, user_id) for each in addresses]


def replace(write: Write, precondition: Precondition | None = None) -> Writing[Record]:
    """PUT. ScimError 404, 409, 412."""

    def change(before: Record) -> Draft:
        held = Draft(write.kind, write.limits, before.content(), before.cleared_names())
        return replaced(write.kind, held, write.body, write.limits)

    return _changing(write, "replace", change, precondition)


def patch(write: Write, precondition: Precondition | None = None) -> Writing[Record]:
    """PATCH: all operations or none. ScimError 400, 404, 409, 412."""

    def change(before: Record) -> Draft:
        draft = Draft(write.kind, write.limits, before.content(), before.cleared_names())
        apply_operations(draft, write.body)
        return draft

    return _changing(write, "patch", change, precondition)


def _changing(
    write: Write, verb: str, change: Callable[[Record], Draft], precondition: Precondition | None
) -> Writing[Record]:
    def writing(turn: Turn) -> Operation[Record]:
        before, shown = yield from _held_and_seen(turn, write)
        if precondition is not None:
            precondition(shown)
        own = change(shown)
        if _name(own) != str(shown.content()[NAME[write.kind]]).casefold():
            yield from _refuse_taken(turn, write, _name(own))
        draft = views.merged(before, shown, own)
        if kept_apart(write.kind, before, draft, write.author):
            before = yield from contest(write, before, turn)
            seq = yield from _event(turn, write, verb)
            return (yield from _apart(turn, write, before, own, seq))
        seq = yield from _event(turn, write, verb)
        after = yield from _store(turn, write, _Change(before, before.content(), draft, _name(draft), seq))
        viewer = write.author.viewer
        if viewer is None:
            return after
        edged = bool(own.edits) and (yield from views.has_edges(turn, write.key(write.id, viewer)))
        if shown == before and not edged:
            return after
        return (yield from _apart(turn, write, after, own, seq))

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


def delete(write: Write, precondition: Precondition | None = None) -> Writing[None]:
    """DELETE: the row stays as a tombstone, its edges as removed ones. ScimError 404, 412."""

    def writing(turn: Turn) -> Operation[None]:
        before, shown = yield from _held_and_seen(turn, write)
        if precondition is not None:
            precondition(shown)
        viewer = write.author.viewer
        if viewer is not None and kept_apart(write.kind, before, None, write.author):
            yield from contest(write, before, turn)
            seq = yield from _event(turn, write, "delete")
            yield from views.hide(turn, write.key(write.id, viewer), seq)
            return
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
        yield from views.end_all(turn, write.kind, write.id)
        turn.reduces = True

    return writing


def contest(write: Write, before: Record, turn: Turn) -> Operation[Record]:
    """Notes that two providers want this record. An event of its own, since it decides about later writes; once is enough."""
    if before.contested:
        return before
    noted = Write(write.kind, write.id, {}, "{}", write.author, write.limits)
    seq = yield from _event(turn, noted, "contest")
    yield sql.CONTEST[write.kind], (seq, turn.tenant_no, write.id)
    return replace_fields(before, seq=seq, contested=1)


def contested_again(write: Write) -> Writing[None]:
    """The event of `contest`, replayed."""

    def writing(turn: Turn) -> Operation[None]:
        before = yield from _held(turn, write.kind, write.id)
        yield from contest(write, before, turn)

    return writing
