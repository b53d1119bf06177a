"""The filter grammar of RFC 7644 section 3.4.2.2 with what clients really send, parsed under limits and evaluated on documents.

Beyond the grammar: an attribute path after a value filter (`emails[type eq "work"].value eq "x"`, Entra), unquoted
literals (`externalId eq jyoung`, a Microsoft sample) and `members eq` / `manager eq` on complex attributes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from connectors.inbox.schema import ENTERPRISE, SHAPES, Attribute, Kind
from connectors.inbox.wire import Doc, Limits, ScimError, invalid

COMPARISONS = frozenset({"eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"})
PATH = re.compile(r"(?:(urn:[^\s\[\]()\"]+):)?([A-Za-z$][\w$-]*)(?:\.([A-Za-z$][\w$-]*))?", re.IGNORECASE)
TOKEN = re.compile(r"\s*(?:(?P<text>\"(?:[^\"\\]|\\.)*\")|(?P<bracket>[()\[\]])|(?P<word>[^\s()\[\]\"]+))", re.DOTALL)
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")  # what an escape can write and no store can be asked for
EDGES = frozenset({"members", "groups"})  # kept in a table of their own, not in the document


@dataclass(frozen=True, slots=True)
class Path:
    """An attribute path, lower case: `urn` None when it was not written, `part` the sub-attribute."""

    urn: str | None
    name: str
    part: str | None = None


@dataclass(frozen=True, slots=True)
class Compare:
    """`path operator literal`, or `path pr` with operator `pr`."""

    path: Path
    operator: str
    literal: Any = None


@dataclass(frozen=True, slots=True)
class Within:
    """`path[inner]`, and with `tail` the Entra form `path[inner].part operator literal`: one entry must satisfy both."""

    path: Path
    inner: Node
    tail: Compare | None = None


@dataclass(frozen=True, slots=True)
class Every:
    """All of the nodes (`and`)."""

    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Some:
    """One of the nodes (`or`)."""

    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite."""

    node: Node


Node = Compare | Within | Every | Some | Not


def _fault(detail: str) -> ScimError:
    return invalid(detail, "invalidFilter")


@lru_cache(maxsize=512)
def to_path(text: str) -> Path:
    """A written attribute path. ScimError 400 when it is none."""
    found = PATH.fullmatch(text)
    if not found:
        raise invalid(f"{text[:80]!r} is no attribute path", "invalidPath")
    urn, name, part = found.groups()
    return Path(urn.lower() if urn else None, name.lower(), part.lower() if part else None)


class _Parser:
    """Recursive descent over tokens; depth and number of terms are bounded."""

    def __init__(self, text: str, limits: Limits) -> None:
        self.tokens = list(_tokens(text))
        self.place = 0
        self.terms = 0
        self.limits = limits

    def peek(self) -> str | None:
        return self.tokens[self.place] if self.place < len(self.tokens) else None

    def word(self) -> str | None:
        token = self.peek()
        return token.lower() if token else None

    def take(self) -> str:
        token = self.peek()
        if token is None:
            raise _fault("the filter ends too early")
        self.place += 1
        return token

    def some(self, depth: int) -> Node:
        nodes = [self.every(depth)]
        while self.word() == "or":
            self.place += 1
            nodes.append(self.every(depth))
        return nodes[0] if len(nodes) == 1 else Some(tuple(nodes))

    def every(self, depth: int) -> Node:
        nodes = [self.term(depth)]
        while self.word() == "and":
            self.place += 1
            nodes.append(self.term(depth))
        return nodes[0] if len(nodes) == 1 else Every(tuple(nodes))

    def term(self, depth: int) -> Node:
        self.terms += 1
        if depth > self.limits.filter_depth or self.terms > self.limits.filter_terms:
            raise _fault(
                f"the filter is too complex: at most {self.limits.filter_terms} terms, {self.limits.filter_depth} levels"
            )
        if self.word() == "not":
            self.place += 1
            if self.peek() != "(":
                raise _fault("not must be followed by a bracket")
            return Not(self.term(depth + 1))
        if self.peek() == "(":
            self.place += 1
            node = self.some(depth + 1)
            self.close(")")
            return node
        path = _written(self.take())
        if self.peek() == "[":
            return self.within(path, depth)
        return self.comparison(path)

    def within(self, path: Path, depth: int) -> Node:
        if path.part:
            raise _fault("a value filter stands after an attribute, not after a sub-attribute")
        self.place += 1
        inner = self.some(depth + 1)
        self.close("]")
        token = self.peek()
        if token and token.startswith("."):
            self.place += 1
            return Within(path, inner, self.comparison(_written(token[1:])))
        return Within(path, inner)

    def comparison(self, path: Path) -> Compare:
        operator = self.take().lower()
        if operator == "pr":
            return Compare(path, "pr")
        if operator not in COMPARISONS:
            raise _fault(f"{operator[:20]!r} is no operator")
        token = self.take()
        if token in "()[]":
            raise _fault("a literal is missing")
        return Compare(path, operator, _literal(token))

    def close(self, bracket: str) -> None:
        if self.take() != bracket:
            raise _fault(f"{bracket} is missing")


