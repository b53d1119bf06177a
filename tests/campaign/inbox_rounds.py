"""Rounds of the inbox's campaign: sends hostile requests to the ASGI application and judges every answer, the logs and the store."""

from __future__ import annotations

import json
import logging
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from urllib.parse import quote, unquote

from connectors.inbox.checkpoint import checkpoint, rebuild
from connectors.inbox.rules import Marks
from connectors.inbox.tokens import revoke
from connectors.inbox.wire import Limits
from tests.campaign.hostile_requests import Hostile, Maker
from tests.campaign.hostile_texts import PERSON, Words
from tests.inbox.conftest import Inbox

ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
SCIM_TYPES = {
    "invalidFilter", "tooMany", "uniqueness", "mutability", "invalidSyntax", "invalidPath", "noTarget", "invalidValue", "invalidVers",
    "sensitive", "invalidCursor", "expiredCursor", "invalidCount",
}  # fmt: skip
STATUSES = {200, 201, 204, 304, 400, 401, 403, 404, 405, 409, 412, 413, 414, 415, 429, 501}
SMALL = Limits(body_bytes=20_000, members=50, values=5, operations=10, most=30, page=10)
UUID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
MOMENT = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
VERSION = re.compile(rb'W/\\?"\d+\\?"')
SHARED = {"pool": {"corp": Marks(segment="corp"), "west": Marks(domains=("west.example",))}}
TENANTS = ("corp", "acq", "west")
CANARIES = 6


