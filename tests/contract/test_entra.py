import json
import random
import tempfile
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from urllib.parse import parse_qs

import httpx
import pytest
from pydantic import ValidationError

from connectors.http import Http
from connectors.source import CursorLost, Page, SourceContext
from connectors.sources._entra_graph import CLOUDS
from connectors.sources.entra import Entra, EntraSettings
from core.frames import BIT
from core.model import ExtractKind, Manifest, Verdict
from sandbox.graph import Graph
from sandbox.graph_limits import Units
from sandbox.graph_rounds import Quirks
from sandbox.graph_tenant import user
from sandbox.seen import Seen, SeenGroup, SeenUser, guid, of_world
from sandbox.world import company
from state.landing import read_part
from state.store import Store
from tasks.extract import extract
from tasks.read import REBUILT, full_due, full_every
from tests.entra import NOW, opened, read
from tests.vendors import Wire, changed

SECRET = "s3cr3t-of-the-rig"
CANNOT = {"twins": "a round of deltas may tell of a user twice, and the later word counts; tested below"}
THROTTLED = ("retry_after", "unsaid")
SMALL = Quirks(page=5, slice=3, empty_every=3, replay=2)


def planted(world, quirks=SMALL):
    """A stand-in whose tenant `corp` holds the world of the contract suite, under its own ids."""
    graph = Graph([Seen("corp", "corp.example", ())], quirks=quirks)
    graph.app("corp").secret = SECRET
    tenant = graph.tenants["corp"]
    for each in world.users:
        seen = SeenUser(each.id, each.user_name, each.email, each.display_name, employee_number=each.employee_number)
        tenant.users[each.id] = user(replace(seen, enabled=each.active), each.id, "corp.example")
    for native_id, name in world.groups:
        tenant.groups[native_id] = {"id": native_id, "displayName": name, "groupTypes": [], "securityEnabled": True}
    for group, member, kind in world.edges:
        tenant.members[group][member] = kind
    return graph


def rig(world, _folder, fault):
    """The Graph stand-in behind a mock transport, with pages of five users, and the fault on the wire."""
    graph = planted(world, replace(SMALL, empty_every=2 if fault == "empty_page" else 0))
    wire = Wire(graph, *trouble(fault, world, graph))
    known, given = graph.announcement(), graph.announcement()["tenants"]["corp"]
    settings = EntraSettings(
        tenant_id=given["tenant_id"],
        client_id=given["client_id"],
        client_secret="env:SECRET",
        url=known["url"],
        login_url=known["login_url"],
    )
    return Entra(settings, SourceContext("corp", NOW, {"client_secret": SECRET}, transport=wire.transport()))


def trouble(fault, world, graph):
    """What is done on the wire, before the stand-in is asked and after."""
    kind, _, form = (fault or "").partition(":")
    count = {"users": 0}

    def before(request, number):
        users = request.url.path.endswith("/users/delta")
        count["users"] += users
        if kind == "unauthorised" and "/login/" in request.url.path:
            return httpx.Response(401, json={"error": "invalid_client", "error_description": f"AADSTS7000215 {SECRET}"})
        if kind == "gone" and users:
            return httpx.Response(404, json={"error": {"code": "Request_ResourceNotFound", "message": "no such thing"}})
        if kind == "timeout" or (kind == "slow_once" and users and count["users"] == 2):
            raise httpx.ReadTimeout("too late")
        if kind == "revoked" and users and count["users"] > 1:
            graph.login.revoke()
            graph.login.apps.clear()
        if kind == "token_ends" and users and count["users"] == 2:
            graph.login.revoke()
        if kind == "throttled" and users and count["users"] in {2, 3}:
            wait = {"Retry-After": "8"} if form == "retry_after" else {}
            return httpx.Response(429, headers=wait, json={"error": {"code": "TooManyRequests", "message": "slower"}})
        if users and count["users"] > 1 and kind in {"html", "truncated"}:
            text = "<!DOCTYPE html><title>Sign in</title>" if kind == "html" else '{"value": [{"id": "u'
            return httpx.Response(200, text=text, headers={"content-type": "application/json"})
        return None

    def after(request, response):
        if not request.url.path.endswith("/users/delta") or response.status_code != 200:
            return response
        body = json.loads(response.content)
        if count["users"] == 1:
            body["value"] += [{"userPrincipalName": "nameless@corp.example"}] * world.nameless
        if count["users"] == 2 and kind == "dropped_page":
            follow = httpx.Request("GET", body["@odata.nextLink"], headers=request.headers)
            return Wire(graph).served(follow)
        if count["users"] == 2 and kind == "repeated_page":
            body["value"] = before_last["value"]
        if kind == "changed_order":
            body["value"].reverse()
        before_last.update(body)
        return httpx.Response(200, json=body)

    before_last = {}
    return before, after


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setitem(Http.__init__.__kwdefaults__, "sleep", lambda _seconds: None)


