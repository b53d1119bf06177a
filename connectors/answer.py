"""What came back from a vendor: an answer that parses itself or explains why it cannot, and the words of an error body."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from core.errors import OnefoldError, RefusedError, TerminalError, TransientError

LONGEST = 300
# Where vendors put their words, in the order in which they are most telling: Jira, Okta, SCIM, Confluence and Crowd, OAuth.
WORDS = (
    "errorMessages",
    "errorSummary",
    "detail",
    "message",
    "error_description",
    "title",
    "errors",
    "error",
    "reason",
)
REMEDIES = {
    401: "The credential is wrong or expired; check the token and `onefold check --live`",
    403: "The credential lacks the right; see the vendor's page in docs/vendors and `onefold check --live`",
    407: "The proxy wants to be logged in to; check `proxy`",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer. `headers` ignores case; `what` names the request without its query's values."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    what: str
    place: Mapping[str, Any] = field(default_factory=dict)
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @property
    def html(self) -> bool:
        """True for a web page where data was expected: a proxy, a login page, maintenance."""
        return "text/html" in self.headers.get("content-type", "") or self.content[:64].lstrip().lower().startswith(
            (b"<!doctype html", b"<html")
        )

    @property
    def cut(self) -> bool:
        """True when a JSON body plainly stops before its end."""
        body = self.content.strip()
        ends = {b"{": b"}", b"[": b"]"}.get(body[:1])
        return ends is not None and not body.endswith(ends)

    def json(self) -> Any:
        """The body as JSON. TransientError when it is a web page, empty or cut short."""
        if self.html:
            raise TransientError(
                f"{self.what} gave a web page instead of JSON ({self.status})",
                remedy="A proxy, a login page or maintenance answered; check the url and try again",
                **self.place,
            )
        try:
            return json.loads(self.content)
        except ValueError as error:
            raise TransientError(
                f"{self.what} gave a body of {len(self.content)} bytes that is not whole JSON",
                remedy="It was cut on its way; try again, and look at the proxy if it stays",
                **self.place,
            ) from error

    @property
    def message(self) -> str:
        """The vendor's words about what went wrong: one line, shortened, without our secrets."""
        if self.html:
            found = re.search(rb"<title[^>]*>([^<]*)", self.content, re.IGNORECASE)
            title = found[1].decode("utf-8", "replace") if found else ""
            return self._tidy(f"a web page {title!r}" if title.strip() else "a web page")
        try:
            words = list(dict.fromkeys(_words(json.loads(self.content))))
        except ValueError:
            words = [self.content[: 4 * LONGEST].decode("utf-8", "replace")]
        return self._tidy("; ".join(words))

    def error(self, *, remedy: str | None = None, object: str | None = None) -> OnefoldError:  # noqa: A002 - our word
        """What to raise for this answer: RefusedError for rights, TransientError for 429 and 5xx, else TerminalError."""
        text = f"{self.what} answered {self.status}"
        if message := self.message:
            text += f": {message}"
        if self.status in REMEDIES:
            return RefusedError(text, remedy=remedy or REMEDIES[self.status], object=object, **self.place)
        if self.status == 429 or self.status >= 500:
            return TransientError(text, remedy=remedy, object=object, **self.place)
        return TerminalError(text, status=self.status, remedy=remedy, object=object, **self.place)

    def _tidy(self, text: str) -> str:
        for secret in self.secrets:
            text = text.replace(secret, "***")
        text = " ".join("".join(each if each.isprintable() else " " for each in text).split())
        return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _words(body: Any, depth: int = 0) -> Iterator[str]:
    """Every telling text of an error body, whichever of the vendors' shapes it has."""
    if isinstance(body, str):
        if body.strip():
            yield body.strip()
    elif isinstance(body, list):
        for each in body[:5]:
            yield from _words(each, depth + 1)
    elif isinstance(body, dict) and depth < 4:
        known = [name for name in WORDS if body.get(name)]
        for name in known:
            value = body[name]
            if name == "errors" and isinstance(value, dict):  # Jira: field -> text
                yield from (f"{key}: {text}" for key, text in list(value.items())[:5] if isinstance(text, str))
            else:
                yield from _words(value, depth + 1)
        if not known and "code" in body:
            yield str(body["code"])
