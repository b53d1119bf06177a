"""HTTP/1.1 on loopback, a thread for each connection: requests come in as values, answers go out whole, cut, or not at all.

Written on sockets because faults need them: a server framework would not reset a connection after the effect.
"""

from __future__ import annotations

import json
import re
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

Break = Literal["", "reset", "truncate"]
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close with RST
PHRASES = {each.value: each.phrase for each in HTTPStatus}
JSON = "application/json;charset=UTF-8"
PAGE = "<!DOCTYPE html><html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>"


@dataclass(frozen=True)
class Request:
    """A request: `path` decoded and without the context path, `query` with all values, `caller` a user's key or empty."""

    method: str
    path: str
    raw_path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes
    caller: str = ""
    params: Mapping[str, str] = field(default_factory=dict)

    def arg(self, name: str, default: str = "") -> str:
        """The first value of a query parameter."""
        return self.query.get(name, [default])[0]

    def flag(self, name: str, *, default: bool) -> bool:
        """A query parameter that says true or false, in whatever case."""
        return self.arg(name, str(default)).lower() == "true"

    def number(self, name: str, default: int) -> int:
        """A query parameter that is a number of at least 0; nonsense is the default."""
        text = self.arg(name)
        return int(text) if text.isdecimal() else default

    def json(self) -> Any:
        """The body; ValueError when it is not JSON."""
        return json.loads(self.body or b"null")


@dataclass(frozen=True)
class Answer:
    """An answer; `body` bytes or text as they are, None for no body, everything else as JSON."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = JSON
    broken: Break = ""

    def with_headers(self, more: Mapping[str, str]) -> Answer:
        """The same with these headers as well."""
        return replace(self, headers={**self.headers, **more})


def page(status: int, text: str) -> Answer:
    """An answer as a proxy or the servlet container gives it: HTML."""
    return Answer(status, PAGE.format(text), content_type="text/html;charset=UTF-8")


def as_object(body: Any) -> dict[str, Any]:
    """A body that is an object; an empty one for anything else."""
    return body if isinstance(body, dict) else {}


Handler = Callable[[Request], Answer]


@dataclass(frozen=True)
class Route:
    """A method, a path with `{names}` in it, what answers, and the version of the product that brought it."""

    method: str
    path: str
    handler: Handler
    since: tuple[int, ...] = ()
    admin: bool = False


class Router:
    """Finds the route of a request; literal paths win over those with names in them."""

    def __init__(self, routes: list[Route]) -> None:
        ordered = sorted(routes, key=lambda each: each.path.count("{"))
        self._routes = [(re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", each.path)), each) for each in ordered]

    def find(self, method: str, path: str) -> tuple[Route | None, dict[str, str], int]:
        """The route, what its names stand for, and 0, 404 or 405."""
        status = 404
        for pattern, each in self._routes:
            if found := pattern.fullmatch(path.rstrip("/")):
                if each.method == method:
                    return each, found.groupdict(), 0
                status = 405
        return None, {}, status


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except (ConnectionError, TimeoutError, ValueError):  # the client went away, or we shut the socket
            self.close_connection = True

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        request = Request(
            method=self.command,
            path=unquote(parts.path),
            raw_path=parts.path,
            query=parse_qs(parts.query, keep_blank_values=True),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=body,
        )
        self._send(self.server.answer(request))

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _serve  # noqa: N815 - names that the base class looks for

    def _send(self, answer: Answer) -> None:
        if answer.broken == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self._close()
            return
        payload = encoded(answer.body)
        head = [f"HTTP/1.1 {answer.status} {_reason(answer.status)}", f"Content-Length: {len(payload)}"]
        if answer.body is not None:
            head.append(f"Content-Type: {answer.content_type}")
        head += [f"{name}: {value}" for name, value in answer.headers.items()]
        cut = payload[: len(payload) // 2] if answer.broken == "truncate" else payload
        self.connection.sendall("\r\n".join([*head, "", ""]).encode("latin-1", "replace") + cut)
        if answer.broken:
            self._close()

    def _close(self) -> None:
        self.close_connection = True
        # The handler's file still refers to the socket: detaching sends what close() alone would put off.
        self.rfile.close()
        self.connection.close()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the base class
        """Says nothing: the audit knows."""


def encoded(body: Any) -> bytes:
    """A body as it goes out."""
    if body is None:
        return b""
    if isinstance(body, bytes):
        return body
    return (body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)).encode()


def _reason(status: int) -> str:
    return PHRASES.get(status, "Unknown")


class Server(ThreadingTCPServer):
    """A server on 127.0.0.1 that asks `answer` for every request. Port 0: any free one."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, answer: Handler, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Connection)
        self.answer = answer
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)

    @property
    def port(self) -> int:
        """The port it listens on."""
        found: int = self.server_address[1]
        return found

    def start(self) -> None:
        """Serves in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Ends it, with every open connection."""
        self.shutdown()
        self._thread.join()
        self.server_close()
        with self._open_lock:
            left = list(self._open)
        for each in left:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:  # closed from the other side meanwhile
                continue

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remembers the connection, so that `stop` can end it."""
        with self._open_lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forgets the connection."""
        with self._open_lock:
            self._open.discard(request)
        if request.fileno() >= 0:  # else a fault has closed it
            super().shutdown_request(request)
