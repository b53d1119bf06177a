"""Runs the service on a socket: TLS, proxies, the ready line, and a stop that ends no request half-way."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from connectors.inbox.directory import Directory, InboxTenant
from connectors.inbox.service import OnMoved, Service
from connectors.inbox.stores import Where, open_store
from connectors.inbox.throttle import Throttle
from connectors.inbox.upkeep import Upkeep
from connectors.inbox.watch import Watch
from connectors.inbox.wire import Limits
from core.errors import RefusedError

STOP_SECONDS = 30  # for requests under way, below the patience of container runtimes that are told so
IDLE_SECONDS = 75  # providers keep their connections; longer than the usual 60 of proxies before us
CONNECTIONS = 1000
HEADER_BYTES = 32 * 1024
Chore = Callable[[], Coroutine[Any, Any, None]]
"""Runs beside the service until it is cancelled, once all requests were answered."""


@dataclass(frozen=True, slots=True)
class Serving:
    """Where and how to listen. `trusted_proxies`: whose X-Forwarded-For and -Proto are believed; `public_url`: what stands before /scim/v2 in addresses given out."""

    host: str = "127.0.0.1"
    port: int = 8085
    certificate: Path | None = None
    key: Path | None = None
    key_password: str | None = None
    client_ca: Path | None = None
    trusted_proxies: Sequence[str] = ()
    public_url: str | None = None
    keep_days: int = 90
    access_log: bool = True


class _Server(uvicorn.Server):
    """uvicorn with our chores beside it, and a stop by signal that is an ordinary end."""

    def __init__(
        self,
        config: uvicorn.Config,
        service: Service,
        own: Sequence[Chore],
        beside: Sequence[Chore],
        announce: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._service = service
        self._own = own
        self._beside = beside
        self._announce = announce
        self._chores: list[asyncio.Task[None]] = []

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listens, then tells so."""
        await super().startup(sockets)
        if self.started and not self.should_exit:
            self._chores = [asyncio.create_task(chore()) for chore in (*self._own, *self._beside)]
            self._announce()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Not ready any more, requests under way to their end, store closed, what runs beside ended."""
        self._service.ready = False
        for chore in self._chores:
            chore.cancel()
        for chore in self._chores[: len(self._own)]:  # they use the store, which the next step closes
            with suppress(asyncio.CancelledError):
                await chore
        await super().shutdown(sockets)
        for chore in self._chores[len(self._own) :]:
            with suppress(asyncio.CancelledError):
                await chore

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT ask for a stop; uvicorn's own way would raise them again afterwards."""
        before = {each: signal.signal(each, self.handle_exit) for each in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)


def make_service(
    place: Where, tenants: Mapping[str, InboxTenant], serving: Serving, on_moved: OnMoved | None = None
) -> Service:
    """A service over the store at `place`, not opened yet."""
    access = _write_line if serving.access_log else None
    service = Service(open_store(place), Directory(tenants), Limits(), Throttle(), serving.public_url, on_moved)
    service.access = access
    return service


def _write_line(line: str) -> None:
    sys.stderr.write(line + "\n")


def serve(
    place: Where,
    tenants: Mapping[str, InboxTenant],
    serving: Serving,
    *,
    on_moved: OnMoved | None = None,
    beside: Sequence[Chore] = (),
    watches: bool = False,
    announce: Callable[[str], None] = lambda _url: None,
) -> None:
    """Serves until SIGTERM or SIGINT. `beside` runs on the same event loop; `announce` is told the base URL once it listens. RefusedError when it cannot listen or start.

    `watches`: `on_moved` is told also what other processes over the same store have written.
    """
    listening = _listen(serving.host, serving.port)
    scheme = "https" if serving.certificate else "http"
    host, port = listening.getsockname()[:2]
    url = serving.public_url or f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
    service = make_service(place, tenants, serving, on_moved)
    server = _Server(
        _config(service, serving),
        service,
        [Upkeep(service, place, serving.keep_days).run, *([Watch(service).run] if watches else [])],
        beside,
        lambda: announce(url.rstrip("/") + "/scim/v2"),
    )
    # when the service does not open, uvicorn exits with a code that is not ours
    with listening, suppress(SystemExit):
        asyncio.run(server.serve([listening]))
    if not server.started:
        raise RefusedError("the inbox did not start", remedy="The lines above say why")


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # with the protocol named asyncio switches Nagle off; without it every answer waits 40 ms for an acknowledgement
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(512)
    except OSError as error:
        listening.close()
        raise RefusedError(
            f"cannot listen on {host} port {port}: {error.strerror}", remedy="Choose others by --host and --port"
        ) from error
    return listening


def _config(service: Service, serving: Serving) -> uvicorn.Config:
    tls: dict[str, object] = {}
    if serving.certificate is not None:
        tls = {"ssl_certfile": serving.certificate, "ssl_keyfile": serving.key}
        tls |= {"ssl_keyfile_password": serving.key_password} if serving.key_password else {}
        if serving.client_ca is not None:
            import ssl

            tls |= {"ssl_ca_certs": str(serving.client_ca), "ssl_cert_reqs": ssl.CERT_REQUIRED}
    try:
        config = uvicorn.Config(
            service,
            http="h11",
            ws="none",  # else an upgrade that nobody offered is answered 500
            loop="asyncio",
            lifespan="on",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=bool(serving.trusted_proxies),
            forwarded_allow_ips=list(serving.trusted_proxies),
            timeout_keep_alive=IDLE_SECONDS,
            timeout_graceful_shutdown=STOP_SECONDS,
            limit_concurrency=CONNECTIONS,
            h11_max_incomplete_event_size=HEADER_BYTES,
            **tls,  # type: ignore[arg-type] # the keys are uvicorn's own
        )
        config.load()
    except (OSError, ValueError) as error:
        raise RefusedError(
            f"the TLS certificate cannot be used: {error}",
            remedy="Give a PEM file each by --tls-certificate and --tls-key",
        ) from error
    return config