def _tokens(text: str) -> Iterator[str]:
    place = 0
    while place < len(text):
        found = TOKEN.match(text, place)
        if not found:
            if text[place:].strip():
                raise _fault("the filter holds an open quotation mark")
            return
        place = found.end()
        yield found[0].strip() if found["text"] is None else found["text"]


def _written(token: str) -> Path:
    try:
        return to_path(token)
    except ScimError as fault:
        raise _fault(fault.detail) from fault


def _literal(token: str) -> Any:
    try:
        made = json.loads(token)
    except ValueError:
        if token.startswith('"'):
            raise _fault("a literal is no JSON string") from None
        return token  # the Microsoft sample writes externalId eq jyoung
    if isinstance(made, float) and made != made:  # noqa: PLR0124 - NaN is the one number that differs from itself
        raise _fault("NaN is no literal")
    if isinstance(made, str) and UNSTORABLE.search(made):
        raise _fault("a literal holds U+0000 or half of a surrogate pair")
    return token if isinstance(made, int | float) and not isinstance(made, bool) else made


def parse(text: str, limits: Limits) -> Node:
    """The filter as a tree. ScimError 400 `invalidFilter` when it is none or costs too much."""
    if len(text) > limits.filter_characters:
        raise _fault(f"the filter is longer than {limits.filter_characters} characters")
    parser = _Parser(text, limits)
    node = parser.some(0)
    if parser.peek() is not None:
        raise _fault("the filter goes on after its end")
    return node


# --- evaluation


@dataclass(frozen=True, slots=True)
class Subject:
    """One stored resource: its document, and per literal of an edge comparison the ids of resources that have that edge."""

    kind: Kind
    doc: Doc
    edges: Mapping[str, frozenset[str]]


def attribute_of(kind: Kind, path: Path) -> Attribute | None:
    """What the path names, or None; short names of the enterprise extension count (Entra's `manager`)."""
    shape = SHAPES[kind]
    return shape.core.get(path.name) or shape.extension.get(path.name)


def _values(subject: Subject, path: Path) -> tuple[list[Any], bool]:
    """The simple values at a path, and whether their case matters."""
    doc: Any = subject.doc
    if path.name in {"id", "meta", "schemas"}:
        found = doc.get(path.name)
        if path.name == "meta":
            found = next((value for key, value in doc["meta"].items() if key.lower() == path.part), None)
        return (found if isinstance(found, list) else [found] if found is not None else []), True
    attribute = attribute_of(subject.kind, path)
    if attribute is None:
        return [], False
    if attribute.name not in doc:
        doc = doc.get(ENTERPRISE, {})
    found = doc.get(attribute.name)
    if not attribute.parts:
        return ([] if found is None else [found]), attribute.case_exact
    part = attribute.part(path.part or "value")
    if part is None:
        return [], False
    entries = found if isinstance(found, list) else [found] if found else []
    return [entry[part.name] for entry in entries if part.name in entry], part.case_exact


def matches(node: Node, subject: Subject) -> bool:
    """Whether the resource satisfies the filter."""
    if isinstance(node, Every):
        return all(matches(each, subject) for each in node.nodes)
    if isinstance(node, Some):
        return any(matches(each, subject) for each in node.nodes)
    if isinstance(node, Not):
        return not matches(node.node, subject)
    if isinstance(node, Within):
        return _within(node, subject)
    if node.path.name in EDGES:
        has = subject.doc["id"] in subject.edges.get(_edge(node), frozenset())
        return not has if node.operator == "ne" else has
    values, case_exact = _values(subject, node.path)
    return any_satisfies(values, node, case_exact=case_exact)


def _within(node: Within, subject: Subject) -> bool:
    if node.path.name in EDGES:
        return all(matches(each, subject) for each in _edge_terms(node))
    attribute = attribute_of(subject.kind, node.path)
    if attribute is None:
        return False
    found = subject.doc.get(attribute.name) or subject.doc.get(ENTERPRISE, {}).get(attribute.name) or []
    return any(entry_matches(attribute, entry, node) for entry in (found if isinstance(found, list) else [found]))


def entry_matches(attribute: Attribute, entry: Any, node: Within) -> bool:
    """Whether one entry of a multi-valued attribute satisfies a value filter and its tail."""
    return _entry(attribute, entry, node.inner) and (node.tail is None or _entry(attribute, entry, node.tail))


def _entry(attribute: Attribute, entry: Any, node: Node) -> bool:
    if isinstance(node, Every):
        return all(_entry(attribute, entry, each) for each in node.nodes)
    if isinstance(node, Some):
        return any(_entry(attribute, entry, each) for each in node.nodes)
    if isinstance(node, Not):
        return not _entry(attribute, entry, node.node)
    if isinstance(node, Within):
        raise _fault("a value filter cannot hold another one")
    part = attribute.part(node.path.part or node.path.name)
    if part is None or not isinstance(entry, dict) or part.name not in entry:
        return node.operator == "ne"
    return any_satisfies([entry[part.name]], node, case_exact=part.case_exact)


