"""PingOne: the rig of the suite that all sources share, and what is this vendor's own."""

import json
from datetime import datetime

import httpx
import pytest

from connectors.http import Http
from connectors.source import SourceContext
from connectors.sources._pingone_records import to_account
from connectors.sources.pingone import PingOne, PingOneSettings
from core.model import ExtractKind, Verdict
from sandbox.pingone import PingOne as Standin
from sandbox.pingone import attributes
from sandbox.seen import Seen, SeenUser, of_world
from sandbox.world import company
from state.landing import read_part
from tasks.extract import extract
from tests.vendors import Trouble, Wire

NOW = datetime.fromisoformat("2026-11-24T09:00")
SECRET = "s3cr3t-of-the-rig"
CANNOT = {}
THROTTLED = ("retry_after", "unsaid")
LATER = "2026-11-24T10:00:00.000Z"


def planted(world, **more):
    """A stand-in whose environment `corp` holds the world of the contract suite, under its own ids, five rows a page."""
    standin = Standin([Seen("corp", "corp.example", ())], most=5, **more)
    here = standin.tenants["corp"]
    here.secret = SECRET
    for each in world.users:
        seen = SeenUser(each.id, each.user_name, each.email, each.display_name, employee_number=each.employee_number)
        here.put(each.id, **{**attributes(seen), "enabled": each.active})
    for place, each in enumerate(world.twins):
        here.users[f"twin{place}"] = {**here.users[each.id], "name": {"formatted": each.display_name}}
    for native_id, name in world.groups:
        here.groups[native_id] = {"id": native_id, "name": name}
    for group, member, kind in world.edges:
        if kind == "user":
            here.members.setdefault(group, []).append(member)
        else:
            here.parents.setdefault(member, []).append(group)
    return standin


def rig(world, _folder, fault):
    """The stand-in behind a mock transport, with pages of five users, and the fault on the wire."""
    standin = planted(world, empty=fault == "empty_page")
    wire = Wire(standin)
    here = standin.tenants["corp"]

    def forget():
        here.tokens.clear()
        here.secret = "another"

    def after(request, response):
        url = json.loads(response.content)["_links"]["next"]["href"]
        return httpx.Request("GET", url, headers=request.headers)

    def throttled(**headers):
        return lambda: httpx.Response(429, headers=headers, json={"code": "REQUEST_LIMITED", "message": "slower"})

    Trouble(
        fault,
        wire,
        users=lambda request: request.url.path.endswith("/users") and "filter" not in request.url.params,
        login=lambda request: request.url.path.endswith("/as/token"),
        rows=lambda body: body["_embedded"]["users"],
        after=after,
        revoke=here.tokens.clear,
        forget=forget,
        throttled={"retry_after": throttled(**{"Retry-After": "8"}), "unsaid": throttled()},
        nameless=[{"id": None, "username": "nameless@corp.example", "enabled": True}] * world.nameless,
    )
    return opened(wire, secret=SECRET)


def opened(wire, tenant="corp", *, secret=None, **settings):
    """A source of an environment of the stand-in behind the wire."""
    known = wire.standin.announcement()
    given = known["tenants"][tenant]
    found = PingOneSettings(
        environment_id=given["environment_id"],
        client_id=given["client_id"],
        client_secret="env:SECRET",
        url=known["url"],
        login_url=known["login_url"],
        employee_number="externalId",
        **settings,
    )
    secrets = {"client_secret": secret or given["client_secret"]}
    return PingOne(found, SourceContext(tenant, NOW, secrets, transport=wire.transport()))


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setitem(Http.__init__.__kwdefaults__, "sleep", lambda _seconds: None)


@pytest.fixture
def standin():
    """The demo's company as two PingOne environments."""
    world = company()
    return Standin([of_world(world, "corp"), of_world(world, "acquired")])


def read(source, root, extract_id, cursor=None):
    """One extract, and its landed accounts, groups and edges."""
    manifest = extract(
        source,
        tenant="corp",
        root=root,
        extract_id=extract_id,
        cursor_before=cursor,
        full=cursor is None,
        now=lambda: NOW,
        sleep=lambda _seconds: None,
    )
    source.close()
    return manifest, *(read_part(root, manifest, name) for name in ("accounts", "groups", "memberships"))


def test_an_environment_is_read_whole(standin, tmp_path):
    """Everybody, groups, direct members and nested groups, with the vendor's own counts."""
    manifest, accounts, groups, edges = read(opened(Wire(standin)), tmp_path, "e1")
    seen = of_world(company(), "corp")
    assert (manifest.verdict, manifest.reasons) == (Verdict.COMPLETE, ())
    assert manifest.claimed == {"accounts": len(seen.users), "groups": len(seen.groups)}
    assert (accounts.height, groups.height, edges.height) == (len(seen.users), len(seen.groups), seen.edges)
    assert accounts["active"].sum() == sum(each.enabled for each in seen.users)


