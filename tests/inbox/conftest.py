import asyncio
import json
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime

import asyncpg
import httpx
import pytest

from connectors.inbox.directory import Directory, InboxTenant
from connectors.inbox.service import Service
from connectors.inbox.sqlite import connect
from connectors.inbox.statements import COPIED
from connectors.inbox.stores import Database, Where, open_store
from connectors.inbox.throttle import Throttle
from connectors.inbox.tokens import mint
from connectors.inbox.wire import Limits

SCIM = "application/scim+json"


@dataclass
class Caller:
    """A provider with a token: speaks to the ASGI application without a socket."""

    inbox: "Inbox"
    token: str | None
    prefix: str = "/scim/v2"
    headers: dict = field(default_factory=dict)
    address: str = "192.0.2.10"

    def __call__(self, method, path, body=None, *, raw=None, headers=None, params=None):
        given = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        content = raw if raw is not None else None if body is None else json.dumps(body).encode()
        given |= {"Content-Type": SCIM} if content is not None else {}
        given |= self.headers | (headers or {})
        return self.inbox.run(self._send(method, self.prefix + path, content, given, params))

    async def _send(self, method, url, content, headers, params):
        transport = httpx.ASGITransport(self.inbox.service, client=(self.address, 40000), raise_app_exceptions=True)
        async with httpx.AsyncClient(transport=transport, base_url="http://inbox.example") as client:
            return await client.request(method, url, content=content, headers=headers, params=params)

    def user(self, name, /, **more):
        """Creates a user and gives its id."""
        answer = self("POST", "/Users", {"userName": name, **more})
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]

    def group(self, name, members=(), /, **more):
        """Creates a group and gives its id."""
        body = {"displayName": name, "members": [{"value": each} for each in members], **more}
        answer = self("POST", "/Groups", body)
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]

    def get(self, path):
        """A resource or list that must be there."""
        answer = self("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def find(self, path, text, **params):
        """The ids that a filter finds."""
        answer = self("GET", path, params={"filter": text, **params})
        assert answer.status_code == 200, answer.text
        return [each["id"] for each in answer.json()["Resources"]]

    def patch(self, path, *operations):
        """PATCH; gives the status."""
        return self("PATCH", path, {"Operations": list(operations)}).status_code

    def members(self, group_id):
        """Ids of a group's members."""
        return {each["value"] for each in self.get(f"/Groups/{group_id}").get("members", ())}


class Inbox:
    """One service over a store, on an event loop of its own."""

    def __init__(self, place: Where, tenants=("corp", "acq"), *, shared=None, limits=None, partner=None):
        self.place = place
        self.partner = partner  # on whose event loop this service runs too
        self.runner = partner.runner if partner else asyncio.Runner()
        entries = {name: InboxTenant(name) for name in tenants} | {
            name: InboxTenant(name, marks) for name, marks in (shared or {}).items()
        }
        self.store = open_store(place)
        self.moved = []
        self.lines = []
        self.throttle = Throttle()
        self.service = Service(self.store, Directory(entries), limits or Limits(), self.throttle)
        self.service.on_moved = lambda *what: self.moved.append(what)
        self.service.access = self.lines.append
        self.run(self.service.open())

    def run(self, awaitable):
        return self.runner.run(awaitable)

    def token(self, tenant, **more):
        return self.run(self.store.run(mint(tenant, now=datetime.now(UTC), **more)))

    def caller(self, tenant, **more):
        return Caller(self, self.token(tenant).text, **more)

    def sql(self, statement):
        """One statement of the test's own, past the service; its rows."""
        return told(self.place, statement)

    def kept(self):
        """Everything that the store holds, as bytes."""
        if isinstance(self.place, Database):
            rows = [self.sql(f"SELECT * FROM {table}") for table in COPIED]
            return repr(rows).encode()
        return b"".join(path.read_bytes() for path in self.place.parent.glob("inbox.sqlite*"))

    def close(self):
        self.run(self.service.close())
        if self.partner is None:
            self.runner.close()


def told(place, statement):
    """One statement past all that is ours; its rows."""
    if isinstance(place, Database):
        return asyncio.run(_told(place.url, statement))
    with closing(connect(place)) as con:
        return con.execute(statement).fetchall()


async def _told(url, statement):
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(statement)]
    finally:
        await connection.close()


@pytest.fixture
def make_inbox(place):
    """Opens inboxes over one store and closes them."""
    opened = []

    def make(*arguments, **more):
        opened.append(Inbox(place, *arguments, **more))
        return opened[-1]

    yield make
    for each in reversed(opened):
        each.close()


@pytest.fixture
def inbox(make_inbox):
    return make_inbox()


@pytest.fixture
def corp(inbox):
    return inbox.caller("corp")


@pytest.fixture
def acq(inbox):
    return inbox.caller("acq")