def any_satisfies(values: list[Any], node: Compare, *, case_exact: bool) -> bool:
    """The comparison of RFC 7644 table 3. `ne` is the opposite of `eq`, also for what is not there; dates compare as times."""
    operator = node.operator
    if operator == "pr":
        return any(value not in (None, "", []) for value in values)
    if operator == "ne":
        return not any(_satisfies(value, "eq", node.literal, case_exact=case_exact) for value in values)
    if operator == "eq" and node.literal is None:
        return not values
    return any(_satisfies(value, operator, node.literal, case_exact=case_exact) for value in values)


def _satisfies(value: Any, operator: str, literal: Any, *, case_exact: bool) -> bool:
    if isinstance(value, bool) or isinstance(literal, bool):
        return operator == "eq" and str(value).lower() == str(literal).lower()
    left, right = str(value), str(literal)
    if not case_exact:
        left, right = left.casefold(), right.casefold()
    elif operator in {"gt", "ge", "lt", "le"} and (moments := _moments(left, right)):
        left, right = moments
    return {
        "eq": left == right,
        "co": right in left,
        "sw": left.startswith(right),
        "ew": left.endswith(right),
        "gt": left > right,
        "ge": left >= right,
        "lt": left < right,
        "le": left <= right,
    }[operator]


def _moments(left: str, right: str) -> tuple[str, str] | None:
    try:
        first, second = datetime.fromisoformat(left), datetime.fromisoformat(right)
        return f"{first.timestamp():020.6f}", f"{second.timestamp():020.6f}"
    except (ValueError, OverflowError):
        return None


# --- what an index can answer


@dataclass(frozen=True, slots=True)
class Anchor:
    """An equality that an index answers: `column` is id, name, external_id, address or edge."""

    column: str
    literal: str


def anchor(kind: Kind, node: Node) -> Anchor | None:
    """The best equality that every match must satisfy, or None: then all resources are looked at."""
    terms = node.nodes if isinstance(node, Every) else (node,)
    found = [made for each in terms if (made := _anchor(kind, each))]
    order = ("id", "name", "external_id", "address", "edge")
    return min(found, key=lambda made: order.index(made.column), default=None)


def _anchor(kind: Kind, node: Node) -> Anchor | None:
    if isinstance(node, Within):
        address = (
            node.path.name == "emails" and node.tail and node.tail.path.name == "value" and node.tail.operator == "eq"
        )
        if address and node.tail and isinstance(node.tail.literal, str):
            return Anchor("address", node.tail.literal.casefold())
        terms = _edge_terms(node) if node.path.name in EDGES else ()
        return Anchor("edge", _edge(terms[0])) if len(terms) == 1 and terms[0].operator == "eq" else None
    if not isinstance(node, Compare) or node.operator != "eq" or not isinstance(node.literal, str):
        return None
    name, part = node.path.name, node.path.part or "value"
    if name in EDGES and part == "value":
        return Anchor("edge", node.literal)
    if name == "emails" and part == "value":
        return Anchor("address", node.literal.casefold())
    if name == ("username" if kind == "User" else "displayname"):
        return Anchor("name", node.literal.casefold())
    return {"id": Anchor("id", node.literal), "externalid": Anchor("external_id", node.literal)}.get(name)


def _edge(node: Compare) -> str:
    if node.operator == "pr":
        return ""
    if node.operator not in {"eq", "ne"} or node.path.part not in {None, "value"}:
        raise _fault(f"{node.path.name} can be compared by value eq only")
    return str(node.literal)


def _edge_terms(node: Within) -> tuple[Compare, ...]:
    """`members[value eq "x" and …]` as comparisons of edges; anything but eq on value is refused."""
    if node.tail is not None:
        raise _fault(f"{node.path.name} can be compared by value eq only")
    terms = node.inner.nodes if isinstance(node.inner, Every) else (node.inner,)
    made = [
        Compare(Path(None, node.path.name), each.operator, each.literal)
        for each in terms
        if isinstance(each, Compare) and each.path.name == "value"
    ]
    if len(made) != len(terms):
        raise _fault(f"{node.path.name} can be compared by value eq only")
    return tuple(made)


def edge_literals(node: Node) -> set[str]:
    """All literals that edges are compared with; the empty one stands for `pr`."""
    if isinstance(node, Every | Some):
        return set().union(*(edge_literals(each) for each in node.nodes))
    if isinstance(node, Not):
        return edge_literals(node.node)
    if isinstance(node, Within):
        return {_edge(each) for each in _edge_terms(node)} if node.path.name in EDGES else set()
    return {_edge(node)} if node.path.name in EDGES else set()
