"""Members of groups: edits of a request applied to the table of edges, a slice at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from connectors.inbox import statements as sql
from connectors.inbox.asking import Operation, Turn
from connectors.inbox.draft import Edit, Member

SLICE = 500  # parameters of one statement; SQLite and PostgreSQL allow far more, but the loop wants its turn


@dataclass(frozen=True, slots=True)
class Applied:
    """Members after the edits, whether any edge moved, and how many went."""

    members: int
    moved: bool
    removed: int


def sliced(values: Sequence[str]) -> Iterator[Sequence[str]]:
    """Slices of at most SLICE."""
    for start in range(0, len(values), SLICE):
        yield values[start : start + SLICE]


def apply_edits(turn: Turn, group_id: str, edits: Sequence[Edit], *, held: int, seq: int) -> Operation[Applied]:
    """The edits in their order. Only edges that really come or go are written."""
    members, added, removed = held, 0, 0
    for edit in edits:
        if edit.mode == "replace":
            here = yield from all_members(turn.tenant_no, group_id)
            wanted = {member.id for member in edit.members}
            gone = [each for each in here if each not in wanted]
            fresh = [member for member in edit.members if member.id not in here]
        else:
            known = yield from members_of(turn.tenant_no, group_id, [member.id for member in edit.members])
            gone = sorted(known) if edit.mode == "remove" else []
            fresh = [member for member in edit.members if member.id not in known] if edit.mode == "add" else []
        yield from _drop(turn, group_id, gone, seq)
        yield from _add(turn, group_id, fresh, seq)
        members += len(fresh) - len(gone)
        added += len(fresh)
        removed += len(gone)
    return Applied(members, bool(added or removed), removed)


def all_members(tenant_no: int, group_id: str, viewer: str | None = None) -> Operation[dict[str, str]]:
    """Ids of all members with their kinds, in the order of the ids; as that viewer sees them."""
    found: dict[str, str] = {}
    after = ""
    statement = sql.MEMBERS_AFTER if viewer is None else sql.MEMBERS_AFTER_SEEN
    marks = () if viewer is None else (viewer, viewer)
    while True:
        rows = yield statement, (*marks, tenant_no, group_id, after, 10 * SLICE)
        found.update(rows)
        if len(rows) < 10 * SLICE:
            return found
        after = rows[-1][0]


def members_of(tenant_no: int, group_id: str, ids: Sequence[str]) -> Operation[set[str]]:
    """Which of these ids are members."""
    found: set[str] = set()
    for part in sliced(ids):
        rows = yield sql.members_among(len(part)), (tenant_no, group_id, *part)
        found.update(row[0] for row in rows)
    return found


def _drop(turn: Turn, group_id: str, ids: Sequence[str], seq: int) -> Operation[None]:
    for part in sliced(ids):
        yield sql.MEMBER_DROP, [(seq, turn.tenant_no, group_id, each) for each in part]


def _add(turn: Turn, group_id: str, members: Sequence[Member], seq: int) -> Operation[None]:
    kinds = yield from kinds_of(turn, members)
    rows = [(turn.tenant_no, group_id, each, kind, seq) for each, kind in kinds.items()]
    for start in range(0, len(rows), SLICE):
        yield sql.MEMBER_ADD, rows[start : start + SLICE]


def kinds_of(turn: Turn, members: Sequence[Member]) -> Operation[dict[str, str]]:
    """Kinds by id. What a request does not say of a member is looked up: a group of this tenant, else a user."""
    unsaid = [member.id for member in members if member.kind is None]
    nested: set[str] = set()
    for part in sliced(unsaid):
        rows = yield sql.groups_among(len(part)), (turn.tenant_no, *part)
        nested.update(row[0] for row in rows)
    return {member.id: member.kind or ("group" if member.id in nested else "user") for member in members}