@pytest.fixture
def graph():
    """The demo's company as two Entra tenants, with every habit of the real service."""
    world = company()
    quirks = Quirks(page=60, slice=40, empty_every=3, replay=2)
    return Graph([of_world(world, "corp"), of_world(world, "acquired")], quirks=quirks)


def test_a_tenant_is_read_whole(graph, tmp_path):
    """Members, guests with their home, externals, nested groups: as the world has them, each once, with the vendor's own count."""
    manifest, accounts, groups, edges = read(opened(Wire(graph)), tmp_path, "e1")
    seen = of_world(company(), "corp")
    assert (manifest.verdict, manifest.reasons) == (Verdict.COMPLETE, ())
    assert manifest.claimed == {"accounts": 300, "groups": len(seen.groups)}
    assert (accounts.height, groups.height, edges.height) == (300, len(seen.groups), seen.edges)
    kinds = {guid("corp", each.key): each.kind for each in seen.users}
    homes = {guid("corp", each.key): each.home_email for each in seen.users if each.kind == "guest"}
    assert {row["native_id"] for row in accounts.rows(named=True) if row["user_type"] == "guest"} == set(homes)
    for row in accounts.rows(named=True):
        if kinds[row["native_id"]] == "guest":
            assert row["home_email"] == homes[row["native_id"]]


def test_two_tenants_never_mix(graph, tmp_path):
    """Two tenants under one base URL are each behind their own token, and show only their own."""
    wire = Wire(graph)
    ids = {}
    for name in ("corp", "acquired"):
        _, accounts, _, _ = read(opened(wire, name), tmp_path / name, "e1")
        ids[name] = set(accounts["native_id"])
        assert ids[name] == set(graph.tenants[name].users)
    assert not ids["corp"] & ids["acquired"]


def test_one_login_serves_a_whole_read(graph, tmp_path):
    """A token is asked for once a read, every request says Low, and no user and no group costs a request of its own."""
    wire = Wire(graph)
    manifest, *_ = read(opened(wire), tmp_path, "e1")
    logins = [each for each in wire.asked if "/login/" in each.url.path]
    others = [each for each in wire.asked if "/login/" not in each.url.path]
    assert len(logins) == 1
    assert {each.headers["x-ms-throttle-priority"] for each in others} == {"Low"}
    assert {each.url.path.rpartition("v1.0/")[2] for each in others} == {
        "users/delta", "users/$count", "groups/delta", "groups/$count", "directory/deletedItems/microsoft.graph.user",
    }  # fmt: skip
    assert manifest.pages > 20


def test_the_bin_is_explicit_evidence(graph, tmp_path):
    """Deleted users come as tombstones with their time, are not counted as there, and whoever was restored is there."""
    tenant = graph.tenants["corp"]
    gone, back = list(tenant.users)[:2]
    tenant.delete("users", gone)
    tenant.delete("users", back)
    tenant.restore(back)
    manifest, accounts, _, _ = read(opened(Wire(graph)), tmp_path, "e1")
    assert (manifest.verdict, manifest.accounts) == (Verdict.COMPLETE, 299)
    rows = {row["native_id"]: row for row in accounts.rows(named=True)}
    assert (rows[gone]["tombstone"], rows[gone]["deleted_at"]) == (True, datetime.fromisoformat("2026-11-24T08:00"))
    assert (rows[back]["tombstone"], rows[back]["active"]) == (False, True)


