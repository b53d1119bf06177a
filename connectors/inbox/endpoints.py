"""What each route does once it is known who asks: discovery, lists, single resources, writes; and the tenant that it is done in."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from connectors.inbox import statements as sql
from connectors.inbox.asking import Operation, Store
from connectors.inbox.contest import Author
from connectors.inbox.cursors import SECONDS, Cursors
from connectors.inbox.directory import Directory
from connectors.inbox.exchange import Answer, Noted, Request
from connectors.inbox.filters import parse
from connectors.inbox.listing import Asker, listed, one, query, shown
from connectors.inbox.patch import logged
from connectors.inbox.records import Record, Selection, selection
from connectors.inbox.resources import Precondition, Write, create, delete, missing, patch
from connectors.inbox.resources import replace as put
from connectors.inbox.routes import DISCOVERY, RESOURCES, Route
from connectors.inbox.rules import Place, Signs, recognised, spoken_addresses
from connectors.inbox.schema import LIST, Kind, provider_config, resource_types, schemas
from connectors.inbox.tokens import Bearer
from connectors.inbox.wire import Doc, Limits, ScimError, dumps, invalid

SEARCHED = {"attributes", "excludedattributes", "filter", "startindex", "count", "cursor"}


@dataclass(frozen=True, slots=True)
class Turned:
    """A request after its form was checked: `parameters` that say something, with lower-case names; `body` parsed and `raw`; `base` of addresses given out."""

    method: str
    where: Route
    parameters: dict[str, str]
    request: Request
    body: Doc | None
    raw: bytes
    base: str


@dataclass(frozen=True, slots=True)
class _View:
    """To whom a resource is shown, and what of it."""

    asker: Asker
    kind: Kind
    chosen: Selection

    @property
    def tenant_no(self) -> int:
        """The tenant that is asked."""
        return self.asker.tenant_no


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The routes over one store."""

    store: Store
    directory: Directory
    limits: Limits
    cursor_key: bytes

    async def answer(self, asked: Turned, bearer: Bearer, noted: Noted) -> Answer:
        """The answer. ScimError for every refusal."""
        name = asked.where.name
        if name in DISCOVERY:
            return self._discovery(asked)
        if name == ".search" and asked.method == "POST" and asked.where.rest is None:
            return await self._across(_as_query(asked), bearer, noted)
        if name not in RESOURCES:
            raise ScimError(501 if name in {"Bulk", "Me"} else 404, f"/{name} is not offered")
        kind = RESOURCES[name]
        if asked.method == "POST" and asked.where.rest == ".search":
            asked = _as_query(asked)
        place = self._place(asked, kind, bearer)
        noted.tenant = place.tenant
        author = _author(place, bearer)
        if asked.where.rest is None:
            return await self._collection(asked, kind, place, author)
        place = await self._where(kind, asked.where.rest, place)
        noted.tenant = place.tenant
        return await self._single(asked, kind, place, author)

    async def _across(self, asked: Turned, bearer: Bearer, noted: Noted) -> Answer:
        """`POST /.search` (RFC 7644 section 3.4.3): users, then groups, as one list by index."""
        if "cursor" in asked.parameters:
            raise invalid("page by cursor through one kind of resource", "invalidCursor")
        place = self._place(asked, "User", bearer)
        noted.tenant = place.tenant
        asker, cursors = self._asker(asked, place, _author(place, bearer)), Cursors(self.cursor_key, place.tenant)
        users = query("User", asked.parameters, _chosen(asked), self.limits, cursors)
        first = await self.store.read(listed(asker, users, self.limits, cursors))
        groups = query("Group", asked.parameters, _chosen(asked), self.limits, cursors)
        left = users.count - len(first["Resources"])
        groups = replace(groups, start=max(1, users.start - first["totalResults"]), count=left)
        second = await self.store.read(listed(asker, groups, self.limits, cursors))
        found = first["Resources"] + second["Resources"]
        total = first["totalResults"] + second["totalResults"]
        whole = {"schemas": [LIST], "totalResults": total, "itemsPerPage": len(found), "startIndex": users.start}
        return Answer(200, dumps({**whole, "Resources": found}))

    def _discovery(self, asked: Turned) -> Answer:
        if asked.method != "GET":
            raise _not_allowed("GET")
        name, rest, base = asked.where.name, asked.where.rest, asked.base
        if name == "ServiceProviderConfig":
            if rest is not None:
                raise ScimError(404, "there is nothing at this address")
            found = provider_config(base, page=self.limits.page, most=self.limits.most, cursor_seconds=SECONDS)
            return Answer(200, dumps(found))
        if "filter" in asked.parameters:
            raise ScimError(403, "discovery documents cannot be filtered")
        offered = schemas(base) if name == "Schemas" else resource_types(base)
        if rest is None:
            many = len(offered)
            whole = {"schemas": [LIST], "totalResults": many, "itemsPerPage": many, "startIndex": 1}
            return Answer(200, dumps({**whole, "Resources": offered}))
        one = next((each for each in offered if str(each["id"]).lower() == rest.lower()), None)
        if one is None:
            raise ScimError(404, "there is no such document")
        return Answer(200, dumps(one))

    def _place(self, asked: Turned, kind: Kind, bearer: Bearer) -> Place:
        tenant = self.directory.tenants[bearer.tenant]
        if tenant.providers is None:
            return Place(tenant.name, "")
        text = asked.parameters.get("filter")
        node = parse(text, self.limits) if text else None
        request = asked.request
        signs = Signs(asked.where.segment, request.headers, request.query, request.address)
        body = asked.body if asked.method in {"POST", "PUT"} else None
        return recognised(tenant.name, tenant.providers, signs, spoken_addresses(kind, body, node))

    def _asker(self, asked: Turned, place: Place, author: Author) -> Asker:
        return Asker(self.directory.numbers[place.tenant], asked.base, author.viewer)

    async def _where(self, kind: Kind, resource_id: str, place: Place) -> Place:
        """With a shared credential and no mark, a record is where it is: one of the tenants that bear no marks."""
        if not place.elsewhere:
            return place
        numbers = [self.directory.numbers[name] for name in place.elsewhere]
        found = await self.store.read(_holder(kind, resource_id, numbers))
        return place if found is None else replace(place, tenant=self.directory.names[found])

    async def _collection(self, asked: Turned, kind: Kind, place: Place, author: Author) -> Answer:
        view = _View(self._asker(asked, place, author), kind, _chosen(asked))
        if asked.method == "GET":
            cursors = Cursors(self.cursor_key, place.tenant)
            wanted = query(kind, asked.parameters, view.chosen, self.limits, cursors)
            found = await self.store.read(listed(view.asker, wanted, self.limits, cursors))
            return Answer(200, dumps(found))
        if asked.method != "POST":
            raise _not_allowed("GET, POST")
        made = await self.store.write(view.tenant_no, create(self._write(asked, kind, str(uuid.uuid4()), author)))
        answer = await self._resource(201, view, made)
        answer.headers.append((b"location", f"{asked.base}/{kind}s/{made.id}".encode()))
        return answer

    async def _single(self, asked: Turned, kind: Kind, place: Place, author: Author) -> Answer:
        view = _View(self._asker(asked, place, author), kind, _chosen(asked))
        resource_id, headers = asked.where.rest or "", asked.request.headers
        if asked.method == "GET":
            stored = await self.store.read(one(view.asker, kind, resource_id))
            if stored is None:
                raise missing(kind)
            if _names(headers.get("if-none-match"), stored.version):
                return Answer(304, headers=[(b"etag", stored.version.encode())])
            return await self._resource(200, view, stored)
        if asked.method not in {"PUT", "PATCH", "DELETE"}:
            raise _not_allowed("GET, PUT, PATCH, DELETE")
        write, unchanged = self._write(asked, kind, resource_id, author), _unchanged(headers.get("if-match"))
        if asked.method == "DELETE":
            await self.store.write(view.tenant_no, delete(write, unchanged))
            return Answer(204)
        changing = (put if asked.method == "PUT" else patch)(write, unchanged)
        outcome = await self.store.write(view.tenant_no, changing)
        if asked.method == "PATCH" and kind == "Group" and view.chosen.wanted is None:
            return Answer(204, headers=[(b"etag", outcome.version.encode())])
        return await self._resource(200, view, outcome)

    def _write(self, asked: Turned, kind: Kind, resource_id: str, author: Author) -> Write:
        if asked.body is None:
            return Write(kind, resource_id, {}, "{}", author, self.limits)
        return Write(kind, resource_id, asked.body, logged(asked.body, asked.raw), author, self.limits)

    async def _resource(self, status: int, view: _View, stored: Record) -> Answer:
        whole = await self.store.read(shown(view.asker, view.kind, stored, view.chosen))
        return Answer(status, dumps(whole), [(b"etag", stored.version.encode())])