@dataclass(frozen=True)
class Answered:
    """An answer: `headers` with lower-case names."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes


class Broken(AssertionError):  # noqa: N818 - a broken promise, with what broke it
    """A promise of the inbox that an answer broke."""


@dataclass
class Round:
    """One store with its tenants, and what was seen. `seed` gives the same requests again."""

    folder: Path
    seed: int
    counted: Counter = field(default_factory=Counter)
    twins: int = 0

    def run(self, requests: int) -> None:
        """All of it. Broken, with seed, number and request, when a promise was broken."""
        chance = Random(f"inbox-{self.seed}")
        shared = SHARED if chance.random() < 0.25 else None
        self.path = self.folder / f"{self.seed}.sqlite"
        limits = SMALL if chance.random() < 0.6 else None
        self.inbox = Inbox(self.path, TENANTS, shared=shared, limits=limits)
        heard = _Heard()
        logging.getLogger().addHandler(heard)
        try:
            self._prepare(chance, (*TENANTS, *(shared or ())))
            self.inbox.run(self._all(requests))
            self._quiet(heard.lines)
            self._proven()
        finally:
            logging.getLogger().removeHandler(heard)
            self.inbox.close()

    def _prepare(self, chance: Random, callers: tuple[str, ...]) -> None:
        tokens = {name: self.inbox.token(name).text for name in callers}
        over = self.inbox.token("corp")
        self.inbox.run(self.inbox.store.run(revoke("corp", over.token_id, now=_now())))
        self.chance = chance
        self.maker = Maker(chance, tokens, Words(chance), (over.text,))
        self.canaries: dict[str, dict[str, list[str]]] = {}
        for tenant in ("corp", "acq"):
            caller = self.inbox.caller(tenant)
            names = [f"{PERSON}-canary-{tenant}-{place}" for place in range(CANARIES)]
            users = [caller.user(name, externalId=f"x{name}", title=name, emails=[{"value": f"{name}@canary.example", "type": "work"}]) for name in names]  # fmt: skip
            groups = [caller.group(f"g{name}", users[:3]) for name in names[:2]]
            self.canaries[tenant] = {"Users": users, "Groups": groups, "names": names}
        self.before = self._canary_state()

    def _canary_state(self) -> list[bytes]:
        """What the canaries' own tenants are told of them."""
        found = []
        for tenant in ("corp", "acq"):
            caller = self.inbox.caller(tenant)
            for kind in ("Users", "Groups"):
                found += [caller("GET", f"/{kind}/{each}").content for each in self.canaries[tenant][kind]]
        return found

    async def _all(self, requests: int) -> None:
        for number in range(requests):
            made = self.maker.request()
            try:
                if self.chance.random() < 0.12:
                    await self._twin()
                await self._one(made)
            except Broken as broken:
                raise Broken(f"seed {self.seed}, request {number}: {broken}\n{made.shown()}") from broken

    async def _one(self, made: Hostile) -> None:
        answer = await self._sent(made)
        self._judge(made, answer)
        self._learn(made, answer)

    async def _sent(self, made: Hostile) -> Answered:
        """Asks the application as uvicorn does."""
        raw, _, query = made.target.partition("?")
        headers = list(made.headers)
        if made.caller is not None:
            headers.append((b"authorization", f"Bearer {self.maker.tokens[made.caller]}".encode()))
        scope = {
            "type": "http", "method": made.method, "path": unquote(raw), "raw_path": raw.encode(), "query_string": query.encode(),
            "headers": headers, "client": (made.address, 40000), "scheme": "http", "http_version": "1.1", "root_path": "",
        }  # fmt: skip
        size = max(1, -(-len(made.body) // made.chunks))
        parts = [made.body[start : start + size] for start in range(0, len(made.body), size)] or [b""]
        messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
        messages[-1] = {"type": "http.disconnect"} if made.gone else {**messages[-1], "more_body": False}
        told: list[dict] = []

        async def receive() -> dict:
            return messages.pop(0) if messages else {"type": "http.disconnect"}

        async def send(message: dict) -> None:
            told.append(message)

        await self.inbox.service(scope, receive, send)
        start, *rest = told
        return Answered(start["status"], dict(start["headers"]), b"".join(each.get("body", b"") for each in rest))

    def _judge(self, made: Hostile, answer: Answered) -> None:
        """What holds for every answer."""
        self.counted[answer.status] += 1
        whole = f"{answer.status} {answer.body[:500]!r}"
        _expect(answer.status in STATUSES, f"an answer that no client knows: {whole}")
        _expect(answer.status != 501 or b"is not offered" in answer.body, whole)
        kind = answer.headers.get(b"content-type", b"")
        if answer.status >= 400:
            _expect(kind == b"application/scim+json", f"an error as {kind!r}: {whole}")
            told = json.loads(answer.body)
            _expect(told["schemas"] == [ERROR] and told["status"] == str(answer.status) and bool(told["detail"]), whole)
            _expect(told.get("scimType", "noTarget") in SCIM_TYPES, whole)
        elif answer.status in {204, 304}:
            _expect(not answer.body, whole)
        else:
            wanted = (
                b"application/json" if made.target.startswith(("/healthz", "/readyz")) else b"application/scim+json"
            )
            _expect(kind == wanted and isinstance(json.loads(answer.body), dict), whole)
        if made.caller is None and not made.target.startswith(("/healthz", "/readyz")):
            _expect(answer.status in {400, 401, 404, 414, 429}, f"without a token: {whole}")
            _expect(PERSON.encode() not in answer.body.lower(), f"without a token: {whole}")
        if made.caller in {"corp", "acq"}:
            other = b"canary-acq" if made.caller == "corp" else b"canary-corp"
            _expect(other not in answer.body, f"a word of another tenant: {whole}")

    def _learn(self, made: Hostile, answer: Answered) -> None:
        """Ids that were made, for later requests; those that are gone are kept a while."""
        if answer.status == 201 and made.caller is not None:
            kind = "Groups" if b"/Groups/" in answer.headers[b"location"] else "Users"
            held = self.maker.known.setdefault(made.caller, {}).setdefault(kind, [])
            held.append(json.loads(answer.body)["id"])
            del held[:-60]

    async def _twin(self) -> None:
        """One tenant asks for what another has and for what nobody has: but for what it sent itself, both answers are equal."""
        self.twins += 1
        mine, theirs = self.chance.sample(("corp", "acq"), 2)
        held = self.canaries[theirs]
        kind = self.chance.choice(("Users", "Groups"))
        way = self.chance.randrange(5)
        there = self.chance.choice(held["names"] if way in {1, 2} else held[kind])
        nowhere = self._elsewhere(there)
        if way == 0:
            pair = self._by_id(mine, kind, there, nowhere)
        elif way == 1:
            pair = self._by_filter(mine, kind, there, nowhere)
        elif way == 2:
            pair = self._created(mine, there, nowhere)
        elif way == 3:
            pair = self._segments(mine, theirs)
        else:
            pair = self._without_token(kind, there, nowhere)
        answers = [await self._sent(each) for each in pair]
        for each, answer in zip(pair, answers, strict=True):
            self._judge(replace(each, caller="pool" if way in {1, 2} else each.caller), answer)
        plain = [_plain(answer, (there, nowhere, theirs, "nobod")) for answer in answers]
        _expect(plain[0] == plain[1], f"{pair[0].shown()}\nis told {plain[0]}\n{pair[1].shown()}\nis told {plain[1]}")
        if way == 2:
            for answer in answers:
                if answer.status == 201:
                    gone = await self._sent(
                        Hostile("DELETE", f"/scim/v2/Users/{json.loads(answer.body)['id']}", caller=mine)
                    )
                    _expect(gone.status == 204, f"a record of one's own could not be deleted: {gone}")

    def _elsewhere(self, there: str) -> str:
        """As long, of the same letters, and nowhere."""
        return "".join(self.chance.choice("0123456789abcdef") if each in "0123456789abcdef" else each for each in there[:-6]) + f"{self.chance.randrange(1 << 24):06x}"  # fmt: skip

    def _by_id(self, mine: str, kind: str, there: str, nowhere: str) -> tuple[Hostile, Hostile]:
        words = self.maker.words
        words.ids = [there]
        method = words.pick(("GET", "GET", "PUT", "PATCH", "DELETE", "POST", "HEAD", "OPTIONS"))
        query = words.pick(("", "", "?attributes=id", "?excludedAttributes=members", "?aadOptscim062020", "?count=x"))
        body = words.spoilt(words.patch() if method == "PATCH" else words.user()) if method in {"PUT", "PATCH", "POST"} else b""  # fmt: skip
        segment = f"/{mine}" if words.chance(0.3) else ""
        made = Hostile(method, f"/scim/v2{segment}/{kind}/{there}{query}", self.maker.headers(body), body, mine)
        return made, _swapped(made, there, nowhere)

    def _by_filter(self, mine: str, kind: str, there: str, nowhere: str) -> tuple[Hostile, Hostile]:
        words = self.maker.words
        path = words.pick(("userName", "displayName", "externalId", "id", "title", "emails.value", 'emails[type eq "work"].value', "members", "manager", "groups.value"))  # fmt: skip
        first = words.pick((there, f"x{there}", f"g{there}", f"{there}@canary.example"))
        text = words.pick(("{0} eq {1}", "{0} EQ {1}", "{0} sw {1}", "{0} co {1}", "not ({0} eq {1})", "{0} eq {1} or active eq false", "{0} ne {1} and id pr")).format(path, json.dumps(first))  # fmt: skip
        if words.chance(0.25):
            body = json.dumps({"filter": text, "count": 5}).encode()
            made = Hostile("POST", words.pick((f"/scim/v2/{kind}/.search", "/scim/v2/.search")), self.maker.headers(b""), body, mine)  # fmt: skip
        else:
            made = Hostile("GET", f"/scim/v2/{kind}?filter={quote(text)}", self.maker.headers(b""), b"", mine)
        return made, _swapped(made, there, nowhere)

    def _created(self, mine: str, there: str, nowhere: str) -> tuple[Hostile, Hostile]:
        body = {
            "userName": there,
            "externalId": f"x{there}",
            "emails": [{"value": f"{there}@canary.example", "type": "work"}],
        }
        made = Hostile("POST", "/scim/v2/Users", ((b"content-type", b"application/scim+json"),), json.dumps(body).encode(), mine)  # fmt: skip
        return made, _swapped(made, there, nowhere)

    def _segments(self, mine: str, theirs: str) -> tuple[Hostile, Hostile]:
        words = self.maker.words
        nowhere = "nobod"[: len(theirs)]
        path = words.pick(("Users", "Groups", f"Users/{self.canaries[theirs]['Users'][0]}", "Schemas", "Bulk", "Users/.search", "x"))  # fmt: skip
        addresses = [f"198.51.{self.twins // 250 % 250}.{self.twins % 250}", f"198.52.{self.twins // 250 % 250}.{self.twins % 250}"]  # fmt: skip
        made = Hostile(
            words.pick(("GET", "POST", "DELETE")), f"/scim/v2/{theirs}/{path}", (), b"{}", mine, addresses[0]
        )
        return made, replace(made, target=f"/scim/v2/{nowhere}/{path}", address=addresses[1])

    def _without_token(self, kind: str, there: str, nowhere: str) -> tuple[Hostile, Hostile]:
        words = self.maker.words
        headers = ((b"authorization", words.pick((b"Bearer x", b"Bearer ofi_000000000000_00", b"Basic eA=="))),)
        addresses = [f"198.53.{self.twins // 250 % 250}.{self.twins % 250}", f"198.54.{self.twins // 250 % 250}.{self.twins % 250}"]  # fmt: skip
        made = Hostile(
            words.pick(("GET", "PUT", "DELETE")), f"/scim/v2/{kind}/{there}", headers, b"{}", None, addresses[0]
        )
        return made, replace(_swapped(made, there, nowhere), address=addresses[1])

    def _quiet(self, heard: list[str]) -> None:
        """Access lines are JSON; neither they nor the log speak of a person, nor of a fault."""
        for line in self.inbox.lines:
            _expect(
                set(json.loads(line)) == {"at", "tenant", "token", "method", "route", "status", "bytes", "ms"}, line
            )
        for line in (*self.inbox.lines, *heard):
            spoken = PERSON in line.lower() or "@" in line or UUID.search(line.encode()) is not None
            _expect(not spoken, f"seed {self.seed}: the log speaks of somebody: {line}")
        faults = [line for line in heard if "unexpected" in line]
        _expect(not faults, f"seed {self.seed}: {faults[:3]}")

    def _proven(self) -> None:
        """Nobody's canaries were touched; checkpoint and log give the live state, before and after a fresh checkpoint."""
        _expect(self.before == self._canary_state(), f"seed {self.seed}: another tenant's record was changed")
        for tenant_no, tenant in sorted(self.inbox.service.directory.names.items()):
            for _ in range(2):
                proof = rebuild(self.path, tenant)
                _expect(proof.equal, f"seed {self.seed}: {tenant}: {proof.differences}")
                checkpoint(self.path, tenant_no)
            self.counted["events"] += proof.seq


class _Heard(logging.Handler):
    """What was logged, as it would be written."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps the line, with its traceback."""
        self.lines.append(logging.Formatter("%(levelname)s %(name)s: %(message)s").format(record))


def _expect(holds: bool, words: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not holds:
        raise Broken(words)


def _swapped(made: Hostile, there: str, nowhere: str) -> Hostile:
    """The same about something that is nowhere."""
    target = made.target.replace(quote(there), quote(nowhere))
    headers = tuple((name, value.replace(there.encode(), nowhere.encode())) for name, value in made.headers)
    return replace(made, target=target, headers=headers, body=made.body.replace(there.encode(), nowhere.encode()))


def _plain(answer: Answered, sent: tuple[str, ...]) -> tuple[int, dict[bytes, bytes], bytes]:
    """The answer without what the client sent itself, ids that the server makes, times and version numbers."""

    def without(text: bytes) -> bytes:
        for each in sent:
            text = text.replace(each.encode(), b"SENT")
        return VERSION.sub(b"VERSION", MOMENT.sub(b"MOMENT", UUID.sub(b"ID", text)))

    headers = {name: without(value) for name, value in answer.headers.items() if name != b"content-length"}
    return answer.status, headers, without(answer.body)


def _now():
    from datetime import UTC, datetime

    return datetime.now(UTC)