def test_one_user_is_asked_for_at_once(graph):
    """A user by id in one request; a deleted one is a tombstone with its time; a user name is no id; withheld values clear nothing."""
    tenant = graph.tenants["corp"]
    there, gone = list(tenant.users)[:2]
    tenant.delete("users", gone)
    wire = Wire(graph)
    source = opened(wire)
    (page,) = source.one(there)
    assert (page.rows[0]["native_id"], page.rows[0]["active"]) == (there, True)
    assert len([each for each in wire.paths if each.startswith("GET")]) == 1
    (page,) = source.one(gone)
    assert page.rows[0] == {"native_id": gone, "tombstone": True, "deleted_at": "2026-11-24T08:00:00Z"}
    assert list(source.one(tenant.users[there]["userPrincipalName"])) == []
    source.close()
    graph.app("corp").roles = frozenset({"User.ReadBasic.All", "GroupMember.Read.All"})
    source = opened(Wire(graph))
    (page,) = source.one(there)
    assert (list(page.rows), len(page.gaps), page.rejected[0].native_id) == ([], 1, there)
    source.close()


def test_a_delta_tells_what_moved(graph, tmp_path):
    """A change, a deletion, a purge, a joiner and a leaver of a group come by delta; replays beside them do no harm."""
    wire = Wire(graph)
    first, *_ = read(opened(wire), tmp_path, "e1")
    tenant = graph.tenants["corp"]
    changed_, binned, purged, moved = list(tenant.users)[:4]
    group = next(each for each, inside in tenant.members.items() if moved not in inside and len(inside) > 3)
    left = next(each for each in tenant.members[group] if each not in {changed_, binned, purged})
    tenant.put("users", {"id": changed_, "accountEnabled": False, "jobTitle": None})
    tenant.delete("users", binned)
    tenant.delete("users", purged)
    tenant.purge(purged)
    tenant.bind(group, moved)
    tenant.unbind(group, left)
    wire.asked.clear()
    manifest, accounts, _, edges = read(opened(wire), tmp_path, "e2", first.cursor_after)
    assert (manifest.kind, manifest.verdict, manifest.cursor_before) == (
        ExtractKind.DELTA,
        Verdict.COMPLETE,
        first.cursor_after,
    )
    rows = {row["native_id"]: row for row in accounts.rows(named=True)}
    assert (rows[changed_]["active"], rows[changed_]["title"]) == (False, None)
    assert rows[changed_]["present"] & BIT["title"]
    assert rows[binned]["tombstone"]
    assert rows[purged]["tombstone"]
    told = {(each["group_id"], each["member_id"]): each["removed"] for each in edges.rows(named=True)}
    assert (told[group, moved], told[group, left]) == (False, True)
    quiet, accounts, _, edges = read(opened(wire), tmp_path, "e3", manifest.cursor_after)
    assert quiet.verdict is Verdict.COMPLETE
    assert accounts.height <= 2
    assert len(wire.asked) < 40


def test_members_in_slices_are_all_there(tmp_path):
    """A group of a thousand members, told of in slices at any place of the round, is read with every one of them once."""
    people = tuple(SeenUser(f"p{n}", f"p{n}@big.example", f"p{n}@big.example", f"P {n}") for n in range(1_000))
    groups = (SeenGroup("all", "All", tuple(each.key for each in people)), SeenGroup("few", "Few", ("p1",)))
    graph = Graph([Seen("corp", "big.example", people, groups)], quirks=Quirks(page=50, slice=40))
    manifest, _, landed, edges = read(opened(Wire(graph)), tmp_path, "e1")
    assert (manifest.verdict, landed.height, edges.height) == (Verdict.COMPLETE, 2, 1_001)
    assert landed["name"].to_list().count("All") == 1