def _author(place: Place, bearer: Bearer) -> Author:
    return Author(bearer.token_id, place.mark or None)


def _chosen(asked: Turned) -> Selection:
    return selection(asked.parameters.get("attributes"), asked.parameters.get("excludedattributes"))


def _holder(kind: Kind, resource_id: str, numbers: Sequence[int]) -> Operation[int | None]:
    for number in numbers:
        if (yield sql.BY_ID[kind], (number, resource_id)):
            return number
    return None


def _as_query(asked: Turned) -> Turned:
    """`POST /Users/.search` (RFC 7644 section 3.4.3) as the GET that it stands for."""
    parameters: dict[str, str] = {}
    for name, value in (asked.body or {}).items():
        if name.lower() in SEARCHED and value is not None:
            parameters[name.lower()] = _parameter(name, value)
    return replace(
        asked, method="GET", where=replace(asked.where, rest=None), body=None, parameters=asked.parameters | parameters
    )


def _parameter(name: str, value: Any) -> str:
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return ",".join(value)
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**15):
        return str(value)
    raise invalid(f"{name} has the wrong type")


def _names(header: str | None, version: str) -> bool:
    """Whether an If-Match or If-None-Match header names this version; weak and strong spellings count alike."""
    if header is None:
        return False
    named = [each.strip().removeprefix("W/").strip('"') for each in header.split(",")]
    return "*" in named or version.removeprefix("W/").strip('"') in named


def _unchanged(header: str | None) -> Precondition | None:
    def check(stored: Record) -> None:
        if not _names(header, stored.version):
            raise ScimError(412, "the resource has changed since you read it")

    return None if header is None else check


def _not_allowed(offered: str) -> ScimError:
    return ScimError(405, f"this method is not offered here; offered: {offered}", allow=offered)
