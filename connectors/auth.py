"""Who we are to a vendor: fixed keys, and OAuth tokens that are renewed before they end. What is sent here is never shown or logged."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlencode

from connectors.answer import Answer
from core.errors import OnefoldError, RefusedError, TransientError

if TYPE_CHECKING:
    from connectors.http import Http

EARLY_SECONDS = 300.0  # a token is renewed this long before its end, or a tenth of its life where that is less
BEARER_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"  # RFC 7523, 2.1
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"  # RFC 7523, 2.2


class Credential(Protocol):
    """What `Http` asks before each request, and after a 401."""

    def headers(self) -> Mapping[str, str]:
        """Headers of the next request."""
        ...

    def renew(self, sent: Mapping[str, str]) -> bool:
        """After a 401 to `sent`: whether `headers` now gives others, so that the request is worth sending once more."""
        ...


@dataclass(frozen=True)
class Fixed:
    """Headers that never change: an API key, a personal token. A 401 is final."""

    sent: Mapping[str, str]

    def __repr__(self) -> str:
        return f"Fixed({', '.join(self.sent)})"

    def headers(self) -> Mapping[str, str]:
        """The same headers, always."""
        return self.sent

    def renew(self, sent: Mapping[str, str]) -> bool:
        """Never: there is no other key."""
        del sent
        return False


def bearer(token: str) -> Fixed:
    """`Authorization: Bearer …` (RFC 6750, 2.1)."""
    return Fixed({"Authorization": f"Bearer {token}"})


def ssws(token: str) -> Fixed:
    """`Authorization: SSWS …`, an API token of Okta."""
    return Fixed({"Authorization": f"SSWS {token}"})


def api_key(value: str, header: str = "x-api-key") -> Fixed:
    """A key in a header of its own, as JumpCloud has it."""
    return Fixed({header: value})


@dataclass(frozen=True)
class Token:
    """An access token and how many seconds it lives."""

    value: str
    lives_seconds: float

    def __repr__(self) -> str:
        return f"Token(***, {self.lives_seconds:g} s)"


class Grant:
    """A bearer token that `ask` fetches: on first use, before it ends, and once after a 401. For any number of threads."""

    def __init__(self, ask: Callable[[], Token], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._ask, self._clock = ask, clock
        self._lock = threading.Lock()
        self._token: Token | None = None
        self._got = 0.0

    def headers(self) -> Mapping[str, str]:
        """`Authorization: Bearer …`. While an older token still lives, a failure to renew it early is no failure."""
        with self._lock:
            token = self._token
            if token is None or self._left(token) <= 0:
                token = self._renewed()
            elif self._left(token) < min(EARLY_SECONDS, token.lives_seconds / 10):
                with contextlib.suppress(TransientError):  # until its end the old token serves
                    token = self._renewed()
            return {"Authorization": f"Bearer {token.value}"}

    def renew(self, sent: Mapping[str, str]) -> bool:
        """Asks for another token, unless another thread did meanwhile. False when the vendor gave the refused one again."""
        with self._lock:
            if self._token is not None and sent.get("Authorization") == f"Bearer {self._token.value}":
                self._renewed()
            return self._token is not None and sent.get("Authorization") != f"Bearer {self._token.value}"

    def claims(self) -> Mapping[str, Any]:
        """What the token says of itself, unverified: it is ours, and only shown or compared. Empty for an opaque one."""
        return claims_of(self.headers()["Authorization"].removeprefix("Bearer "))

    def _left(self, token: Token) -> float:
        return self._got + token.lives_seconds - self._clock()

    def _renewed(self) -> Token:
        asked = self._clock()
        self._token = self._ask()
        self._got = asked
        return self._token


def claims_of(token: str) -> Mapping[str, Any]:
    """The payload of a JWT, unverified; empty for whatever else."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        found = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def client_credentials(
    http: Http,
    path: str,
    *,
    client_id: str,
    secret: str | None = None,
    assertion: Callable[[], str] | None = None,
    explain: Callable[[Answer], str | None] | None = None,
    **more: str,
) -> Callable[[], Token]:
    """Asks for a token by client credentials (RFC 6749, 4.4) with a secret or an assertion (RFC 7523, 2.2).

    `more` are further fields (`scope`, `audience`); `explain` gives the vendor's remedy for a refusal.
    """

    def ask() -> Token:
        form = {"grant_type": "client_credentials", "client_id": client_id, **more}
        if assertion is not None:
            form |= {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion()}
        elif secret is not None:
            form["client_secret"] = secret
        return granted(http, path, form, explain=explain)

    return ask


def jwt_bearer(
    http: Http, path: str, *, assertion: Callable[[], str], explain: Callable[[Answer], str | None] | None = None
) -> Callable[[], Token]:
    """Asks for a token with a signed assertion as the grant itself (RFC 7523, 2.1), as Google's service accounts do."""
    return lambda: granted(http, path, {"grant_type": BEARER_GRANT, "assertion": assertion()}, explain=explain)


def granted(
    http: Http, path: str, form: Mapping[str, str], *, explain: Callable[[Answer], str | None] | None = None
) -> Token:
    """Sends a token request. RefusedError when the vendor refuses it, with its words and a remedy, never what was sent."""
    answer = http.request(
        "POST",
        path,
        content=urlencode(form),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        ok=(200, 400, 401, 403),
        safe=True,  # a token twice is no harm
    )
    if answer.status != 200:
        raise refusal(answer, explain(answer) if explain else None)
    body = answer.json()
    value = body.get("access_token") if isinstance(body, dict) else None
    if not isinstance(value, str) or not value:
        raise RefusedError(f"{answer.what} gave no access token", remedy="Check the address of the login", **http.place)
    lives = body.get("expires_in", 3600)
    try:
        return Token(value, float(lives))
    except (TypeError, ValueError):
        return Token(value, 3600.0)


def refusal(answer: Answer, remedy: str | None) -> OnefoldError:
    """What to raise when a vendor does not know us."""
    text = f"{answer.what} answered {answer.status}: {answer.message}".removesuffix(": ")
    return RefusedError(
        text, remedy=remedy or "Check client id and secret, and whether the secret has ended", **answer.place
    )
