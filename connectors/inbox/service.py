"""The SCIM endpoint as an ASGI application: who asks, in which tenant, for what; and an answer to everything."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from connectors.inbox.asking import Moved, Operation, Store
from connectors.inbox.clock import stamp
from connectors.inbox.dialects import stated_parameters
from connectors.inbox.directory import SECRET, STORE_ID, Directory, InboxTenant, meta
from connectors.inbox.endpoints import Endpoint, Turned
from connectors.inbox.exchange import (
    Answer,
    Noted,
    Receive,
    Request,
    Scope,
    Send,
    read_body,
    read_request,
    refusal,
    send_answer,
)
from connectors.inbox.routes import SPEAKING, Route, base_url, route
from connectors.inbox.throttle import Throttle
from connectors.inbox.tokens import Bearer, verify
from connectors.inbox.wire import Limits, ScimError, dumps, read_object
from core.errors import OnefoldError

log = logging.getLogger("onefold.inbox")
BUSY_SECONDS = 5
WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
LOGGED = WITH_BODY | {"GET", "DELETE", "HEAD", "OPTIONS"}  # any other word is the client's own, and may be anything
OnMoved = Callable[[str, int, bool], None]
"""Told after each commit that moved a tenant: its name, its newest number, whether somebody may have lost access."""


@dataclass(slots=True)
class Service:
    """One inbox over one store. `public_url` is what clients see in front of `/scim/v2`; taken from the request when None.

    `on_moved` is called on the event loop after the commit, so it must return at once. `used` holds when each
    token was used last, until the upkeep stores it; `told` is the newest number of each tenant that `on_moved` knows.
    """

    store: Store
    directory: Directory
    limits: Limits
    throttle: Throttle
    public_url: str | None = None
    on_moved: OnMoved | None = None
    access: Callable[[str], None] | None = None
    cursor_key: bytes = b""
    ready: bool = False
    used: dict[str, str] = field(default_factory=dict)
    told: dict[int, int] = field(default_factory=dict)

    async def open(self) -> None:
        """Opens the store and enters the tenants."""
        await self.store.open()
        await self.directory.enter(self.store)
        self.cursor_key = bytes.fromhex(await self.store.run(meta(SECRET, secrets.token_hex(32))))
        await self.store.run(meta(STORE_ID, secrets.token_hex(8)))
        self.store.on_commit = self.moved
        self.ready = True

    async def close(self) -> None:
        """After the writes under way."""
        self.ready = False
        await self.store.close()

    def moved(self, moved: Sequence[Moved]) -> None:
        """Tells what this process, or another one over the same store, has written."""
        for each in moved:
            self.told[each.tenant_no] = max(each.seq, self.told.get(each.tenant_no, 0))
            if self.on_moved is not None and each.tenant_no in self.directory.names:
                self.on_moved(self.directory.names[each.tenant_no], each.seq, each.reduces)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI: http and lifespan."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        if scope["type"] != "http":
            return
        began, noted = time.perf_counter(), Noted()
        answer = await self._answer(scope, receive, noted)
        try:
            await send_answer(send, answer)
        except Exception as fault:  # noqa: BLE001 - the server below has ended the connection (a malformed chunk); it raises its own kinds
            log.warning("an answer did not reach its client: %s", type(fault).__name__)
        if self.access is not None:
            self.access(_line(scope["method"], noted, answer, time.perf_counter() - began))

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    await self.open()
                except OnefoldError as error:
                    await self.close()
                    await send({"type": "lifespan.startup.failed", "message": str(error)})
                    return
                await send({"type": "lifespan.startup.complete"})
            else:
                await self.close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _answer(self, scope: Scope, receive: Receive, noted: Noted) -> Answer:
        try:
            return await self._handle(scope, receive, noted)
        except ScimError as error:
            return refusal(error)
        except OnefoldError as error:  # of the store: locked, restarting, or letting nobody in
            log.warning("busy: %s", error.problem)
            return refusal(ScimError(503, "try again soon", retry_after=BUSY_SECONDS))
        except Exception as fault:  # noqa: BLE001 - whatever it is, the client gets a SCIM document and the log says where, not about whom
            trace, places = fault.__traceback__, []
            while trace is not None:
                places.append(f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}")
                trace = trace.tb_next
            log.error("unexpected %s at %s", type(fault).__name__, " ".join(places[-6:]))  # noqa: TRY400 - a traceback's text may hold a value of somebody
            return refusal(ScimError(500, "an unexpected fault; the log of the server names the place"))

    async def _handle(self, scope: Scope, receive: Receive, noted: Noted) -> Answer:
        request = read_request(scope, self.limits)
        if request.path in {"/healthz", "/readyz"}:
            return await self._health(request, noted)
        where = route(request.path)
        if where is None:
            raise ScimError(404, "there is nothing at this address")
        noted.route = where.template
        bearer = await self._authenticated(request, where)
        noted.tenant, noted.token_id = bearer.tenant, bearer.token_id
        body, raw = None, b""
        if request.method in WITH_BODY:
            raw = await read_body(scope, receive, self.limits)
            body = read_object(raw, self.limits) if where.name in SPEAKING else None
        turned = Turned(
            request.method,
            where,
            stated_parameters(dict(request.query)),
            request,
            body,
            raw,
            base_url(request, where, self.public_url),
        )
        endpoint = Endpoint(self.store, self.directory, self.limits, self.cursor_key)
        return await endpoint.answer(turned, bearer, noted)

    async def _authenticated(self, request: Request, where: Route) -> Bearer:
        """The bearer of the token. ScimError 401 for every other case alike, also for a segment that is not its own."""
        scheme, _, text = request.headers.get("authorization", "").partition(" ")
        bearer, now = None, stamp()
        if scheme.lower() == "bearer" and text:
            bearer = await self.store.read(verify(text.strip(), address=request.address, now=now))
        tenant = self.directory.tenants.get(bearer.tenant) if bearer is not None else None
        if bearer is None or tenant is None or not _may_use(tenant, where.segment):
            raise self.throttle.failed(request.address)
        self.used[bearer.token_id] = now
        return bearer

    async def _health(self, request: Request, noted: Noted) -> Answer:
        noted.route = request.path
        ready = self.ready
        if ready and request.path == "/readyz":
            await self.store.read(_ping())
        fine = ready or request.path == "/healthz"
        body: Mapping[str, str] = {"status": "ok" if fine else "starting or stopping"}
        return Answer(200 if fine else 503, dumps(body), content_type=b"application/json")


def _ping() -> Operation[None]:
    yield "SELECT 1", ()


def _may_use(tenant: InboxTenant, segment: str | None) -> bool:
    if segment is None or segment == tenant.name:
        return True
    return any(marks.segment == segment for marks in (tenant.providers or {}).values())


def _line(method: str, noted: Noted, answer: Answer, seconds: float) -> str:
    """One line of the access log. Nothing in it is about a person, nor a word of the client: no id, name, filter or address."""
    known = method if method in LOGGED else "other"
    return (
        f'{{"at":"{stamp()}","tenant":"{noted.tenant}","token":"{noted.token_id}","method":"{known}",'
        f'"route":"{noted.route}","status":{answer.status},"bytes":{len(answer.body)},"ms":{seconds * 1000:.1f}}}'
    )
