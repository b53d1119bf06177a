"""Hostile requests for the inbox's campaign: every route, method, parameter and header with every kind of body, from callers good and bad."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random
from urllib.parse import quote

from tests.campaign.hostile_texts import PERSON, Words

PREFIXES = ("/scim/v2",) * 8 + ("/plugins/servlet/usersync/scim",) * 2
NAMES = (
    ("Users",) * 20 + ("Groups",) * 17 + (".search", "ServiceProviderConfig", "ResourceTypes", "Schemas", "Bulk", "Me")
)
METHODS = ("GET",) * 14 + ("POST",) * 18 + ("PATCH",) * 22 + ("PUT",) * 12 + ("DELETE",) * 4 + ("HEAD", "OPTIONS", "TRACE", "PROPFIND", PERSON.upper())  # fmt: skip
STRAY = ("/", "/scim", "/scim/v2", "/scim/v2/", "/scim/v3/Users", "/healthz", "/readyz", "/healthz/x", "/scim/v2/Users/a/b", "/scim/v2//Users",
         "/scim/v2/Users//", "/scim/v2/%2e%2e/Users", "/scim/v2/Users/%2e%2e/%2e%2e", "/scim/v2/Users%2F1", "/scim/v2/corp%2FUsers",
         "/scim/v2/users", "/plugins/servlet/usersync", "/favicon.ico", "/.git/config", "/scim/v2/Users;x=1", "/scim/v2/Me/1")  # fmt: skip
SEGMENTS = ("corp", "acq", "west", "pool", "nobody", "CORP", "corp ", "a" * 300, "..", "corp;", "%00")
CONTENT_TYPES = (b"application/scim+json",) * 60 + (
    b"application/json", b"application/json; charset=utf-8", b"text/plain", b"", b"multipart/form-data; boundary=x", b"text/xml",
    b"application/x-www-form-urlencoded", b"\xff\xfe", b"application/scim+json;charset=utf-16",
)  # fmt: skip
AGENTS = (b"", b"Okta SCIM Client 1.0.0", b"OneLogin SCIM", b"\xff\xfe", b"keycloak", b"x" * 2000)


@dataclass(frozen=True)
class Hostile:
    """One request as it goes over the wire: `target` is path and query as written; `caller` whose token it bears, None for a bad one."""

    method: str
    target: str
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""
    caller: str | None = None
    address: str = "192.0.2.10"
    chunks: int = 1
    gone: bool = False

    def shown(self) -> str:
        """The request for a report, cut."""
        headers = [(name, value[:200]) for name, value in self.headers if name != b"authorization"]
        return (
            f"{self.method} {self.target[:600]} as {self.caller} from {self.address}\n{headers}\n{self.body[:1500]!r}"
        )


@dataclass
class Maker:
    """Draws requests. `tokens` by tenant; `seeds` makes the words, so that a round can be replayed."""

    random: Random
    tokens: dict[str, str]
    words: Words
    ended: tuple[str, ...] = ()
    known: dict[str, dict[str, list[str]]] = field(default_factory=dict)  # tenant -> Users, Groups -> ids

    def request(self) -> Hostile:
        """Any request."""
        words, caller = self.words, self.words.pick(tuple(self.tokens))
        words.ids = [each for kind in ("Users", "Groups") for each in self.known.get(caller, {}).get(kind, [])[-200:]]
        method, name = words.pick(METHODS), words.pick(NAMES)
        made = Hostile(method, "", caller=caller)
        if words.chance(0.02):
            made = replace(made, target=words.pick(STRAY))
        else:
            made = replace(made, target=self.path(caller, method, name) + self.query())
        if method in {"POST", "PUT", "PATCH"} or words.chance(0.05):
            made = replace(made, body=self.body(method, name, made.target), chunks=words.pick((1, 1, 1, 2, 5)), gone=words.chance(0.004))  # fmt: skip
        return replace(made, headers=self.headers(made.body)) if words.chance(0.9) else self.unknown(made)

    def path(self, caller: str, method: str, name: str) -> str:
        """A path to a collection, a record that is there or not, or something odd below."""
        words = self.words
        segment = f"/{caller}" if words.chance(0.2) else f"/{quote(words.pick(SEGMENTS))}" if words.chance(0.06) else ""
        path = words.pick(PREFIXES) + segment + f"/{name}"
        held = self.known.get(caller, {}).get(name, [])
        if method in {"PUT", "PATCH", "DELETE"} or words.chance(0.45 if method == "GET" else 0.05):
            if held and words.chance(0.85):
                path += "/" + words.pick(held[-50:])
            else:
                path += "/" + words.pick((quote(words.text(), safe=""), quote(words.some_id(), safe=""), "0", "%ff", "%00", "a" * 900, ".search", "%"))  # fmt: skip
        elif method == "POST" and words.chance(0.15):
            path += "/.search"
        return path + ("/" if words.chance(0.03) else "")

    def query(self) -> str:
        """Parameters: none mostly, usual ones, odd ones, doubled ones, broken ones."""
        words = self.words
        parts = []
        if words.chance(0.25):
            parts.append("filter=" + quote(words.filter(), errors="surrogatepass"))
        while words.chance(0.25):
            name = words.pick(("attributes", "excludedAttributes", "startIndex", "count", "cursor", "sortBy", "sortOrder", "COUNT", "filter"))  # fmt: skip
            value = words.pick(
                ("", "0", "1", "-1", "5", "1000", "1e3", "9" * 30, "x", "members", "userName,emails.value", quote(",".join(words.attribute() for _ in range(3))),
                 quote(words.text(), errors="surrogatepass"), "%ff", "%00", "%", "%u0041", "+", "AAAA", "a" * 3000)
            )  # fmt: skip
            parts.append(f"{name}={value}" if words.chance(0.95) else name)
        if words.chance(0.08):
            parts.append(words.pick(("aadOptscim062020", "aadOptscim062020=", "=", "&&", "a=b=c", "x" * 500, "&".join(["p=1"] * 101), "%00=1", "filter", "?", "a" * 9000)))  # fmt: skip
        return "?" + "&".join(parts) if parts else ""

    def body(self, method: str, name: str, target: str) -> bytes:
        """A body that nearly fits the request."""
        words = self.words
        if words.chance(0.03):
            return words.value()
        if method == "PATCH" and words.chance(0.95):
            return words.spoilt(words.patch())
        if "search" in target:
            pairs = [
                (words.pick(("filter", "count", "startIndex", "cursor", "attributes", "FILTER")), words.value())
                for _ in range(2)
            ]
            return words.spoilt(words.object([*pairs, ("filter", words.quoted(words.filter()))] if words.chance(0.5) else pairs))  # fmt: skip
        return words.spoilt(words.group() if name == "Groups" else words.user())

    def headers(self, body: bytes) -> tuple[tuple[bytes, bytes], ...]:
        """Usual headers, with something odd now and then. The token is added later."""
        words = self.words
        made = [(b"host", words.pick((b"inbox.example",) * 9 + (b"", b'x"><script>', b"a" * 300, b"\xff")))]
        if body:
            made.append((b"content-type", words.pick(CONTENT_TYPES)))
        if words.chance(0.3):
            made.append((b"user-agent", words.pick(AGENTS)))
        if words.chance(0.06):
            odd = words.pick(
                ((b"content-encoding", b"gzip"), (b"content-length", b"-1"), (b"content-length", b"9" * 20), (b"content-length", b"x"),
                 (b"accept", b"text/html"), (b"x-provider", b"acq"), (b"x-forwarded-for", b"203.0.113.7"), (b"expect", b"100-continue"),
                 (b"x-" + b"a" * 200, b"\x80" * 200), (b"accept-encoding", b"br"), (b"origin", b"https://evil.example"))
            )  # fmt: skip
            made.append(odd)
        if words.chance(0.06):
            name = words.pick((b"if-match", b"if-none-match"))
            made.append((name, words.pick((b"*", b'W/"1"', b'"1"', b"", b"\xff", b"W/", b",,,", words.text().encode("latin-1", "ignore").replace(b"\n", b"").replace(b"\r", b"")))))  # fmt: skip
        return tuple(made)

    def unknown(self, made: Hostile) -> Hostile:
        """The same without a token that is worth anything, from one of many addresses."""
        words = self.words
        good = self.tokens[words.pick(tuple(self.tokens))]
        bearer = words.pick(
            (None, b"", b"Bearer", b"Bearer ", b"Basic dXNlcjpwYXNz", b"Bearer ofi_000000000000_00", b"Bearer \xff\xfe", b"Bearer " + b"x" * 3000,
             f"Bearer {good[:-1]}".encode(), f"Bearer {good}0".encode(), f"Token {good}".encode(), f"Bearer {good.upper()}".encode(),
             *(f"Bearer {each}".encode() for each in self.ended))
        )  # fmt: skip
        headers = self.headers(made.body)
        if bearer is not None:
            headers = (*headers, (b"authorization", bearer))
        address = f"203.0.113.{words.random.randrange(256)}" if words.chance(0.5) else f"2001:db8::{words.random.randrange(1 << 16):x}"  # fmt: skip
        return replace(made, headers=headers, caller=None, address=address)
