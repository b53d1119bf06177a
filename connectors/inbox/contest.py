"""When several providers share one credential: whether a write touches a record that another provider has made, or only its author's view.

A request that carries a mark of its provider (a segment, header, flag or network that the config declares) is *marked*.
One that is attributed by the e-mail domain of what it speaks of is not: two providers may speak of the same address.
"""

from __future__ import annotations

from dataclasses import dataclass

from connectors.inbox.draft import Draft
from connectors.inbox.records import Record
from connectors.inbox.schema import Kind

MARKED = "marked"


@dataclass(frozen=True, slots=True)
class Author:
    """Who writes: `writer` is the token's id; `mark` is None with a credential of one's own, else MARKED, or the client's family in an unmarked request."""

    writer: str
    mark: str | None = None

    @property
    def viewer(self) -> str | None:
        """The mark under which this author has a view of its own; None when it sees and writes the records themselves."""
        return None if self.mark == MARKED else self.mark

    def settles(self, before: Record) -> bool:
        """Whether this write ends a doubt: a marked one takes over what was made without a mark."""
        return self.mark == MARKED and (before.provider != MARKED or bool(before.contested))


def kept_apart(kind: Kind, before: Record, draft: Draft | None, author: Author) -> bool:
    """Whether a write stays in its author's own view of the record (`draft` None: delete it), so that nobody else sees it done.

    Any write by another family of client than the one that made the record, and any unmarked one to what a marked provider
    made; a write that changes a stated externalId, since each provider states its own; and, once two providers have met in
    it, everything that takes away.
    """
    if author.viewer is None:
        return False
    if before.provider != author.mark:
        return True
    if draft is None:
        return bool(before.contested)
    old = before.content()
    stated = old.get("externalId")
    if stated is not None and draft.doc.get("externalId") not in {None, stated}:
        return True
    return bool(before.contested) and _takes_away(kind, old, draft)


def _takes_away(kind: Kind, old: dict[str, object], draft: Draft) -> bool:
    name = "userName" if kind == "User" else "displayName"
    disabled = old.get("active") is not False and draft.doc.get("active") is False
    return disabled or draft.doc.get(name) != old.get(name) or any(edit.mode != "add" for edit in draft.edits)
