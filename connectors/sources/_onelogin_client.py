"""The way to OneLogin: its form of client credentials, its hourly quota, pages by `After-Cursor`. What rows mean is in `_onelogin_records`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from connectors.answer import Answer
from connectors.auth import Grant, Token, refusal
from connectors.http import Http
from connectors.pacing import number
from connectors.paging import Turn, followed
from connectors.source import SourceContext
from connectors.throttling import Throttled, Throttling
from core.errors import RefusedError, TerminalError

if TYPE_CHECKING:
    from connectors.sources.onelogin import OneLoginSettings

PAGE = 100  # the most that `limit` may be
LONGEST_SECONDS = 3_700.0  # quotas are by the hour
LIFE_SECONDS = 36_000.0


class OneLoginClient:
    """One account. Close it."""

    def __init__(self, settings: OneLoginSettings, context: SourceContext) -> None:
        self.place: dict[str, Any] = {"tenant": context.tenant}
        common: dict[str, Any] = {
            "place": self.place,
            "ca_bundle": settings.ca_bundle,
            "proxy": settings.proxy,
            "transport": context.transport,
        }
        secret = context.secrets["client_secret"]
        self._login = Http(settings.url, secrets=[secret], **common)
        self.http = Http(
            settings.url,
            credential=Grant(_asking(self._login, settings.client_id, secret)),
            throttling=Throttling(classify=classified, foresee=_foreseen, longest_seconds=LONGEST_SECONDS),
            rate=settings.rate,
            **common,
        )

    def close(self) -> None:
        """Lets go of connections."""
        self._login.close()
        self.http.close()

    def listing(self, path: str, *, what: str | None = None, **query: str) -> Iterator[Turn]:
        """Pages by the cursor in `After-Cursor`. `what` names a list whose count is held against what came, here and now."""
        came = 0
        first = {"limit": str(PAGE), **query}

        def fetch(cursor: str) -> Turn:
            nonlocal came
            given = {**first, "cursor": cursor} if cursor else first
            answer = self.http.request("GET", f"{path}?{urlencode(given)}")
            body = answer.json()
            if not isinstance(body, list):
                raise TerminalError(
                    f"{answer.what} gave no list", remedy="`url` must be https://SUBDOMAIN.onelogin.com", **self.place
                )
            came += len(body)
            total = counted(answer)
            turn = Turn(body, next=answer.headers.get("after-cursor") or None, total=total)
            if turn.next is None and total is not None and came < total and what is not None:
                turn.gaps.append(f"{what} ended after {came} of {total} rows")
            return turn

        return followed("", fetch, what=what or f"/{path}")

    def count(self, what: str) -> int | None:
        """How many there are, by the vendor's word."""
        return counted(self.http.request("GET", f"api/2/{what}?limit=1"))


def counted(answer: Answer) -> int | None:
    """`Total-Count` of a listing's answer."""
    total = number(answer.headers.get("total-count"))
    return None if total is None else int(total)


def _asking(http: Http, client_id: str, secret: str) -> Callable[[], Token]:
    """Asks for a token with the pair in a header of OneLogin's own form. The same token comes until it ends."""

    def ask() -> Token:
        answer = http.request(
            "POST",
            "auth/oauth2/v2/token",
            json={"grant_type": "client_credentials"},
            headers={"Authorization": f"client_id:{client_id}, client_secret:{secret}"},
            ok=(200, 400, 401, 403),
            safe=True,
        )
        if answer.status != 200:
            raise refusal(answer, "Check client id and secret: Administration, Developers, API Credentials")
        body = answer.json()
        value = body.get("access_token") if isinstance(body, dict) else None
        if not isinstance(value, str) or not value:
            raise RefusedError(f"{answer.what} gave no access token", remedy="Check `url`", **http.place)
        return Token(value, number(str(body.get("expires_in"))) or LIFE_SECONDS)

    return ask


def classified(answer: Answer) -> Throttled | None:
    """429: wait until the hourly quota is given anew, which `X-RateLimit-Reset` says in seconds from now."""
    if answer.status != 429:
        return None
    wait = number(answer.headers.get("retry-after")) or number(answer.headers.get("x-ratelimit-reset"))
    return Throttled("has used its hourly quota (429)", wait)


def _foreseen(headers: Mapping[str, str]) -> float:
    """Leaves a tenth of the quota to others: spreads what is left over the rest of the hour once half is used."""
    limit, left, reset = (number(headers.get(f"x-ratelimit-{name}")) for name in ("limit", "remaining", "reset"))
    if not limit or left is None or not reset or left > limit / 2:
        return 0.0
    return min(reset, reset / max(1.0, left - limit / 10))
