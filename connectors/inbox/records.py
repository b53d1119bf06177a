"""One stored resource: a row of the projection, the document that answers for it, and which of its attributes are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from connectors.inbox.asking import Row
from connectors.inbox.filters import to_path
from connectors.inbox.schema import CORE_GROUP, CORE_USER, ENTERPRISE, Kind
from connectors.inbox.wire import Doc, ScimError, as_doc, loads

ALWAYS = frozenset({"schemas", "id"})


@dataclass(frozen=True, slots=True)
class Record:
    """A row of `inbox_user` or `inbox_group`, in the order of `statements.COLUMNS`; `doc` and `cleared` are JSON texts."""

    id: str
    born: int
    seq: int
    doc: str
    cleared: str
    created_at: str
    changed_at: str
    deleted_at: str | None
    writer: str
    provider: str | None
    contested: int
    members: int

    @property
    def version(self) -> str:
        """The weak ETag (RFC 7644 section 3.14): the number of the event that last changed it."""
        return f'W/"{self.seq}"'

    def content(self) -> Doc:
        """What the provider has said, parsed anew at each call."""
        return as_doc(self.doc)

    def cleared_names(self) -> set[str]:
        """Attributes that the provider has said to be none."""
        return set(loads(self.cleared))


def record(row: Row) -> Record:
    """The record of a row."""
    return Record(*row)


def document(kind: Kind, stored: Record, base: str, edges: Mapping[str, Any] | None = None) -> Doc:
    """The whole resource (RFC 7643): `edges` holds `groups` of a user or `members` of a group when they are wanted."""
    content = stored.content()
    schemas = [CORE_GROUP] if kind == "Group" else [CORE_USER, ENTERPRISE] if ENTERPRISE in content else [CORE_USER]
    meta = {
        "resourceType": kind,
        "created": stored.created_at,
        "lastModified": stored.changed_at,
        "location": f"{base}/{kind}s/{stored.id}",
        "version": stored.version,
    }
    return {"schemas": schemas, "id": stored.id, **content, **(edges or {}), "meta": meta}


@dataclass(frozen=True, slots=True)
class Selection:
    """`attributes` or `excludedAttributes` (RFC 7644 section 3.9) as lower-case (name, part); None when not given."""

    wanted: frozenset[tuple[str, str | None]] | None = None
    unwanted: frozenset[tuple[str, str | None]] = frozenset()

    def asks_for(self, name: str) -> bool:
        """Whether anything of that attribute may be in the answer; saves reading members that nobody wants."""
        if self.wanted is not None:
            return any(each == name.lower() for each, _ in self.wanted)
        return (name.lower(), None) not in self.unwanted

    @property
    def everything(self) -> bool:
        """Whether nothing is left out."""
        return self.wanted is None and not self.unwanted


WHOLE = Selection()


def selection(attributes: str | None, excluded: str | None) -> Selection:
    """From the two query parameters; `attributes` wins when both are given. Names that are no paths ask for nothing."""
    if attributes:
        return Selection(wanted=frozenset(_names(attributes.split(","))))
    if excluded:
        return Selection(unwanted=frozenset(_names(excluded.split(","))))
    return WHOLE


def _names(written: Iterable[str]) -> Iterable[tuple[str, str | None]]:
    for each in written:
        text = each.strip()
        if text.lower() == ENTERPRISE.lower():
            yield ENTERPRISE.lower(), None
            continue
        try:
            path = to_path(text)
        except ScimError:
            continue
        yield path.name, path.part


def selected(whole: Doc, chosen: Selection) -> Doc:
    """The document with what is asked for; `schemas` and `id` always."""
    if chosen.everything:
        return whole
    return _filtered(whole, chosen, top=True)


def _filtered(doc: Doc, chosen: Selection, *, top: bool) -> Doc:
    made: Doc = {}
    for name, value in doc.items():
        if top and name in ALWAYS:
            made[name] = value
        elif name == ENTERPRISE:
            inner = value if _is(chosen, name, None) else _filtered(value, chosen, top=False)
            if inner and not (chosen.wanted is None and (name.lower(), None) in chosen.unwanted):
                made[name] = inner
        else:
            _keep(made, name, value, chosen)
    return made


def _keep(made: Doc, name: str, value: Any, chosen: Selection) -> None:
    if chosen.wanted is None:
        if (name.lower(), None) in chosen.unwanted:
            return
        parts = {part for each, part in chosen.unwanted if each == name.lower() and part}
        made[name] = _with_parts(value, parts, keep=False) if parts else value
    elif _is(chosen, name, None):
        made[name] = value
    elif parts := {part for each, part in chosen.wanted if each == name.lower() and part}:
        made[name] = _with_parts(value, parts, keep=True)


def _is(chosen: Selection, name: str, part: str | None) -> bool:
    return chosen.wanted is not None and (name.lower(), part) in chosen.wanted


def _with_parts(value: Any, parts: set[str], *, keep: bool) -> Any:
    if isinstance(value, list):
        return [_with_parts(each, parts, keep=keep) for each in value]
    if isinstance(value, dict):
        return {name: each for name, each in value.items() if (name.lower() in parts) is keep}
    return value