def test_a_delta_is_what_moved(standin, tmp_path):
    """A disabled user, a new one, a group's new member and a group that went: in a delta, and nobody else."""
    here = standin.tenants["corp"]
    first, *_ = read(opened(Wire(standin)), tmp_path, "e1")
    moved, group = next(iter(here.users)), next(group for group, inside in here.members.items() if inside)
    here.put(moved, enabled=False, updatedAt=LATER)
    here.put("new", username="new@corp.example", createdAt=LATER, updatedAt=LATER)
    here.members[group].append("new")
    gone = next(each for each in here.groups if each != group and each not in here.parents and not any(each in inside for inside in here.parents.values()))  # fmt: skip
    del here.groups[gone], here.members[gone]
    manifest, accounts, groups, edges = read(opened(Wire(standin)), tmp_path, "e2", first.cursor_after)
    assert (manifest.kind, manifest.verdict, manifest.reasons) == (ExtractKind.DELTA, Verdict.COMPLETE, ())
    states = dict(accounts.select("native_id", "active").iter_rows())
    assert (states[moved], states["new"]) == (False, True)
    assert groups.filter("tombstone")["native_id"].to_list() == [gone]
    assert ("new",) in edges.filter(group_id=group).select("member_id").rows()


def test_a_deletion_leads_to_a_full_read(standin, tmp_path):
    """PingOne says nothing of deleted users: the count that fell short does, even where somebody came meanwhile."""
    here = standin.tenants["corp"]
    first, everybody, *_ = read(opened(Wire(standin)), tmp_path, "e1")
    gone = next(iter(here.users))
    here.delete(gone)
    here.put("new", username="new@corp.example", createdAt=LATER, updatedAt=LATER)
    manifest, accounts, *_ = read(opened(Wire(standin)), tmp_path, "e2", first.cursor_after)
    assert manifest.kind is ExtractKind.FULL
    assert "some were deleted" in " ".join(manifest.reasons)
    assert set(everybody["native_id"]) - set(accounts["native_id"]) == {gone}


def test_other_settings_lose_the_cursor(standin, tmp_path):
    """What was read without nested groups is no ground for a delta with them."""
    first, *_ = read(opened(Wire(standin), nested=False), tmp_path, "e1")
    manifest, *_ = read(opened(Wire(standin)), tmp_path, "e2", first.cursor_after)
    assert manifest.kind is ExtractKind.FULL


def test_each_environment_has_its_own_worker(standin, tmp_path):
    """The secret of one environment opens no other, and is not shown."""
    wrong = opened(Wire(standin), "acquired", secret="very-secret-word")
    manifest, *_ = read(wrong, tmp_path, "e1")
    assert manifest.verdict is Verdict.FAILED
    assert "very-secret-word" not in " ".join(manifest.reasons)


@pytest.mark.parametrize(
    ("told", "word", "active"),
    [
        ({"enabled": True}, "ENABLED", True),
        ({"enabled": False}, "DISABLED", False),
        ({"enabled": True, "account": {"status": "LOCKED"}}, "LOCKED", True),
        ({"enabled": False, "account": {"status": "LOCKED"}}, "DISABLED", False),
    ],
)
def test_statuses(told, word, active):
    """Disabled is off; a lock passes by itself."""
    row = to_account({"id": "u", **told})
    assert (row["status"], row["active"]) == (word, active)


def test_a_user_without_enabled_is_set_aside(standin, tmp_path):
    """Nobody's activity is guessed: such a record is kept aside."""
    standin.tenants["corp"].users["odd"] = {"id": "odd", "username": "odd", "createdAt": LATER, "updatedAt": LATER}
    manifest, accounts, *_ = read(opened(Wire(standin)), tmp_path, "e1")
    assert manifest.verdict is Verdict.SUSPECT
    assert "enabled is missing" in " ".join(manifest.reasons)
    assert "odd" not in accounts["native_id"]


def test_check_tells_counts_and_cost(standin):
    """`check --live`: what may be read, which role is enough, what a full read takes."""
    source = opened(Wire(standin))
    told = {each.subject: (each.level, each.text) for each in source.check()}
    source.close()
    assert told["users"] == ("ok", f"{len(standin.tenants['corp'].users)} may be read")
    assert "Identity Data Read Only" in told["permission"][1]
