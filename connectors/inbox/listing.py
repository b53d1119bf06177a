"""Lists of resources: a filter, an index that answers it where there is one, and a page by index (RFC 7644) or by cursor (RFC 9865)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from connectors.inbox import statements as sql
from connectors.inbox.asking import Operation, Row
from connectors.inbox.cursors import Bookmark, Cursors
from connectors.inbox.filters import Anchor, Compare, Node, Subject, anchor, edge_literals, matches, parse
from connectors.inbox.members import all_members
from connectors.inbox.records import Record, Selection, document, record, selected
from connectors.inbox.schema import LIST, Kind
from connectors.inbox.wire import Doc, Limits, as_doc, invalid

LOOK = 200  # records looked at between two turns of the loop


@dataclass(frozen=True, slots=True)
class Query:
    """What a list request asks: `start` is 1-based; `bookmark` when it pages by cursor; `by_cursor` also on its first page."""

    kind: Kind
    node: Node | None
    text: str
    start: int
    count: int
    by_cursor: bool
    bookmark: Bookmark | None
    chosen: Selection


def query(kind: Kind, parameters: dict[str, str], chosen: Selection, limits: Limits, cursors: Cursors) -> Query:
    """From query parameters, lower-case names. ScimError 400: `invalidFilter`, `invalidCount`, `invalidCursor`, `expiredCursor`."""
    text = parameters.get("filter", "")
    node = parse(text, limits) if text.strip() else None
    by_cursor = "cursor" in parameters
    count = _number(parameters.get("count"), limits.page)
    if by_cursor and count is None:
        raise invalid("count must be a number", "invalidCount")
    if count is None:
        raise invalid("count must be a number")
    start = _number(parameters.get("startindex"), 1)
    if start is None:
        raise invalid("startIndex must be a number")
    asked = f"{kind} {text}"
    written = parameters.get("cursor", "")
    bookmark = cursors.read(written, asked) if written else None
    size = max(0, min(count, limits.most))
    return Query(kind, node, asked, max(1, start), size, by_cursor, bookmark, chosen)


def _number(text: str | None, default: int) -> int | None:
    if text is None or text == "":
        return default
    digits = text.strip().removeprefix("-").removeprefix("+")
    if not digits.isascii() or not digits.isdigit():
        return None
    if len(digits) > 15:
        return -1 if text.strip().startswith("-") else 10**15
    return int(text)


def listed(tenant_no: int, asked: Query, base: str, limits: Limits, cursors: Cursors) -> Operation[Doc]:
    """The ListResponse."""
    if asked.node is None:
        page = yield from _plain(tenant_no, asked)
    else:
        page = yield from _filtered(tenant_no, asked, asked.node, base)
    resources: list[Doc] = []
    members = 0
    for each in page.records:
        members += each.members if asked.kind == "Group" and asked.chosen.asks_for("members") else 0
        if members > limits.page_members and resources:
            break
        resources.append((yield from shown(tenant_no, asked.kind, each, base, asked.chosen)))
    answer: Doc = {"schemas": [LIST], "totalResults": page.total, "itemsPerPage": len(resources)}
    if not asked.by_cursor:
        answer["startIndex"] = asked.start
    elif resources and (len(resources) < len(page.records) or page.more):
        last = page.records[len(resources) - 1].born
        answer["nextCursor"] = cursors.write(asked.text, last)
    answer["Resources"] = resources
    return answer


@dataclass(frozen=True, slots=True)
class _Page:
    records: Sequence[Record]
    total: int
    more: bool


def _plain(tenant_no: int, asked: Query) -> Operation[_Page]:
    rows = yield sql.COUNTS, (tenant_no,)
    total = rows[0][0 if asked.kind == "User" else 1] if rows else 0
    if not asked.count:
        return _Page((), total, more=False)
    if asked.by_cursor:
        born = asked.bookmark.born if asked.bookmark else 0
        rows = yield sql.AFTER[asked.kind], (tenant_no, born, asked.count + 1)
        found = [record(row) for row in rows]
        return _Page(found[: asked.count], total, more=len(found) > asked.count)
    rows = yield sql.SKIPPING[asked.kind], (tenant_no, asked.count, asked.start - 1)
    return _Page([record(row) for row in rows], total, more=False)


def _filtered(tenant_no: int, asked: Query, node: Node, base: str) -> Operation[_Page]:
    edges: dict[str, frozenset[str]] = {}
    for literal in sorted(edge_literals(node)):
        statement = sql.EDGE_SUBJECTS if literal else sql.EDGE_SUBJECTS_ANY
        rows = yield statement[asked.kind], (tenant_no, literal) if literal else (tenant_no,)
        edges[literal] = frozenset(row[0] for row in rows)
    kept, found = _Kept(asked), anchor(asked.kind, node)
    sieve = _Sieve(asked.kind, node, edges, base, indexed=found is not None and isinstance(node, Compare))
    if found is not None:
        rows = yield from _candidates(tenant_no, asked.kind, found)
        sieve.sift(sorted(rows, key=itemgetter(1)), kept)
        return kept.page()
    born = 0
    while True:
        rows = yield sql.AFTER[asked.kind], (tenant_no, born, LOOK)
        sieve.sift(rows, kept)
        if len(rows) < LOOK:
            return kept.page()
        born = rows[-1][1]


class _Kept:
    """Matches counted, and those of the page kept."""

    def __init__(self, asked: Query) -> None:
        self._asked = asked
        self._total = 0
        self._after = 0
        self._kept: list[Record] = []

    def take(self, each: Record) -> None:
        asked = self._asked
        self._total += 1
        if asked.by_cursor:
            if asked.bookmark is not None and each.born <= asked.bookmark.born:
                return
            self._after += 1
            if len(self._kept) < asked.count:
                self._kept.append(each)
        elif self._total >= asked.start and len(self._kept) < asked.count:
            self._kept.append(each)

    def page(self) -> _Page:
        return _Page(self._kept, self._total, more=self._after > len(self._kept))


@dataclass(frozen=True, slots=True)
class _Sieve:
    """A filter with the edges that it compares; `indexed` when it is one equality that the index has answered already."""

    kind: Kind
    node: Node
    edges: dict[str, frozenset[str]]
    base: str
    indexed: bool = False

    def sift(self, rows: Sequence[Row], kept: _Kept) -> None:
        for row in rows:
            each = record(row)
            if self.indexed or matches(self.node, Subject(self.kind, document(self.kind, each, self.base), self.edges)):
                kept.take(each)


def _candidates(tenant_no: int, kind: Kind, found: Anchor) -> Operation[list[Row]]:
    """Records that the index gives for an equality, in no order."""
    if found.column == "edge":
        return (yield sql.BY_EDGE[kind], (tenant_no, tenant_no, found.literal))
    if found.column == "address":
        if kind == "Group":
            return []
        return (yield sql.BY_ADDRESS, (tenant_no, tenant_no, found.literal))
    statement = {"id": sql.BY_ID, "name": sql.BY_NAME, "external_id": sql.BY_EXTERNAL}[found.column]
    return (yield statement[kind], (tenant_no, found.literal))


def shown(tenant_no: int, kind: Kind, stored: Record, base: str, chosen: Selection) -> Operation[Doc]:
    """One resource as the request wants it, with its edges where they are asked for."""
    edges: dict[str, Any] = {}
    if kind == "User" and chosen.asks_for("groups"):
        rows = yield sql.GROUPS_OF, (tenant_no, stored.id)
        if rows:
            edges["groups"] = list(_groups(rows, base))
    elif kind == "Group" and stored.members and chosen.asks_for("members"):
        found = yield from all_members(tenant_no, stored.id)
        edges["members"] = [{"value": each, "type": word.capitalize()} for each, word in found.items()]
    return selected(document(kind, stored, base, edges), chosen)


def _groups(rows: Sequence[Row], base: str) -> Iterator[Doc]:
    for group_id, doc, _ in sorted(rows, key=itemgetter(2)):
        name = as_doc(doc)["displayName"]
        yield {"value": group_id, "$ref": f"{base}/Groups/{group_id}", "display": name, "type": "direct"}