def test_a_twin_in_a_round_is_the_later_word(graph, tmp_path):
    """A user whom a round tells of twice is what the later record says, and the read is complete."""
    victim = next(iter(graph.tenants["corp"].users))

    def after(request, response):
        if request.url.path.endswith("/users/delta") and b"deltaLink" in response.content:
            again = {**graph.tenants["corp"].users[victim], "displayName": "The Later Word"}
            return changed(response, lambda body: body["value"].append(again))
        return response

    manifest, accounts, _, _ = read(opened(Wire(graph, after=after)), tmp_path, "e1")
    assert manifest.verdict is Verdict.COMPLETE
    (name,) = accounts.filter(accounts["native_id"] == victim)["display_name"]
    assert name == "The Later Word"


@pytest.mark.parametrize("how", ["reset", "expired", "forged", "permissions", "settings"])
def test_a_lost_cursor_is_a_full_read(graph, tmp_path, how):
    """410 with Location, a token older than seven days, one that is not known, other rights, other settings: everything is read."""
    first, *_ = read(opened(Wire(graph)), tmp_path, "e1")
    cursor = first.cursor_after
    if how == "reset":
        graph.tenants["corp"].reset = True
    elif how == "expired":
        graph.skew = 8 * 86_400
    elif how == "forged":
        cursor = cursor.replace("deltatoken=", "deltatoken=AAAA")
    elif how == "permissions":
        graph.app("corp").roles |= {"Member.Read.Hidden"}
    more = {"groups": (next(iter(graph.tenants["corp"].groups)),)} if how == "settings" else {}
    slept = []
    manifest, accounts, _, _ = read(opened(Wire(graph), **more), tmp_path, "e2", cursor, sleep=slept.append)
    assert (manifest.kind, manifest.verdict, accounts.height) == (ExtractKind.FULL, Verdict.COMPLETE, 300)
    assert any("everything was read, because" in each for each in manifest.reasons)
    assert manifest.cursor_after is not None
    assert (0 < sum(slept) <= 60) == (how in {"reset", "expired", "forged"})


def test_forced_full_reads_of_many_tenants_are_spread():
    """Tenants whose cursors the vendor forgets at one moment start their full reads at different seconds."""

    def seconds(name):
        source = LostAtOnce()
        slept = []
        extract(
            source, tenant=name, root=source.root, extract_id="e1", cursor_before="x", full=False, now=lambda: NOW,
            sleep=slept.append,
        )  # fmt: skip
        return sum(slept)

    waits = [seconds(f"tenant-{place}") for place in range(20)]
    assert len(set(waits)) == 20
    assert max(waits) < 60


class LostAtOnce:
    """A source that knows nobody and no cursor."""

    def __init__(self):
        self.root = Path(tempfile.mkdtemp())

    def delta(self, _cursor):
        raise CursorLost("forgotten", spread_seconds=60)
        yield

    def accounts(self):
        yield Page("accounts", [{"native_id": "a"}], 1)

    groups = memberships = lambda self: iter(())


def test_a_withheld_value_is_never_cleared(graph, tmp_path):
    """When the permission shrinks to basic profiles, nulls come in place of values: nobody is read as disabled or emptied."""
    first, before, _, _ = read(opened(Wire(graph)), tmp_path, "e1")
    graph.app("corp").roles = frozenset({"User.ReadBasic.All", "GroupMember.Read.All"})
    manifest, accounts, _, _ = read(opened(Wire(graph), deleted=False), tmp_path, "e2", first.cursor_after)
    assert (manifest.verdict, accounts.filter(~accounts["tombstone"]).height) == (Verdict.PARTIAL, 0)
    assert any("User.Read.All" in each for each in manifest.reasons)
    assert manifest.cursor_after is None
    assert before["active"].any()


