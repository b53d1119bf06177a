"""When several providers share one credential: whether a write may touch a record that another provider has made.

A request that carries a mark of its provider (a segment, header, flag or network that the config declares) is *marked*.
One that is attributed by the e-mail domain of what it speaks of is not: two providers may speak of the same address.
"""

from __future__ import annotations

from dataclasses import dataclass

from connectors.inbox.draft import Draft
from connectors.inbox.records import Record
from connectors.inbox.schema import Kind
from connectors.inbox.wire import ScimError

MARKED = "marked"


@dataclass(frozen=True, slots=True)
class Author:
    """Who writes: `writer` is the token's id; `mark` is None with a credential of one's own, else MARKED, or the client's family in an unmarked request."""

    writer: str
    mark: str | None = None

    def settles(self, before: Record) -> bool:
        """Whether this write ends a doubt: a marked one takes over what was made without a mark."""
        return self.mark == MARKED and (before.provider != MARKED or bool(before.contested))


@dataclass(frozen=True, slots=True)
class Conflict:
    """A refusal that must be remembered, so that it is an answer of the transaction and not its undoing."""

    detail: str

    def error(self) -> ScimError:
        """The answer to the client."""
        return ScimError(403, self.detail)


_DETAIL = (
    "this record belongs to another identity provider behind the same credential; "
    "give each provider a path segment, header, flag or network of its own"
)


def conflict(kind: Kind, before: Record, draft: Draft | None, author: Author) -> Conflict | None:
    """Why an unmarked write may not do this to the record (`draft` None: delete it), or None.

    Refused: any write by another family of client than the one that made it or to what a marked provider made; a write that
    changes a stated externalId, since each provider states its own; and, once two providers have met in it, everything
    that takes away.
    """
    if author.mark is None or author.mark == MARKED:
        return None
    if before.provider != author.mark:
        return Conflict(_DETAIL)
    old = before.content()
    if draft is None:
        return Conflict(_DETAIL) if before.contested else None
    stated = old.get("externalId")
    if stated is not None and draft.doc.get("externalId") not in {None, stated}:
        return Conflict(_DETAIL)
    return Conflict(_DETAIL) if before.contested and _takes_away(kind, old, draft) else None


def _takes_away(kind: Kind, old: dict[str, object], draft: Draft) -> bool:
    name = "userName" if kind == "User" else "displayName"
    disabled = old.get("active") is not False and draft.doc.get("active") is False
    return disabled or draft.doc.get(name) != old.get(name) or any(edit.mode != "add" for edit in draft.edits)
