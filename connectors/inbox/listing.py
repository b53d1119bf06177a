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
from connectors.inbox.views import seen, seen_all
from connectors.inbox.wire import Doc, Limits, invalid

LOOK = 200  # records looked at between two turns of the loop


@dataclass(frozen=True, slots=True)
class Asker:
    """In which tenant somebody asks, from which base address, and with `viewer` under which mark it has a view of its own."""

    tenant_no: int
    base: str
    viewer: str | None = None


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


def listed(asker: Asker, asked: Query, limits: Limits, cursors: Cursors) -> Operation[Doc]:
    """The ListResponse."""
    if asked.node is None:
        page = yield from _plain(asker, asked)
    else:
        page = yield from _filtered(asker, asked, asked.node)
    resources: list[Doc] = []
    members = 0
    for each in page.records:
        members += each.members if asked.kind == "Group" and asked.chosen.asks_for("members") else 0
        if members > limits.page_members and resources:
            break
        resources.append((yield from shown(asker, asked.kind, each, asked.chosen)))
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


def _plain(asker: Asker, asked: Query) -> Operation[_Page]:
    tenant_no, kind, viewer = asker.tenant_no, asked.kind, asker.viewer
    rows = yield sql.COUNTS, (tenant_no,)
    total = rows[0][0 if kind == "User" else 1] if rows else 0
    after, skipping = sql.AFTER[kind], sql.SKIPPING[kind]
    hiding: tuple[str, ...] = ()
    if viewer is not None:
        total -= (yield sql.VIEWS_GONE, (tenant_no, kind, viewer))[0][0]
        after, skipping, hiding = sql.AFTER_SEEN[kind], sql.SKIPPING_SEEN[kind], (viewer,)
    if not asked.count:
        return _Page((), total, more=False)
    if asked.by_cursor:
        born = asked.bookmark.born if asked.bookmark else 0
        rows = yield after, (tenant_no, born, *hiding, asked.count + 1)
        found = yield from seen_all(tenant_no, kind, [record(row) for row in rows], viewer)
        return _Page(found[: asked.count], total, more=len(found) > asked.count)
    rows = yield skipping, (tenant_no, *hiding, asked.count, asked.start - 1)
    return _Page((yield from seen_all(tenant_no, kind, [record(row) for row in rows], viewer)), total, more=False)


def _filtered(asker: Asker, asked: Query, node: Node) -> Operation[_Page]:
    tenant_no, kind, viewer = asker.tenant_no, asked.kind, asker.viewer
    edges: dict[str, frozenset[str]] = {}
    for literal in sorted(edge_literals(node)):
        one, some = (sql.EDGE_SUBJECTS, sql.EDGE_SUBJECTS_ANY) if viewer is None else sql.SUBJECTS_SEEN
        rows = yield (one if literal else some)[kind], (*_marks(viewer), tenant_no, *([literal] if literal else []))
        edges[literal] = frozenset(row[0] for row in rows)
    kept, found = _Kept(asked), anchor(kind, node)
    indexed = found is not None and isinstance(node, Compare) and viewer is None
    sieve = _Sieve(kind, node, edges, asker.base, indexed=indexed)
    if found is not None:
        rows = yield from _candidates(asker, kind, found)
        records = [record(row) for row in sorted(rows, key=itemgetter(1))]
        sieve.sift((yield from seen_all(tenant_no, kind, records, viewer)), kept)
        return kept.page()
    born = 0
    while True:
        rows = yield sql.AFTER[kind], (tenant_no, born, LOOK)
        sieve.sift((yield from seen_all(tenant_no, kind, [record(row) for row in rows], viewer)), kept)
        if len(rows) < LOOK:
            return kept.page()
        born = rows[-1][1]


def _marks(viewer: str | None) -> tuple[str, ...]:
    """The first parameters of a statement over the edges that a viewer sees."""
    return () if viewer is None else (viewer, viewer)


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

    def sift(self, records: Sequence[Record], kept: _Kept) -> None:
        for each in records:
            if self.indexed or matches(self.node, Subject(self.kind, document(self.kind, each, self.base), self.edges)):
                kept.take(each)


def _candidates(asker: Asker, kind: Kind, found: Anchor) -> Operation[list[Row]]:
    """Records that the index gives for an equality, in no order; for a viewer also those that only it finds so, and some that it does not."""
    tenant_no, viewer = asker.tenant_no, asker.viewer
    if found.column == "edge":
        statement = sql.BY_EDGE if viewer is None else sql.BY_EDGE_SEEN
        return (yield statement[kind], (tenant_no, *_marks(viewer), tenant_no, found.literal))
    if found.column == "address":
        rows = [] if kind == "Group" else (yield sql.BY_ADDRESS, (tenant_no, tenant_no, found.literal))
    else:
        statement = {"id": sql.BY_ID, "name": sql.BY_NAME, "external_id": sql.BY_EXTERNAL}[found.column]
        rows = yield statement[kind], (tenant_no, found.literal)
    if viewer is None:
        return rows
    made = {row[0]: row for row in rows}
    for (each,) in (yield sql.VIEWS_BY_KEY, (tenant_no, kind, viewer, found.column, found.literal)):
        made.update((row[0], row) for row in (yield sql.BY_ID[kind], (tenant_no, each)))
    return list(made.values())


def shown(asker: Asker, kind: Kind, stored: Record, chosen: Selection) -> Operation[Doc]:
    """One resource as the request wants it, with its edges where they are asked for; `stored` as the asker sees it."""
    edges: dict[str, Any] = {}
    tenant_no, viewer = asker.tenant_no, asker.viewer
    if kind == "User" and chosen.asks_for("groups"):
        statement = sql.GROUPS_OF if viewer is None else sql.GROUPS_OF_SEEN
        rows = yield statement, (*_marks(viewer), tenant_no, stored.id)
        found = [record(row) for row in sorted(rows, key=itemgetter(1))]
        if groups := (yield from seen_all(tenant_no, "Group", found, viewer)):
            edges["groups"] = list(_groups(groups, asker.base))
    elif kind == "Group" and (stored.members or viewer is not None) and chosen.asks_for("members"):
        members = yield from all_members(tenant_no, stored.id, viewer)
        if members:
            edges["members"] = [{"value": each, "type": word.capitalize()} for each, word in members.items()]
    return selected(document(kind, stored, asker.base, edges), chosen)


def one(asker: Asker, kind: Kind, resource_id: str) -> Operation[Record | None]:
    """One record as the asker sees it; None when it is not there."""
    rows = yield sql.BY_ID[kind], (asker.tenant_no, resource_id)
    return (yield from seen(asker.tenant_no, kind, record(rows[0]), asker.viewer)) if rows else None


def _groups(groups: Sequence[Record], base: str) -> Iterator[Doc]:
    for each in groups:
        name = each.content()["displayName"]
        yield {"value": each.id, "$ref": f"{base}/Groups/{each.id}", "display": name, "type": "direct"}
