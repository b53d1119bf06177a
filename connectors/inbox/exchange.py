"""One HTTP exchange as the inbox sees it: the request read under limits, the answer, and nothing of what SCIM means."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_to_bytes

from connectors.inbox.wire import CONTENT_TYPE, Limits, ScimError, invalid

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

BODY_SECONDS = 30.0  # for a whole body: Okta gives up after 60, and a slow sender holds memory
PARAMETERS = 100
FORMS = (b"multipart/", b"application/x-www-form-urlencoded", b"text/html", b"application/xml", b"text/xml")


@dataclass(frozen=True, slots=True)
class Request:
    """Method, path, parameters as written, headers with lower-case names, the peer's address (behind a trusted proxy its client's)."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    address: str
    scheme: str


@dataclass(slots=True)
class Answer:
    """Status, body and further headers; and for the access log whom it was for (never about whom)."""

    status: int
    body: bytes = b""
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    content_type: bytes = CONTENT_TYPE


@dataclass(slots=True)
class Noted:
    """What the access log says of a request beside method, route and status. No name, id, filter or address."""

    route: str = "-"
    tenant: str = "-"
    token_id: str = "-"


def read_request(scope: Scope, limits: Limits) -> Request:
    """From an ASGI scope. ScimError 414 or 400 for what no client of ours sends."""
    raw = scope.get("query_string", b"")
    target = len(raw) + len(scope.get("raw_path") or b"")
    if target > limits.target_bytes:
        raise ScimError(414, f"the address is longer than {limits.target_bytes} bytes")
    if "\x00" in scope["path"]:
        raise ScimError(404, "there is nothing at this address")
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))
    client = scope.get("client")
    address = str(client[0]) if client else "-"
    return Request(
        scope["method"], scope["path"], dict(_parameters(raw)), headers, address, str(scope.get("scheme", "http"))
    )


def _parameters(raw: bytes) -> Iterator[tuple[str, str]]:
    if not raw:
        return
    pairs = raw.split(b"&")
    if len(pairs) > PARAMETERS:
        raise invalid(f"more than {PARAMETERS} parameters")
    for pair in pairs:
        name, _, value = pair.partition(b"=")
        if name:
            yield _text(name), _text(value)


def _text(raw: bytes) -> str:
    try:
        text = unquote_to_bytes(raw.replace(b"+", b" ")).decode()
    except UnicodeDecodeError as fault:
        raise invalid("a parameter is not UTF-8") from fault
    if "\x00" in text:
        raise invalid("a parameter holds the character U+0000")
    return text


async def read_body(scope: Scope, receive: Receive, limits: Limits) -> bytes:
    """The body. ScimError 413 beyond the limit, 415 for forms and compressed ones, 408 when it does not come."""
    for name, value in scope["headers"]:
        if name == b"content-length" and (not value.isdigit() or int(value[:15]) > limits.body_bytes):
            raise _too_large(limits)
        if name == b"content-encoding" and value.strip().lower() not in {b"", b"identity"}:
            raise ScimError(415, "compressed bodies are not read")
        if name == b"content-type" and value.strip().lower().startswith(FORMS):
            raise ScimError(415, "send application/scim+json or application/json")
    first = await receive()
    if first["type"] == "http.request" and not first.get("more_body"):
        whole: bytes = first.get("body", b"")
        if len(whole) > limits.body_bytes:
            raise _too_large(limits)
        return whole
    try:
        return await asyncio.wait_for(_rest(first, receive, limits), BODY_SECONDS)
    except TimeoutError as fault:
        raise ScimError(408, f"the body did not come within {BODY_SECONDS:g} seconds") from fault


async def _rest(message: Message, receive: Receive, limits: Limits) -> bytes:
    parts, size = [], 0
    while True:
        if message["type"] == "http.disconnect":
            raise ScimError(400, "the client went away")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limits.body_bytes:
            raise _too_large(limits)
        if not message.get("more_body"):
            return b"".join(parts)
        message = await receive()


def _too_large(limits: Limits) -> ScimError:
    return ScimError(413, f"the body is larger than {limits.body_bytes} bytes")


def refusal(error: ScimError) -> Answer:
    """The SCIM error document as an answer."""
    headers = []
    if error.retry_after is not None:
        headers.append((b"retry-after", str(int(error.retry_after)).encode()))
    if error.allow is not None:
        headers.append((b"allow", error.allow.encode()))
    if error.status == 401:
        headers.append((b"www-authenticate", b'Bearer realm="scim"'))
    return Answer(error.status, error.body(), headers)


async def send_answer(send: Send, answer: Answer) -> None:
    """Sends it whole, in one go."""
    headers = [*answer.headers, (b"cache-control", b"no-store")]
    if answer.status not in {204, 304}:
        headers += [(b"content-type", answer.content_type), (b"content-length", str(len(answer.body)).encode())]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
