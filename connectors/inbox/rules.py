"""How a shared credential's requests are told apart: the rules of the config, and which provider a request belongs to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, model_validator

from connectors.inbox.contest import MARKED
from connectors.inbox.filters import Compare, Every, Node, Within
from connectors.inbox.schema import Kind
from connectors.inbox.tokens import to_address
from connectors.inbox.wire import Doc
from core.settings import NAME_PATTERN, Strict

FAMILIES = ("okta", "onelogin", "jumpcloud", "ping", "keycloak", "google", "azure", "microsoft")


def _network(text: str) -> str:
    return str(ip_network(text, strict=False))


class Marks(Strict):
    """What recognises one provider behind a shared credential. Marks of the request itself beat domains of what it speaks of."""

    segment: str | None = Field(default=None, pattern=NAME_PATTERN, description="/scim/v2/{segment}")
    header: dict[str, str] = Field(default_factory=dict, description="name and value; all of them must be there")
    query: dict[str, str] | str | None = Field(default=None, description="a flag in the URL, alone or with its value")
    networks: tuple[Annotated[str, AfterValidator(_network)], ...] = Field(
        default=(), description="source networks, CIDR"
    )
    domains: tuple[Annotated[str, AfterValidator(str.lower)], ...] = Field(
        default=(),
        description="e-mail domains, for a provider that bears no mark; a hint only: when two providers meet in a record, what one takes away changes its own view only",
    )

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not (self.segment or self.header or self.query or self.networks or self.domains):
            raise ValueError("recognises nothing; give segment, header, query, networks or domains")
        return self

    @property
    def hinted(self) -> tuple[str, ...]:
        """Domains that attribute a request without a mark. A provider that bears one is never meant by it."""
        return () if self.segment or self.header or self.query or self.networks else self.domains

    def marks(self, request: Signs) -> bool:
        """Whether the request itself bears a mark of this provider."""
        here = to_address(request.address)
        return (
            (self.segment is not None and request.segment == self.segment)
            or (bool(self.header) and all(request.headers.get(n.lower()) == v for n, v in self.header.items()))
            or self._flagged(request.query)
            or (here is not None and any(here in ip_network(each) for each in self.networks))
        )

    def _flagged(self, query: Mapping[str, str]) -> bool:
        if not self.query:
            return False
        wanted = {self.query: None} if isinstance(self.query, str) else self.query
        return all(name in query and value in {None, query[name]} for name, value in wanted.items())


@dataclass(frozen=True, slots=True)
class Signs:
    """What a request says of its sender: path segment, headers (lower-case names), query parameters as written, source address."""

    segment: str | None
    headers: Mapping[str, str]
    query: Mapping[str, str]
    address: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where a request of a shared credential goes: `tenant`, and the author's mark. `elsewhere` are tenants in which a record asked for by id may be too."""

    tenant: str
    mark: str
    elsewhere: tuple[str, ...] = ()


def recognised(shared: str, providers: Mapping[str, Marks], signs: Signs, addresses: Iterator[str]) -> Place:
    """The provider's tenant by a mark; else by the domain of an address; else the shared tenant itself, which holds what nobody can attribute.

    Two marks that contradict each other attribute nothing.
    """
    marked = [name for name, marks in providers.items() if marks.marks(signs)]
    if len(marked) == 1:
        return Place(marked[0], MARKED)
    mark = family(signs.headers.get("user-agent", ""))
    if marked:
        return Place(shared, mark)
    elsewhere = (*(name for name, marks in providers.items() if marks.hinted), shared)
    for address in addresses:
        domain = address.rpartition("@")[2].strip().lower()
        named = [name for name, marks in providers.items() if domain in marks.hinted]
        if len(named) == 1:
            return Place(named[0], mark, elsewhere)
    return Place(shared, mark, elsewhere)


def family(agent: str) -> str:
    """Which kind of client it says it is: a weak sign, yet two kinds are two providers."""
    text = agent.lower()
    return f"unmarked:{next((name for name in FAMILIES if name in text), 'unnamed')}"


def spoken_addresses(kind: Kind, body: Doc | None, node: Node | None) -> Iterator[str]:
    """Addresses that a request speaks of, the most telling first: userName, then e-mails; of a body or of a filter's equalities."""
    if kind != "User":
        return
    if body is not None:
        named = {name.lower(): value for name, value in body.items()}
        yield from _texts([named.get("username")])
        yield from _texts(_entries(named.get("emails")))
    if node is not None:
        yield from _texts(_literals(node))


def _texts(values: list[Any]) -> Iterator[str]:
    yield from (each for each in values if isinstance(each, str) and "@" in each)


def _entries(value: Any) -> list[Any]:
    entries = value if isinstance(value, list) else [value]
    return [each.get("value") if isinstance(each, dict) else each for each in entries]


def _literals(node: Node) -> list[Any]:
    if isinstance(node, Every):
        return [literal for each in node.nodes for literal in _literals(each)]
    if isinstance(node, Within) and node.path.name == "emails":
        return _literals(node.tail) if node.tail is not None else []
    if isinstance(node, Compare) and node.operator == "eq" and node.path.name in {"username", "emails", "value"}:
        return [node.literal]
    return []
