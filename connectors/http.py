"""The one place that knows the HTTP library: sends, paces, retries and turns failures into our errors. No vendor is known here."""

from __future__ import annotations

import random
import ssl
import threading
import time
from collections.abc import Callable, Collection, Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpx

from connectors.address import origin, secrets_of, shown
from connectors.answer import Answer
from connectors.auth import Credential
from connectors.pacing import Pace, retry_after
from connectors.throttling import Throttled, Throttling
from core.errors import RefusedError, TerminalError, TransientError

__all__ = ["Answer", "Http", "UnknownOutcome"]

MAX_BYTES = 128 * 1024 * 1024  # the largest honest page (a Crowd membership stream) is far below
REDIRECTS = 3
FIRST_BACKOFF_SECONDS = 0.5
LONGEST_BACKOFF_SECONDS = 30.0
DATA_CENTER = Throttling()  # 429 with Retry-After, as most vendors have it
IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


class UnknownOutcome(TransientError):  # noqa: N818 - it says what we know, which is not that something failed
    """A write was sent and its answer was lost: it may have taken effect. Look at the object before sending it again."""


class Http:
    """A client of one system, for up to `connections` threads at once.

    `place` ({"tenant": name} or {"target": name}) goes into every error. `rate` is in requests per second. A request is
    tried `retries` times more when throttled, and on 503, 5xx, timeouts and resets, waiting at most `max_wait_seconds` in
    all (default: what `throttling` says). `credential` gives the headers that say who we are; after a 401 it is asked once
    for others. `secrets` are never shown, whatever a vendor's error says. Cookies are never kept (a session cookie makes Data Center treat us as a browser, past its limiter), redirects never leave the
    host, TLS is verified, proxies and `.netrc` of the environment are not used.
    """

    def __init__(
        self,
        base_url: str,
        *,
        place: Mapping[str, str],
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        credential: Credential | None = None,
        secrets: Collection[str] = (),
        throttling: Throttling = DATA_CENTER,
        ca_bundle: str | None = None,
        proxy: str | None = None,
        transport: httpx.BaseTransport | None = None,
        rate: float | None = None,
        timeout_seconds: float = 30.0,
        connections: int = 10,
        retries: int = 4,
        sleep: Callable[[float], None] = time.sleep,
        max_wait_seconds: float | None = None,
    ) -> None:
        self.place: dict[str, Any] = dict(place)
        self.base_url = base_url.rstrip("/")
        self._origin = self._checked_origin(self.base_url)
        self._retries, self._sleep, self._throttling = retries, sleep, throttling
        self._max_wait = throttling.longest_seconds if max_wait_seconds is None else max_wait_seconds
        self._credential = credential
        self._pace = Pace(rate)
        self._lock = threading.Lock()
        self._requests = 0
        self._secrets = secrets_of(headers or {}, *(auth or ())[1:], *secrets)
        self._client = httpx.Client(
            headers={"Accept": "application/json", "User-Agent": "onefold", **self._sendable(headers or {})},
            auth=auth,
            verify=self._tls(ca_bundle),
            proxy=proxy if transport is None else None,
            transport=transport,
            timeout=timeout_seconds,
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
            follow_redirects=False,
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of connections."""
        self._client.close()

    @property
    def requests(self) -> int:
        """Requests sent so far, retries included."""
        return self._requests

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        content: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        ok: Collection[int] = (200,),
        safe: bool | None = None,
    ) -> Answer:
        """Sends one request; returns an answer whose status is in `ok`.

        `path` is below the base URL, or a whole URL of the same host (a vendor's next link). `safe` says that sending it
        twice does what sending it once does; default by the method. Raises TerminalError for other 4xx, RefusedError
        for 401, 403, redirects to elsewhere and a blocked account, UnknownOutcome when a write that is not safe lost its
        answer, TransientError when the patience ends.
        """
        again = method.upper() in IDEMPOTENT if safe is None else safe
        url, what = self._url(path), f"{method} {shown(path, params)}"
        waited = 0.0
        for attempt in range(self._retries + 1):
            failure, wish = None, None
            try:
                answer = self._admitted(method, url, what, params=params, json=json, content=content, headers=headers)
            except NOT_SENT as error:
                failure = TransientError(
                    f"{what} could not be sent: {error}", remedy="Check url, proxy and ca_bundle", **self.place
                )
                failure.__cause__ = error
            except httpx.RequestError as error:
                failure = self._lost(f"{what} got no answer: {type(error).__name__} {error}".rstrip(), again=again)
                failure.__cause__ = error
            else:
                late = self._throttling.classify(answer)
                failure = self._judged(answer, ok, late, again=again)
                if failure is None:
                    return answer
                wish = late.wait_seconds if late else retry_after(answer.headers)
                if late and wish is None:  # refused calls are counted too: everybody stays away for a while
                    wish = _backoff(attempt, self._throttling.first_seconds)
            if isinstance(failure, UnknownOutcome) or attempt == self._retries:
                raise failure
            pause = wish if wish is not None else _backoff(attempt)
            if waited + pause > self._max_wait:
                failure.retry_after = pause
                raise failure
            if wish is not None:
                self._pace.pause(wish)  # the other threads need not find out themselves
            waited += pause
            self._sleep(pause)
        raise AssertionError  # the last attempt returned or raised

    def _admitted(self, method: str, url: str, what: str, *, headers: Mapping[str, str] | None, **more: Any) -> Answer:
        """One request under the credential; after a 401 once more, if the credential can be renewed."""
        if self._credential is None:
            return self._send(method, url, what, headers=headers, **more)
        sent = self._credential.headers()
        answer = self._send(method, url, what, headers={**(headers or {}), **sent}, **more)
        if answer.status == 401 and self._credential.renew(sent):
            sent = self._credential.headers()
            answer = self._send(method, url, what, headers={**(headers or {}), **sent}, **more)
        return answer

    def _send(self, method: str, url: str, what: str, *, headers: Mapping[str, str] | None, **more: Any) -> Answer:
        """One request and, for reads, its redirects within the host."""
        for _ in range(REDIRECTS + 1):
            wait = self._pace.wait()
            seen: Mapping[str, str] = {}
            try:
                if wait > self._max_wait:
                    text = f"{what} would have to wait {wait:.0f} s for the rate limit"
                    raise TransientError(text, retry_after=wait, **self.place)
                if wait:
                    self._sleep(wait)
                with self._lock:
                    self._requests += 1
                with self._client.stream(method, url, headers=self._sendable(headers or {}), **more) as response:
                    seen = response.headers
                    secrets = self._secrets + secrets_of(headers or {})
                    answer = Answer(response.status_code, seen, self._body(response, what), what, self.place, secrets)
            except httpx.LocalProtocolError:
                raise self._unsendable("a header") from None  # its text would show the header's value
            finally:
                self._pace.landed(seen)
            if foreseen := self._throttling.foresee(seen):
                self._pace.pause(foreseen)
            if answer.status not in {301, 302, 303, 307, 308} or "location" not in answer.headers:
                return answer
            url = self._redirected(method, url, answer)
            more["params"] = None  # the vendor's address is complete
        raise TerminalError(f"{what} is redirected in a circle", remedy="Check the url", **self.place)

    def _body(self, response: httpx.Response, what: str) -> bytes:
        parts, size = [], 0
        for part in response.iter_bytes():
            size += len(part)
            if size > MAX_BYTES:
                raise TerminalError(
                    f"{what} gave more than {MAX_BYTES} bytes", remedy="Check the url and the page size", **self.place
                )
            parts.append(part)
        return b"".join(parts)

    def _judged(
        self, answer: Answer, ok: Collection[int], late: Throttled | None, *, again: bool
    ) -> TransientError | None:
        """None when the answer is the caller's; an error to retry. Raises what a retry cannot mend."""
        if late is not None:
            if late.for_ever:
                raise RefusedError(
                    f"{answer.what}: the vendor's rate limiter has blocked this account",
                    remedy="Exempt the sync account from rate limiting, or raise its limit",
                    **self.place,
                )
            return TransientError(f"{answer.what} {late.why}", retry_after=late.wait_seconds, **self.place)
        if answer.html and answer.status < 300:  # a proxy or a login page answered, whatever status was hoped for
            return self._lost(f"{answer.what} gave a web page instead of data ({answer.status})", again=again)
        if answer.status in ok:
            if answer.cut and answer.status < 300:
                return self._lost(f"{answer.what} gave a body that was cut short", again=again)
            return None
        if answer.status < 500:
            raise answer.error()
        text = f"{answer.what} answered {answer.status}: {answer.message}".removesuffix(": ")
        if answer.status == 503:  # says that it was not served
            return TransientError(text, retry_after=retry_after(answer.headers), **self.place)
        return self._lost(text, again=again)

    def _lost(self, text: str, *, again: bool) -> TransientError:
        if again:
            return TransientError(text, remedy="Try again later", **self.place)
        return UnknownOutcome(
            text, remedy="It may have taken effect; the object is looked at before it is sent again", **self.place
        )

    def _redirected(self, method: str, url: str, answer: Answer) -> str:
        there = httpx.URL(url).join(answer.headers["location"])
        where = origin(str(there))
        if where != self._origin or method not in {"GET", "HEAD"}:
            raise RefusedError(
                f"{answer.what} is redirected to {where}",
                remedy="A credential is never sent elsewhere: write the final address into `url`",
                **self.place,
            )
        return str(there)

    def _url(self, path: str) -> str:
        if not path.lower().startswith(("http://", "https://")):
            return f"{self.base_url}/{path.lstrip('/')}"
        if origin(path) != self._origin:
            raise RefusedError(
                f"the next page is said to be at {origin(path)}",
                remedy="A credential is never sent elsewhere: check `url`, and the vendor's own base URL",
                **self.place,
            )
        return path

    def _checked_origin(self, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.password:
            raise RefusedError(
                "the address is not usable",
                field="url",
                remedy="Write https://host/path, without a user or password in it",
                **self.place,
            )
        return origin(url)

    def _sendable(self, headers: Mapping[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if not value.isascii() or not value.isprintable():
                raise self._unsendable(name)
        return dict(headers)

    def _unsendable(self, name: str) -> RefusedError:
        return RefusedError(
            f"{name} holds characters that cannot be sent",
            remedy="Look for a line break or a foreign character in the secret",
            **self.place,
        )

    def _tls(self, ca_bundle: str | None) -> ssl.SSLContext | bool:
        if ca_bundle is None:
            return True
        try:
            return ssl.create_default_context(cafile=ca_bundle)
        except OSError as error:  # ssl.SSLError is one
            raise RefusedError(
                f"{ca_bundle} cannot be read as certificates: {error}",
                field="ca_bundle",
                remedy="Point it at a PEM file",
                **self.place,
            ) from error


def _backoff(attempt: int, first_seconds: float = FIRST_BACKOFF_SECONDS) -> float:
    """Seconds before try `attempt` + 1: doubling, with jitter so that threads do not return in step."""
    longest: float = min(LONGEST_BACKOFF_SECONDS, first_seconds * 2.0**attempt)
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, not a secret
