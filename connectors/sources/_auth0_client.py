"""The way to Auth0: tokens, and its three kinds of pages: by number up to 1,000 rows, in slices of time beyond, by checkpoints. What rows mean is in `_auth0_records`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from connectors.answer import Answer
from connectors.auth import Grant, client_credentials
from connectors.http import Http
from connectors.paging import Turn, counted, followed
from connectors.source import SourceContext
from connectors.throttling import Throttling, by_status, share_of_window
from core.errors import TerminalError

if TYPE_CHECKING:
    from connectors.sources.auth0 import Auth0Settings

PAGE = 100  # the most that `per_page` and `take` may be
MOST = 1_000  # rows that one query of users gives, whatever there is
SHARE = 0.8  # of a window that we use


class Auth0Client:
    """One tenant. Close it."""

    def __init__(self, settings: Auth0Settings, context: SourceContext) -> None:
        self.place: dict[str, Any] = {"tenant": context.tenant}
        common: dict[str, Any] = {
            "place": self.place,
            "ca_bundle": settings.ca_bundle,
            "proxy": settings.proxy,
            "transport": context.transport,
        }
        secret = context.secrets["client_secret"]
        self._login = Http(settings.url, secrets=[secret], **common)
        self.grant = Grant(
            client_credentials(
                self._login,
                "oauth/token",
                client_id=settings.client_id,
                secret=secret,
                explain=lambda _answer: (
                    "Check client id and secret, that the application is of type machine to machine, and "
                    "that it is authorized for the Auth0 Management API; check `audience` where url is a custom domain"
                ),
                audience=settings.audience or f"{settings.url.rstrip('/')}/api/v2/",
            )
        )
        self.http = Http(
            settings.url,
            credential=self.grant,
            throttling=Throttling(classify=by_status(429), foresee=share_of_window(SHARE)),
            rate=settings.rate,
            **common,
        )

    def close(self) -> None:
        """Lets go of connections."""
        self._login.close()
        self.http.close()

    def count(self, query: str | None) -> int | None:
        """How many users a query finds; all of them without one."""
        return self._users(0, 1, query, "created_at", ("user_id",)).total

    def users(self, by: str, since: str | None, fields: Sequence[str]) -> Iterator[Turn]:
        """Every user whose `by` (created_at, updated_at) is at `since` or later, in its order, a slice of 1,000 after the other.

        A slice begins at the moment with which the last one ended; who was seen there is left out. More than 1,000 users of
        one moment cannot be told apart this way: a gap.
        """
        lower, seen, total = since, frozenset[str](), None
        while True:
            rows, last, at_last = 0, lower, set(seen)
            for page in range(MOST // PAGE):
                turn = self._users(page, PAGE, f"{by}:[{lower} TO *]" if lower else None, by, fields)
                wanted, came = turn.total, len(turn.items)
                total = wanted if total is None and since is None else total
                rows += came
                for each in turn.items:
                    moment = each.get(by) if isinstance(each, dict) else None
                    if isinstance(moment, str):
                        at_last = at_last if moment == last else set()
                        last = moment
                        at_last.add(str(each.get("user_id")))
                ended = not came or (wanted is not None and rows >= wanted)
                stuck = page == MOST // PAGE - 1 and last == lower and not ended
                if ended and wanted is not None and rows < wanted:
                    turn.gaps.append(f"/users ended after {rows} of {wanted} rows")
                if stuck:
                    turn.gaps.append(f"more than {MOST} users have the {by} {last}: the rest of them cannot be listed")
                turn.items = [each for each in turn.items if not _is_one_of(each, seen)]
                turn.total = total
                yield turn
                if ended or stuck:
                    return
            lower, seen = last, frozenset(at_last)

    def counted(self, path: str, key: str, *, total: bool) -> Iterator[Turn]:
        """Pages by number. `total`: the count is of all that the runner counts under this kind of object."""

        def fetch(start: int) -> Turn:
            query = {"per_page": PAGE, "page": start // PAGE, "include_totals": "true"}
            rows, body = self._rows(self.http.request("GET", f"{path}?{urlencode(query)}"), key)
            return Turn(rows, total=_number(body.get("total")))

        def id_of(row: Any) -> str | None:
            return row.get("id") if isinstance(row, dict) else None

        for turn in counted(fetch, what=f"/{path}", id_of=id_of, parameter="page", size=PAGE):
            turn.total = turn.total if total else None
            yield turn

    def checkpoints(self, path: str, key: str) -> Iterator[Turn]:
        """Pages by `next`, which is asked for as `from`: the only way past 1,000 rows here."""

        def fetch(mark: str) -> Turn:
            query = {"take": PAGE, **({"from": mark} if mark else {})}
            rows, body = self._rows(self.http.request("GET", f"{path}?{urlencode(query)}"), key)
            follow = body.get("next")
            return Turn(rows, next=follow if isinstance(follow, str) and follow else None)

        return followed("", fetch, what=f"/{path.removeprefix('api/v2/').partition('/')[0]}/… {key}")

    def _users(self, page: int, size: int, query: str | None, by: str, fields: Sequence[str]) -> Turn:
        given = {"per_page": size, "page": page, "include_totals": "true", "sort": f"{by}:1", "search_engine": "v3"}
        text = urlencode(
            {**given, "fields": ",".join(fields), "include_fields": "true", **({"q": query} if query else {})}
        )
        rows, body = self._rows(self.http.request("GET", f"api/v2/users?{text}"), "users")
        return Turn(rows, total=_number(body.get("total")))

    def _rows(self, answer: Answer, key: str) -> tuple[list[Any], dict[str, Any]]:
        body = answer.json()
        rows = body.get(key) if isinstance(body, dict) else None
        if not isinstance(rows, list):
            raise TerminalError(
                f"{answer.what} gave no list of {key}",
                remedy="`url` must be https://TENANT.REGION.auth0.com",
                **self.place,
            )
        return rows, body


def _is_one_of(user: Any, seen: frozenset[str]) -> bool:
    return isinstance(user, dict) and str(user.get("user_id")) in seen


def _number(found: Any) -> int | None:
    return found if isinstance(found, int) and not isinstance(found, bool) else None