def test_counts_that_lag_are_a_doubt_and_those_that_differ_a_gap(graph, tmp_path):
    """One user more in the index than in the round is suspect and keeps the cursor; fifty are partial and keep it not."""
    for many, verdict in ((1, Verdict.SUSPECT), (50, Verdict.PARTIAL)):

        def after(request, response, many=many):
            if request.url.path.endswith("/users/$count"):
                return httpx.Response(200, text=str(300 + many))
            return response

        manifest, *_ = read(opened(Wire(graph, after=after)), tmp_path / str(many), "e1")
        assert manifest.verdict is verdict
        assert (manifest.cursor_after is not None) == (verdict is Verdict.SUSPECT)


def test_a_round_that_dies_midway_starts_over(graph, tmp_path):
    """When the page token ends in the middle of a delta, the cursor stays where it was and the next read succeeds."""
    first, *_ = read(opened(Wire(graph)), tmp_path, "e1")
    tenant = graph.tenants["corp"]
    for each in list(tenant.users)[:20]:
        tenant.put("users", {"id": each, "jobTitle": "Other"})

    def before(request, _number):
        if "users/delta?$skiptoken" in str(request.url).replace("%24", "$"):
            return httpx.Response(400, json={"error": {"code": "Directory_ExpiredPageToken", "message": "too old"}})
        return None

    graph.rounds.quirks = SMALL
    manifest, *_ = read(opened(Wire(graph, before)), tmp_path, "e2", first.cursor_after)
    assert (manifest.verdict, manifest.cursor_after) == (Verdict.PARTIAL, first.cursor_after)
    again, accounts, _, _ = read(opened(Wire(graph)), tmp_path, "e3", manifest.cursor_after)
    assert (again.kind, again.verdict, accounts.height >= 20) == (ExtractKind.DELTA, Verdict.COMPLETE, True)


def test_pages_in_a_circle_end(graph, tmp_path):
    """A next link that leads back is followed no more, and the read is partial."""

    def after(request, response):
        if request.url.path.endswith("/users/delta") and "skiptoken" in str(request.url):
            return changed(response, lambda body: body.update({"@odata.nextLink": str(request.url)}))
        return response

    wire = Wire(graph, after=after)
    manifest, *_ = read(opened(wire), tmp_path, "e1")
    assert manifest.verdict is Verdict.PARTIAL
    assert any("circle" in each for each in manifest.reasons)
    assert len([each for each in wire.paths if each.endswith("/users/delta")]) < 5


def test_only_chosen_groups_are_read(graph, tmp_path):
    """`groups` is asked of the vendor as a filter, of at most 50 ids; members come with them and nothing else."""
    chosen = list(graph.tenants["corp"].groups)[:2]
    wire = Wire(graph)
    manifest, accounts, groups, edges = read(opened(wire, groups=tuple(chosen)), tmp_path, "e1")
    assert (manifest.verdict, accounts.height, sorted(groups["native_id"])) == (Verdict.COMPLETE, 300, sorted(chosen))
    assert set(edges["group_id"]) <= set(chosen)
    (first,) = [str(each.url) for each in wire.asked if "$filter" in str(each.url)]
    assert "%20or%20id%20eq%20" in first
    assert "+" not in first
    manifest, *_ = read(opened(wire, groups=(*chosen, guid("nobody"))), tmp_path, "e2")
    assert manifest.verdict is Verdict.SUSPECT
    assert manifest.reasons == (f"group {guid('nobody')} of `groups` is not there",)
    with pytest.raises(ValidationError, match="at most 50"):
        opened(wire, groups=(chosen[0],) * 51)
    with pytest.raises(ValidationError, match="pattern"):
        opened(wire, groups=("x' or startswith(displayName,'a",))


