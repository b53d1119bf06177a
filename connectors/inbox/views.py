"""What one caller behind a shared credential sees in place of a record that another provider has made: its own writes, laid over it.

A view is kept for each mark of an unmarked caller. It holds what differs: that the record is gone, top-level attributes (null
for none), edges that are removed or added. What does not differ is read from the record, so a view ends when the caller sets
everything back. The pipeline never reads a view.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from connectors.inbox import statements as sql
from connectors.inbox.asking import Operation, Row, Turn
from connectors.inbox.draft import Draft, Edit, Member
from connectors.inbox.members import all_members, kinds_of, members_of, sliced
from connectors.inbox.patch import spoken
from connectors.inbox.records import Record
from connectors.inbox.schema import Kind
from connectors.inbox.wire import Doc, as_doc, dumps_text


@dataclass(frozen=True, slots=True)
class Key:
    """Whose view of what."""

    kind: Kind
    id: str
    viewer: str

    def row(self, turn: Turn) -> Row:
        """As the tables of views are keyed."""
        return turn.tenant_no, self.kind, self.id, self.viewer


def overlaid(doc: Doc, patch: Doc) -> Doc:
    """The document with the patch laid over it; null takes away."""
    return {name: value for name, value in {**doc, **patch}.items() if value is not None}


def difference(doc: Doc, own: Doc) -> Doc:
    """The patch that makes `own` of `doc`."""
    changed = {name: value for name, value in own.items() if doc.get(name) != value}
    return changed | {name: None for name in doc if name not in own}


def _laid(stored: Record, view: Row) -> Record | None:
    seq, changed_at, gone, patch = view
    if gone:
        return None
    doc = overlaid(stored.content(), as_doc(patch))
    return replace(stored, doc=dumps_text(doc), seq=max(stored.seq, seq), changed_at=max(stored.changed_at, changed_at))


def seen(tenant_no: int, kind: Kind, stored: Record, viewer: str | None) -> Operation[Record | None]:
    """The record as that viewer sees it; None when it has deleted it."""
    found = yield from seen_all(tenant_no, kind, [stored], viewer)
    return found[0] if found else None


def seen_all(tenant_no: int, kind: Kind, stored: Sequence[Record], viewer: str | None) -> Operation[Sequence[Record]]:
    """Those of the records that the viewer has not deleted, as it sees them, in their order."""
    if viewer is None:
        return stored
    views: dict[str, Row] = {}
    for part in sliced([each.id for each in stored]):
        rows = yield sql.views_among(len(part)), (tenant_no, kind, viewer, *part)
        views.update((row[0], row[1:]) for row in rows)
    laid = [_laid(each, views[each.id]) if each.id in views else each for each in stored]
    return [each for each in laid if each is not None]


def put(turn: Turn, key: Key, patch: Doc, edits: Sequence[Edit], seq: int) -> Operation[None]:
    """The view after a write: what differs in the attributes, and the edits of members. A view that differs in nothing ends."""
    if edits:
        yield from _edit(turn, key, edits, seq)
    edged = yield from has_edges(turn, key)
    yield sql.VIEW_KEYS_DROP, key.row(turn)
    if not patch and not edged:
        yield sql.VIEW_END, key.row(turn)
        return
    yield sql.VIEW_PUT, (*key.row(turn), seq, turn.at, 0, dumps_text(patch))
    if found := _found_by(key.kind, patch):
        yield sql.VIEW_KEY_ADD, [(*key.row(turn), seq, named, literal) for named, literal in found]


def has_edges(turn: Turn, key: Key) -> Operation[bool]:
    """Whether the viewer sees other members in this group than the record has."""
    return key.kind == "Group" and bool((yield sql.VIEW_EDGED, (turn.tenant_no, key.id, key.viewer)))


def _found_by(kind: Kind, patch: Doc) -> list[tuple[str, str]]:
    """What an index must find the record by for this viewer: (column of an anchor, literal)."""
    name = patch.get("userName" if kind == "User" else "displayName")
    found = [("name", name.casefold())] if name else []
    found += [("external_id", patch["externalId"])] if patch.get("externalId") else []
    found += [("address", each["value"].casefold()) for each in patch.get("emails") or () if "value" in each]
    return found


def hide(turn: Turn, key: Key, seq: int) -> Operation[None]:
    """The viewer has deleted the record; with it go its edges, as of a record that is really deleted."""
    yield sql.VIEW_KEYS_DROP, key.row(turn)
    yield sql.VIEW_ADDED_END[key.kind], (turn.tenant_no, key.id, key.viewer)
    yield sql.VIEW_EDGES_LEFT[key.kind], (key.viewer, seq, turn.tenant_no, key.id)
    yield sql.VIEW_PUT, (*key.row(turn), seq, turn.at, 1, "{}")


def end_all(turn: Turn, kind: Kind, resource_id: str) -> Operation[None]:
    """The record itself is deleted: nobody has a view of it any more."""
    yield sql.VIEW_END_ALL, (turn.tenant_no, kind, resource_id)
    yield sql.VIEW_KEYS_DROP_ALL, (turn.tenant_no, kind, resource_id)
    yield sql.VIEW_EDGES_END_ALL[kind], (turn.tenant_no, resource_id)


def _edit(turn: Turn, key: Key, edits: Sequence[Edit], seq: int) -> Operation[None]:
    for edit in edits:
        wanted = {member.id: member for member in edit.members}
        if edit.mode == "replace":
            here = yield from all_members(turn.tenant_no, key.id, key.viewer)
            yield from _away(turn, key, [each for each in here if each not in wanted], seq)
        if edit.mode == "remove":
            yield from _away(turn, key, list(wanted), seq)
        else:
            yield from _in(turn, key, wanted, seq)


def _away(turn: Turn, key: Key, ids: Sequence[str], seq: int) -> Operation[None]:
    stored = yield from members_of(turn.tenant_no, key.id, ids)
    yield from _note(turn, key, {each: "" for each in ids if each in stored}, seq, removed=1)
    yield from _end(turn, key, [each for each in ids if each not in stored])


def _in(turn: Turn, key: Key, members: dict[str, Member], seq: int) -> Operation[None]:
    stored = yield from members_of(turn.tenant_no, key.id, list(members))
    added = yield from kinds_of(turn, [each for each in members.values() if each.id not in stored])
    yield from _note(turn, key, added, seq, removed=0)
    yield from _end(turn, key, sorted(stored))


def _note(turn: Turn, key: Key, kinds: dict[str, str], seq: int, *, removed: int) -> Operation[None]:
    for part in sliced(list(kinds)):
        rows = [(turn.tenant_no, key.id, each, key.viewer, kinds[each], seq, removed) for each in part]
        yield sql.VIEW_EDGE_PUT, rows


def _end(turn: Turn, key: Key, ids: Sequence[str]) -> Operation[None]:
    for part in sliced(ids):
        yield sql.VIEW_EDGE_END, [(turn.tenant_no, key.id, each, key.viewer) for each in part]


def merged(before: Record, shown: Record, own: Draft) -> Draft:
    """What a write that the caller made to what it sees would do to the record: the attributes that it changed, and no others.

    But for externalId, which is stated anew by every write: who states another one is another provider, also when it repeats it.
    """
    if shown.doc == before.doc:
        return own
    stated = {name: own.doc[name] for name in ("externalId",) if name in own.doc}
    doc = overlaid(before.content(), difference(shown.content(), own.doc) | stated)
    return replace(own, doc=doc, cleared=own.cleared - spoken(doc))
