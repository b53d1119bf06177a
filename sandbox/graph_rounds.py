"""Rounds of delta queries at the Graph stand-in: opaque tokens, pages, slices of members, replays and resets."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from sandbox.graph_query import bad, envelope, filtered, shown
from sandbox.graph_tenant import GraphTenant, Kind
from sandbox.vendor import Refusal
from sandbox.wire import Answer

HOUR_SECONDS = 3_600  # tokens say the hour in which they were given: rounds of one hour share their pages
WEEK_SECONDS = 7 * 86_400
KEPT_PAGES = 4_096
SECRET = b"graph-stand-in"


@dataclass(frozen=True)
class Quirks:
    """Habits of the real service that a client must bear. `page`: objects of a page, `slice`: members of a group on one page.

    Every `empty_every`-th page of a round is empty and has a next link. A round repeats the `replay` newest changes of
    before it. `bin_first`: the first round begins with what is in the bin.
    """

    page: int = 200
    slice: int = 100
    empty_every: int = 3
    replay: int = 2
    bin_first: bool = True


PLAIN = Quirks(page=999, slice=2_000, empty_every=0, replay=0, bin_first=False)  # for figures


def sealed(content: dict[str, Any]) -> str:
    """An opaque token that cannot be altered."""
    body = json.dumps(content, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(hmac.digest(SECRET, body, "sha256")[:9] + body).rstrip(b"=").decode()


def opened(token: str) -> dict[str, Any]:
    """What a token holds. Raises Refusal for one that is not ours."""
    try:
        content = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except ValueError:
        content = b""
    if len(content) < 10 or not hmac.compare_digest(hmac.digest(SECRET, content[9:], "sha256")[:9], content[:9]):
        raise bad("Badly formed token.", "Directory_InvalidToken")
    found: dict[str, Any] = json.loads(content[9:])
    return found


@dataclass
class _Plan:
    """One round: what is on each page. An item is an object id and, of groups, its slice of members."""

    pages: list[list[tuple[str, list[tuple[str, str, bool]] | None]]]


@dataclass
class Rounds:
    """The delta queries of all tenants. `link` makes a whole URL of (kind, parameter, token)."""

    link: Callable[[Kind, str, str], str]
    clock: Callable[[], float]
    quirks: Quirks = field(default_factory=Quirks)
    _plans: OrderedDict[tuple[Any, ...], _Plan] = field(default_factory=OrderedDict)
    _rendered: OrderedDict[tuple[Any, ...], bytes] = field(default_factory=OrderedDict)

    def first(
        self, tenant: GraphTenant, kind: Kind, select: list[str] | None, filter_: str, *, latest: bool, hide: bool
    ) -> Answer:
        """The first call of a first round, or the link for "from now on"."""
        filtered(filter_, ids_only=True)
        state = {"t": tenant.tenant_id, "k": kind, "s": select, "f": filter_, "h": hide, "a": -1, "i": self._hour()}
        state |= {"v": tenant.version}
        if latest:
            return Answer(200, {"value": [], "@odata.deltaLink": self._delta_link(state)})
        return self._page(tenant, {**state, "p": 0})

    def again(self, tenant: GraphTenant, kind: Kind, token: str, *, delta: bool) -> Answer:
        """The page that a token stands for: the next of a round (`delta` False), or the first of the next round."""
        state = opened(token)
        if state["t"] != tenant.tenant_id or state["k"] != kind:
            raise bad("The token was given for another resource.", "Directory_InvalidToken")
        if tenant.reset:
            tenant.reset = False
            there = self.link(kind, "$deltatoken", "")
            text = "Resync required. Any differences between the client and server state need to be reconciled."
            raise Refusal(envelope(410, "resyncRequired", text).with_headers({"Location": there}))
        if self.clock() - state["i"] > WEEK_SECONDS:
            text = "The sync state generation is not found; continue a full synchronization."
            raise bad(text, "syncStateNotFound" if delta else "Directory_ExpiredPageToken")
        if delta:
            state |= {"a": state["v"], "v": tenant.version, "i": self._hour(), "p": 0}
        return self._page(tenant, state)

    def _hour(self) -> int:
        return int(self.clock() // HOUR_SECONDS) * HOUR_SECONDS

    def _delta_link(self, state: dict[str, Any]) -> str:
        return self.link(state["k"], "$deltatoken", sealed({each: state[each] for each in "tksfhvi"}))

    def _page(self, tenant: GraphTenant, state: dict[str, Any]) -> Answer:
        """One page as bytes; the same page of the same round is rendered once."""
        key = tuple(json.dumps(state[each]) for each in "tksfhavpi")
        if key in self._rendered and tenant.version == state["v"]:
            return Answer(200, self._rendered[key])
        plan = self._plan(tenant, state)
        number = state["p"]
        objects, gone = tenant.objects(state["k"]), tenant.gone
        value = []
        for native_id, members in plan.pages[number]:
            if native_id in objects:
                value.append(self._object(objects[native_id], members, state))
            elif native_id in gone:
                value.append({"id": native_id, "@removed": {"reason": gone[native_id][2]}})
        body: dict[str, Any] = {
            "@odata.context": f"{self.link(state['k'], '', '').partition('/' + state['k'])[0]}/$metadata#{state['k']}"
        }
        if number + 1 < len(plan.pages):
            body["@odata.nextLink"] = self.link(state["k"], "$skiptoken", sealed({**state, "p": number + 1}))
        else:
            body["@odata.deltaLink"] = self._delta_link(state)
        content = json.dumps({**body, "value": value}, ensure_ascii=False).encode()
        self._rendered[key] = content
        while len(self._rendered) > KEPT_PAGES:
            self._rendered.popitem(last=False)
        return Answer(200, content)

    @staticmethod
    def _object(
        found: dict[str, Any], members: list[tuple[str, str, bool]] | None, state: dict[str, Any]
    ) -> dict[str, Any]:
        names = state["s"] or [each for each in found if each != "id"]
        row = shown(found, [each for each in names if each not in {"members", "owners"}], never_set=False)
        if state["h"]:
            row |= {name: None for name in names if name not in {"id", *_VISIBLE}}
        if members:
            row["members@delta"] = [
                {"@odata.type": f"#microsoft.graph.{kind}", "id": native_id}
                | ({"@removed": {"reason": "deleted"}} if removed else {})
                for native_id, kind, removed in members
            ]
        return row

    def _plan(self, tenant: GraphTenant, state: dict[str, Any]) -> _Plan:
        key = (state["t"], state["k"], state["f"], state["a"], state["v"], "members" in (state["s"] or ["members"]))
        if key not in self._plans:
            items = self._whole(tenant, state) if state["a"] < 0 else self._moved(tenant, state)
            match = filtered(state["f"])
            wanted = [each for each in items if match({"id": each[0]})]
            self._plans[key] = _Plan(self._paged(wanted))
            while len(self._plans) > 64:
                self._plans.popitem(last=False)
        return self._plans[key]

    def _whole(self, tenant: GraphTenant, state: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        """The first round. Slices of a large group stand apart, those after the first behind all other groups."""
        kind: Kind = state["k"]
        if self.quirks.bin_first:
            yield from ((each, None) for each, (what, _, _) in tenant.gone.items() if what == kind)
        if kind == "users":
            yield from ((each, None) for each in list(tenant.users))
            return
        if "members" not in (state["s"] or ["members"]):
            yield from ((each, None) for each in list(tenant.groups))
            return
        size, later = self.quirks.slice, []
        for group in list(tenant.groups):
            inside = [(each, type_, False) for each, type_ in tenant.members.get(group, {}).items()]
            yield group, inside[:size]
            later += [(group, inside[start : start + size]) for start in range(size, len(inside), size)]
        later.sort(key=lambda each: hashlib.sha256(str(each[1][0]).encode()).digest())  # at any place in the sequence
        yield from later

    def _moved(self, tenant: GraphTenant, state: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        """What changed after version `a`, and again the newest changes of before it."""
        kind: Kind = state["k"]
        objects = tenant.objects(kind)
        after = state["a"] - self.quirks.replay
        moved = {each: version for each, version in tenant.changed.items() if version > after and each in objects}
        moved |= {each: at for each, (what, at, _) in tenant.gone.items() if what == kind and at > after}
        if kind == "users":
            yield from ((each, None) for each, _ in sorted(moved.items(), key=lambda pair: pair[1]))
            return
        edges: dict[str, list[tuple[str, str, bool]]] = {}
        if "members" in (state["s"] or ["members"]):
            for (group, member), (version, type_, removed) in tenant.edges.items():
                if version > after and group in objects:
                    edges.setdefault(group, []).append((member, type_, removed))
                    moved[group] = max(version, moved.get(group, 0))
        for group, _ in sorted(moved.items(), key=lambda pair: pair[1]):
            inside = edges.get(group) or []
            for start in range(0, max(1, len(inside)), self.quirks.slice):
                yield group, inside[start : start + self.quirks.slice] or None

    def _paged(self, items: list[tuple[str, Any]]) -> list[list[tuple[str, Any]]]:
        """Pages of at most `page` objects and about `slice` members each, with empty ones among them."""
        pages: list[list[tuple[str, Any]]] = [[]]
        members = 0
        for item in items:
            many = len(item[1] or ())
            if pages[-1] and (len(pages[-1]) >= self.quirks.page or members + many > self.quirks.slice):
                pages.append([])
                members = 0
                if self.quirks.empty_every and len(pages) % self.quirks.empty_every == 0:
                    pages.append([])
            pages[-1].append(item)
            members += many
        return pages


_VISIBLE = ("displayName", "givenName", "surname", "mail", "userPrincipalName")