def test_an_app_is_a_group_of_those_it_is_assigned_to(graph, tmp_path):
    """Assigned users, and direct users of assigned groups (not nested ones), by batches; in a delta the whole list again."""
    tenant = graph.tenants["corp"]
    nesting = next(each for each, inside in tenant.members.items() if "group" in inside.values())
    others = [each for each in tenant.groups if each != nesting][:30]
    direct = list(tenant.users)[-3:]
    app = guid("app")
    tenant.apps[app] = {"appId": guid("appId"), "displayName": "Jira", "assigned": [nesting, *others, *direct]}
    graph.app("corp").roles |= {"Application.Read.All"}
    wire = Wire(graph)
    manifest, _, groups, edges = read(opened(wire, app=guid("appId")), tmp_path, "e1")
    wanted = {m for g in (nesting, *others) for m, kind in tenant.members[g].items() if kind == "user"} | set(direct)
    assert manifest.verdict is Verdict.COMPLETE
    assert set(edges.filter(edges["group_id"] == app)["member_id"]) == wanted
    assert groups.filter(groups["native_id"] == app).select("name", "kind").rows() == [("Jira", "app")]
    assert len([each for each in wire.paths if each.endswith("$batch")]) == -(-(1 + len(others)) // 20)
    assert not [each for each in wire.paths if each.endswith("/members/microsoft.graph.user")]
    tenant.apps[app]["assigned"] = direct
    delta, _, groups, edges = read(opened(wire, app=guid("appId")), tmp_path, "e2", manifest.cursor_after)
    assert delta.kind is ExtractKind.DELTA
    assert groups.filter(groups["native_id"] == app)["members_complete"].to_list() == [True]
    assert set(edges.filter(edges["group_id"] == app)["member_id"]) == set(direct)


def test_throttled_parts_of_a_batch_are_asked_again_alone(graph, tmp_path):
    """A batch whose outer answer is 200 may hold 429s: those are asked again, and nobody is missed."""
    tenant = graph.tenants["corp"]
    chosen = list(tenant.groups)[:4]
    tenant.apps[guid("app")] = {"appId": guid("appId"), "displayName": "Jira", "assigned": chosen}
    graph.app("corp").roles |= {"Application.Read.All"}

    def after(request, response):
        if request.url.path.endswith("$batch"):
            return changed(response, lambda body: body["responses"][1].update(status=429, body={"error": {}}))
        return response

    wire = Wire(graph, after=after)
    manifest, _, _, edges = read(opened(wire, app=guid("appId")), tmp_path, "e1")
    wanted = {m for g in chosen for m, kind in tenant.members[g].items() if kind == "user"}
    assert manifest.verdict is Verdict.COMPLETE
    assert set(edges.filter(edges["group_id"] == guid("app"))["member_id"]) == wanted
    assert len([each for each in wire.paths if each.endswith("/members/microsoft.graph.user")]) == 1


def test_settings_name_their_fault():
    """Both proofs, no proof, and an id that is none are refused."""
    good = {"tenant_id": "t.example", "client_id": guid("x")}
    for wrong, words in (
        ({}, "either client_secret or certificate"),
        ({"client_secret": "env:A", "certificate": "env:B"}, "either client_secret or certificate"),
        ({"client_secret": "plain"}, "literal secret"),
        ({"client_secret": "env:A", "client_id": "x"}, "pattern"),
        ({"client_secret": "env:A", "cloud": "moon"}, "global"),
    ):
        with pytest.raises(ValidationError, match=words):
            EntraSettings(**(good | wrong))


@pytest.mark.parametrize("cloud", ["global", "usgov", "dod", "china"])
def test_each_cloud_has_its_own_hosts(cloud):
    """A cloud's login gives tokens for its own Graph, and every request stays on these two hosts."""
    asked = []

    def answer(request):
        asked.append(request)
        if request.method == "POST":
            return httpx.Response(200, json={"access_token": "t", "expires_in": 3599})
        return httpx.Response(200, json={"value": [], "@odata.deltaLink": str(request.url)})

    settings = EntraSettings(tenant_id="t.example", client_id=guid("x"), client_secret="env:A", cloud=cloud)
    source = Entra(settings, SourceContext("corp", NOW, {"client_secret": "s"}, transport=httpx.MockTransport(answer)))
    list(source.accounts())
    source.close()
    login, graph = CLOUDS[cloud]
    assert {f"https://{each.url.host}" for each in asked} == {login, graph.removesuffix("/v1.0")}
    scope = parse_qs(asked[0].content.decode())["scope"]
    assert scope == [f"{graph.removesuffix('/v1.0')}/.default"]


class Moving:
    """Random days of a tenant: joiners, leavers, renames, group changes, restores and purges."""

    def __init__(self, tenant, seed):
        self.tenant, self.random = tenant, random.Random(seed)

    def day(self):
        for _ in range(self.random.randint(0, 8)):
            getattr(
                self,
                self.random.choice(
                    ("_joiner", "_change", "_leaver", "_restore", "_purge", "_bind", "_unbind", "_group")
                ),
            )()

    def _one(self, among):
        return self.random.choice(sorted(among)) if among else None

    def _joiner(self):
        native_id = guid("joiner", str(self.random.random()))
        name = f"{native_id[:8]}@corp.example"
        seen = SeenUser(native_id, name, name, f"Joiner {native_id[:4]}")
        self.tenant.put("users", user(seen, native_id, "corp.example"))

    def _change(self):
        values = {"accountEnabled": self.random.random() < 0.5, "jobTitle": self.random.choice((None, "A", "B"))}
        self.tenant.put("users", {"id": self._one(self.tenant.users), **values})

    def _leaver(self):
        self.tenant.delete("users", self._one(self.tenant.users))

    def _restore(self):
        if native_id := self._one([each for each, (kind, _) in self.tenant.bin.items() if kind == "users"]):
            self.tenant.restore(native_id)

    def _purge(self):
        if native_id := self._one(self.tenant.bin):
            self.tenant.purge(native_id)

    def _bind(self):
        self.tenant.bind(self._one(self.tenant.groups), self._one({**self.tenant.users, **self.tenant.groups}))

    def _unbind(self):
        group = self._one([each for each, inside in self.tenant.members.items() if inside])
        if group:
            self.tenant.unbind(group, self._one(self.tenant.members[group]))

    def _group(self):
        if self.random.random() < 0.4 and len(self.tenant.groups) > 4:
            self.tenant.delete("groups", self._one(self.tenant.groups))
        else:
            name = f"Group {self.random.randint(0, 99)}"
            self.tenant.put("groups", {"displayName": name, "groupTypes": [], "securityEnabled": True})


def picture(store):
    """What the state knows to be there, by native ids: accounts with all their values, groups, edges."""
    accounts, groups, edges = store.accounts(), store.groups(), store.memberships()
    names = (
        dict(accounts.select("account_key", "native_id").rows()),
        dict(groups.select("group_key", "native_id").rows()),
    )
    values = [name for name in accounts.columns if name not in {"account_key", "tenant_key", "present", "gone"}]
    there = accounts.filter(accounts["gone"].is_null())
    return (
        {row["native_id"]: row for row in there.select(values).rows(named=True)},
        dict(groups.filter(groups["gone"].is_null()).select("native_id", "name").rows()),
        {(names[1][group], names[nested][member]) for group, member, nested in edges.rows()},
    )


@pytest.mark.parametrize("seed", range(3))
def test_deltas_build_what_a_full_read_shows(tmp_path, seed):
    """After random days read by delta, with replays, slices and a lost cursor among them, the state is that of one full read."""
    seen = of_world(company(seed, corp=90, acquired=90, shared=30), "corp")
    graph = Graph([seen], quirks=Quirks(page=30, slice=20, empty_every=4, replay=3))
    tenant = graph.tenants["corp"]
    moving, cursor, kinds = Moving(tenant, seed), None, set()
    at = [NOW]

    def now():
        at[0] += timedelta(minutes=1)
        return at[0]

    with Store.open(tmp_path / "state", purpose="test", now=now) as store:
        for day in range(8):
            manifest, *_ = read(opened(Wire(graph)), tmp_path / "landing", f"e{day}", cursor, now=now)
            assert manifest.verdict is Verdict.COMPLETE, manifest.reasons
            kinds.add(manifest.kind)
            taken = store.consolidate(manifest, partial(read_part, tmp_path / "landing", manifest), "r1", now())
            assert taken.accepted, taken.reason
            cursor = store.cursor("corp")
            assert cursor == manifest.cursor_after
            if day < 7:
                moving.day()
            tenant.reset = day == 4
        built = picture(store)
        manifest, *_ = read(opened(Wire(graph)), tmp_path / "landing", "full", now=now)
        taken = store.consolidate(manifest, partial(read_part, tmp_path / "landing", manifest), "r1", now())
        assert "differ" not in taken.reason
        tenant.put("users", {"id": min(tenant.users), "jobTitle": "Told by no delta"})
        manifest, *_ = read(opened(Wire(graph)), tmp_path / "landing", "other", now=now)
        taken = store.consolidate(manifest, partial(read_part, tmp_path / "landing", manifest), "r1", now())
        assert "0 added, 1 changed, 0 gone" in taken.reason
    tenant.put("users", {"id": min(tenant.users), "jobTitle": built[0][min(tenant.users)]["title"]})
    assert kinds == {ExtractKind.FULL, ExtractKind.DELTA}
    with Store.open(tmp_path / "fresh", purpose="test", now=now) as store:
        manifest, *_ = read(opened(Wire(graph)), tmp_path / "again", "full", now=now)
        store.consolidate(manifest, partial(read_part, tmp_path / "again", manifest), "r1", now())
        assert picture(store) == built


def test_a_full_read_is_due_after_its_span():
    """Deltas go on for six days; a full read that proved nothing is repeated after a day; without any there is no cursor."""

    def landed(kind, verdict, days, name="e"):
        at = NOW - timedelta(days=days)
        return Manifest(name, "corp", kind, None, None, at, at, 1, 0, 0, 0, {}, (), verdict, ())

    full, delta = ExtractKind.FULL, ExtractKind.DELTA
    week = timedelta(days=6)
    for extracts, due in (
        ([], False),
        ([landed(full, Verdict.COMPLETE, 5)], False),
        ([landed(full, Verdict.COMPLETE, 6), landed(delta, Verdict.COMPLETE, 0)], True),
        ([landed(full, Verdict.COMPLETE, 7), landed(full, Verdict.SUSPECT, 0.5)], False),
        ([landed(full, Verdict.COMPLETE, 7), landed(full, Verdict.SUSPECT, 1)], True),
        ([landed(full, Verdict.COMPLETE, 7), landed(full, Verdict.FAILED, 0)], True),
        ([landed(full, Verdict.SUSPECT, 0.5)], False),
        ([landed(full, Verdict.COMPLETE, 7), landed(full, Verdict.COMPLETE, 0, f"e{REBUILT}")], True),
    ):
        assert full_due(extracts, week, NOW) is due
    assert full_every(Entra, None) == week
    assert full_every(Entra, timedelta(days=30)) == week
    assert full_every(Entra, timedelta(days=2)) == timedelta(days=2)
    assert full_every(LostAtOnce, None) == timedelta(days=7)


def test_throttling_of_the_stand_in_is_borne(tmp_path):
    """A bucket of few units gives 429s with and without a wait; the read slows down, asks again and is complete."""
    for silent in (False, True):
        seen = of_world(company(), "corp")
        graph = Graph([seen], quirks=Quirks(page=10, slice=10, empty_every=0), units=30, silent=silent)
        now = [0.0]
        graph.units = Units(30, silent=silent, clock=lambda now=now: now[0])
        wire = Wire(graph)
        source = opened(wire)
        for http in (source.graph.http, source.graph._login):
            http._sleep = lambda seconds, now=now: now.__setitem__(0, now[0] + seconds)
            http._pace._clock = lambda now=now: now[0]
        manifest, accounts, _, _ = read(source, tmp_path / str(silent), "e1")
        assert (manifest.verdict, accounts.height) == (Verdict.COMPLETE, 300)
        assert source.graph.meter.fullest > 0.8
        assert source.graph.meter.units >= manifest.pages / 2
