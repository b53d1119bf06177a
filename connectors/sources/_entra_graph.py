"""The way to Microsoft Graph for `entra`: clouds, tokens, pages of listings and deltas, resource units. What rows mean is in `_entra_records`."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from connectors.answer import Answer
from connectors.assertions import Signer, client_assertion, signer
from connectors.auth import Grant, client_credentials
from connectors.http import Http
from connectors.pacing import number
from connectors.paging import Turn, followed
from connectors.source import CursorLost, SourceContext
from connectors.throttling import Throttling, by_percentage, by_status
from core.errors import TerminalError, TransientError

if TYPE_CHECKING:
    from connectors.sources.entra import EntraSettings

# learn.microsoft.com/graph/deployments: login and Graph of each national cloud. GCC uses the global ones.
CLOUDS = {
    "global": ("https://login.microsoftonline.com", "https://graph.microsoft.com/v1.0"),
    "usgov": ("https://login.microsoftonline.us", "https://graph.microsoft.us/v1.0"),
    "dod": ("https://login.microsoftonline.us", "https://dod-graph.microsoft.us/v1.0"),
    "china": ("https://login.chinacloudapi.cn", "https://microsoftgraph.chinacloudapi.cn/v1.0"),
}
WINDOW_SECONDS = 10.0  # in which resource units are counted
LONGEST_SECONDS = 600.0
SPREAD_SECONDS = 60.0  # many tenants reset at once are read again over a minute, not in one
LISTING = 999  # the most that $top may be
INNER = 20  # requests of a batch
LOST = frozenset({"syncstatenotfound", "syncstateinvalid", "resyncrequired", "directory_invalidtoken"})  # in lower case
BATCH = {"Content-Type": "application/json"}
EVENTUAL = {"ConsistencyLevel": "eventual"}
# Pages of deltas are as long as the service likes; it may listen to a wish (learn.microsoft.com/graph/delta-query-users).
WISH = {"Prefer": f"odata.maxpagesize={LISTING}"}
REMEDIES = {
    7000215: "The client secret is wrong: give its value, not its id",
    7000222: "The client secret has ended: create another one under Certificates & secrets",
    700016: "The client id is not of this tenant: check client_id and tenant_id",
    90002: "There is no such tenant in this cloud: check tenant_id and cloud",
    700027: "The certificate is not registered on the app, or has ended: upload it under Certificates & secrets",
    500011: "Graph of another cloud: check cloud, url and resource",
    53003: "A Conditional Access policy keeps the app out: exclude it from the policy",
}


class Meter:
    """Resource units used so far, and the fullest that the vendor called our bucket (1.0 is its limit)."""

    def __init__(self) -> None:
        self.units, self.fullest = 0.0, 0.0
        self._lock = threading.Lock()
        self._slower = by_percentage("x-ms-throttle-limit-percentage", start=0.8, full_seconds=WINDOW_SECONDS)

    def saw(self, headers: Mapping[str, str]) -> float:
        """Counts an answer; returns for how long nobody should send."""
        with self._lock:
            self.units += number(headers.get("x-ms-resource-unit")) or 0.0
            self.fullest = max(self.fullest, number(headers.get("x-ms-throttle-limit-percentage")) or 0.0)
        return self._slower(headers)


class GraphClient:
    """One tenant of one cloud. Close it."""

    def __init__(self, settings: EntraSettings, context: SourceContext) -> None:
        self.place: dict[str, Any] = {"tenant": context.tenant}
        self.meter = Meter()
        login_url, url = CLOUDS[settings.cloud]
        login_url, url = settings.login_url or login_url, settings.url or url
        resource = settings.resource or url.rstrip("/").rpartition("/")[0]
        common: dict[str, Any] = {
            "place": self.place,
            "ca_bundle": settings.ca_bundle,
            "proxy": settings.proxy,
            "transport": context.transport,
        }
        self.signer: Signer | None = None
        assertion = None
        path = f"{settings.tenant_id}/oauth2/v2.0/token"
        if pem := context.secrets.get("certificate"):
            self.signer = signer(pem, place=self.place, field="certificate")
            assertion = client_assertion(
                self.signer,
                client_id=settings.client_id,
                audience=f"{login_url.rstrip('/')}/{path}",
                algorithm=settings.algorithm,
                header={"x5t#S256": self.signer.thumbprint} if self.signer.certificate else {},
            )
        secret = context.secrets.get("client_secret")
        self._login = Http(login_url, secrets=[secret] if secret else (), **common)
        ask = client_credentials(
            self._login,
            path,
            client_id=settings.client_id,
            secret=secret,
            assertion=assertion,
            explain=remedy,
            scope=f"{resource}/.default",
        )
        self.grant = Grant(ask)
        self.http = Http(
            url,
            credential=self.grant,
            headers={"x-ms-throttle-priority": "Low"},
            throttling=Throttling(
                classify=by_status(429, 509, words=("x-ms-throttle-information", "x-ms-throttle-scope")),
                foresee=self.meter.saw,
                first_seconds=WINDOW_SECONDS / 2,
                longest_seconds=LONGEST_SECONDS,
            ),
            rate=settings.rate,
            retries=6,
            **common,
        )

    def close(self) -> None:
        """Lets go of connections."""
        self._login.close()
        self.http.close()

    def listing(self, path: str, what: str, **query: str | int) -> Iterator[Turn]:
        """Every page of a listing, at most 999 rows each."""
        first = f"{path}?{_query({'$top': LISTING, **query})}"
        return followed(first, lambda url: self._turn(self.http.request("GET", url)), what=what)

    def round(self, kind: str, link: str | None, **query: str) -> Iterator[Turn]:
        """Every page of a delta round, from `link` or from nothing. `body` of the last one is where the next round starts.

        CursorLost when the vendor no longer knows the link (410, or `syncStateNotFound` after seven days).
        """
        first = link or f"{kind}/delta?{_query(query)}"

        def fetch(url: str) -> Turn:
            answer = self.http.request("GET", url, headers=WISH, ok=(200, 400, 410))
            if answer.status != 200:
                raise self._lost(answer, kind)
            turn = self._turn(answer)
            found = answer.json().get("@odata.deltaLink")
            turn.body = found if isinstance(found, str) else None
            if turn.next is None and turn.body is None:
                turn.gaps.append(f"/{kind}/delta ended without a link for the next round: pages may be missing")
            return turn

        return followed(first, fetch, what=f"/{kind}/delta")

    def count(self, kind: str) -> int | None:
        """The vendor's own count of users or groups, from an index that lags; None when it gives none."""
        answer = self.http.request("GET", f"{kind}/$count", headers={**EVENTUAL, "Accept": "text/plain"})
        text = answer.content.decode("utf-8-sig", "replace").strip()
        return int(text) if text.isdecimal() else None

    def batch(self, urls: Mapping[str, str]) -> Iterator[tuple[str, Turn]]:
        """Many first pages in few requests, 20 to each; whatever was throttled or failed inside is asked again alone."""
        names = list(urls)
        for start in range(0, len(names), INNER):
            chosen = names[start : start + INNER]
            asked = [{"id": str(place), "method": "GET", "url": f"/{urls[name]}"} for place, name in enumerate(chosen)]
            answer = self.http.request("POST", "$batch", json={"requests": asked}, headers=BATCH, safe=True)
            inner = answer.json().get("responses", [])
            sound = {str(each.get("id")): each.get("body") for each in inner if each.get("status") == 200}
            for place, name in enumerate(chosen):
                body = sound.get(str(place))
                if isinstance(body, dict) and isinstance(body.get("value"), list):
                    yield name, Turn(body["value"], next=_text(body.get("@odata.nextLink")))
                else:
                    yield name, self._turn(self.http.request("GET", urls[name]))

    def one(self, path: str, *, ok: tuple[int, ...] = (200,)) -> Answer:
        """A single object."""
        return self.http.request("GET", path, ok=ok)

    def further(self, link: str, what: str) -> Iterator[Turn]:
        """The pages behind a next link."""
        return followed(link, lambda url: self._turn(self.http.request("GET", url)), what=what)

    def _turn(self, answer: Answer) -> Turn:
        body = answer.json()
        value = body.get("value") if isinstance(body, dict) else None
        if not isinstance(value, list):
            raise TerminalError(
                f"{answer.what} gave no collection",
                remedy="`url` must be the address of Microsoft Graph down to its version",
                **self.place,
            )
        return Turn(value, next=_text(body.get("@odata.nextLink")))

    def _lost(self, answer: Answer, kind: str) -> Exception:
        code = code_of(answer)
        if answer.status == 410 or (code or "").lower() in LOST:
            return CursorLost(
                f"/{kind}/delta no longer knows where we were ({code or answer.status})",
                remedy="Nothing to do: everything is read",
                spread_seconds=SPREAD_SECONDS,
                **self.place,
            )
        if code == "Directory_ExpiredPageToken":
            return TransientError(f"{answer.what}: the page token ended while we read", **self.place)
        return answer.error(remedy="See docs/vendors/entra.md")


def _query(options: Mapping[str, str | int]) -> str:
    """Query options; a space is %20, as OData does not read a plus as one."""
    return urlencode(options, safe="$,", quote_via=quote)


def code_of(answer: Answer) -> str | None:
    """`error.code` of an error body."""
    try:
        body = answer.json()
    except TransientError:
        return None
    error = body.get("error") if isinstance(body, dict) else None
    return _text(error.get("code")) if isinstance(error, dict) else None


def remedy(answer: Answer) -> str | None:
    """What to do about a refused login, by its AADSTS code."""
    try:
        body = answer.json()
    except TransientError:
        return None
    codes = body.get("error_codes") if isinstance(body, dict) else None
    return next((REMEDIES[each] for each in codes or [] if each in REMEDIES), None)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
