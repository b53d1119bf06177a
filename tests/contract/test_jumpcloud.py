"""JumpCloud: the rig of the suite that all sources share, and what is this vendor's own."""

from datetime import datetime

import httpx
import pytest

from connectors.http import Http
from connectors.source import SourceContext
from connectors.sources._jumpcloud_records import to_account, to_member
from connectors.sources.jumpcloud import JumpCloud, JumpCloudSettings
from core.model import Verdict
from sandbox.jumpcloud import JumpCloud as Standin
from sandbox.jumpcloud import record
from sandbox.seen import Seen, SeenUser, of_world
from sandbox.world import company
from state.landing import read_part
from tasks.extract import extract
from tests.vendors import Trouble, Wire

NOW = datetime.fromisoformat("2026-11-24T09:00")
SECRET = "s3cr3t-of-the-rig"
CANNOT = {
    "token_ends": "a key lives until an administrator ends it: another one comes by hand",
    "empty_page": "by rows to skip, an empty page is the end",
}
THROTTLED = ("retry_after", "unsaid")


def planted(world):
    """A stand-in whose organisation `corp` holds the world of the contract suite, under its own ids, five rows a page."""
    standin = Standin([Seen("corp", "corp.example", ())], most=5)
    here = standin.tenants["corp"]
    standin.keys = {SECRET: "corp"}
    for each in world.users:
        seen = SeenUser(each.id, each.user_name, each.email, each.display_name, employee_number=each.employee_number)
        here.users[each.id] = {**record(seen, each.id), "suspended": not each.active}
    for place, each in enumerate(world.twins):
        here.users[f"twin{place}"] = {**here.users[each.id], "displayname": each.display_name}
    for place in range(world.nameless):
        here.users[f"nameless{place}"] = {"_id": None, "username": "nameless@corp.example", "state": "ACTIVATED"}
    for native_id, name in world.groups:
        here.groups[native_id] = {"id": native_id, "name": name, "type": "user_group"}
        here.members[native_id] = [
            (member, {"user": "user", "group": "user_group"}[kind])
            for group, member, kind in world.edges
            if group == native_id
        ]
    return standin


def rig(world, _folder, fault):
    """The stand-in behind a mock transport, with pages of five users, and the fault on the wire."""
    standin = planted(world)
    wire = Wire(standin)

    def after(request, _response):
        skip = int(request.url.params["skip"]) + 5
        return httpx.Request("GET", request.url.copy_set_param("skip", skip), headers=request.headers)

    def throttled(**headers):
        return lambda: httpx.Response(429, headers=headers, json={"message": "Too Many Requests"})

    Trouble(
        fault,
        wire,
        users=lambda request: request.url.path == "/api/systemusers",
        rows=lambda body: body["results"],
        after=after,
        forget=standin.keys.clear,
        throttled={"retry_after": throttled(**{"Retry-After": "8"}), "unsaid": throttled()},
    )
    return opened(wire, key=SECRET)


def opened(wire, tenant="corp", *, key=None, **settings):
    """A source of an organisation of the stand-in behind the wire."""
    known = wire.standin.announcement()
    key = key or known["tenants"][tenant]["api_key"]
    found = JumpCloudSettings(url=known["url"], api_key="env:SECRET", **settings)
    return JumpCloud(found, SourceContext(tenant, NOW, {"api_key": key}, transport=wire.transport()))


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setitem(Http.__init__.__kwdefaults__, "sleep", lambda _seconds: None)


@pytest.fixture
def standin():
    """The demo's company as two JumpCloud organisations."""
    world = company()
    return Standin([of_world(world, "corp"), of_world(world, "acquired")])


def read(source, root):
    """One full read, and its landed accounts, groups and edges."""
    manifest = extract(
        source, tenant="corp", root=root, extract_id="e1", cursor_before=None, full=True, now=lambda: NOW
    )
    source.close()
    return manifest, *(read_part(root, manifest, name) for name in ("accounts", "groups", "memberships"))


@pytest.mark.parametrize("counts", [True, False])
def test_an_organisation_is_read_whole(standin, tmp_path, counts):
    """Everybody, groups, direct members and nested groups; also where version 2 does not count its rows."""
    standin.counts = counts
    wire = Wire(standin)
    manifest, accounts, groups, edges = read(opened(wire), tmp_path)
    seen = of_world(company(), "corp")
    assert (manifest.verdict, manifest.reasons) == (Verdict.COMPLETE, ())
    assert manifest.claimed["accounts"] == len(seen.users)
    assert (accounts.height, groups.height, edges.height) == (len(seen.users), len(seen.groups), seen.edges)
    assert accounts["active"].sum() == sum(each.enabled for each in seen.users)
    pages = -(-len(seen.users) // 100) + 1 + sum(max(1, -(-len(each.users) // 100)) for each in seen.groups)
    assert len(wire.asked) == pages


def test_rows_that_move_while_pages_are_turned_are_noticed(standin, tmp_path):
    """Somebody deleted between two pages shifts the rows after: one is missed, and the verdict says so."""
    users = standin.tenants["corp"].users
    standin.most = 20
    wire = Wire(standin)

    def before(request, _number):
        if request.url.path == "/api/systemusers" and request.url.params["skip"] == "20":
            users.pop(min(users), None)

    wire.before = before
    manifest, accounts, *_ = read(opened(wire), tmp_path)
    assert manifest.verdict is not Verdict.COMPLETE
    assert accounts.height == len(of_world(company(), "corp").users) - 1


def test_each_key_opens_its_own_organisation(standin, tmp_path):
    """The key of one organisation reads that one alone; a wrong key reads nobody and is not shown."""
    _, accounts, *_ = read(opened(Wire(standin), "acquired"), tmp_path / "a")
    assert accounts.height == len(of_world(company(), "acquired").users)
    manifest, *_ = read(opened(Wire(standin), key="very-secret-word"), tmp_path / "b")
    assert manifest.verdict is Verdict.FAILED
    assert "very-secret-word" not in " ".join(manifest.reasons)


@pytest.mark.parametrize(
    ("told", "word", "active"),
    [
        ({"state": "ACTIVATED", "suspended": False}, "ACTIVATED", True),
        ({"state": "ACTIVATED", "suspended": True}, "SUSPENDED", False),
        ({"state": "STAGED"}, "STAGED", False),
        ({"state": "SUSPENDED"}, "SUSPENDED", False),
        ({"activated": True}, "ACTIVATED", True),
        ({"activated": False}, "STAGED", False),
        ({"state": "ACTIVATED", "account_locked": True}, "ACTIVATED", True),
    ],
)
def test_states(told, word, active):
    """Suspended wins, staged may not come in yet, a lock is no end, and organisations without states are read as well."""
    row = to_account({"_id": "u", **told})
    assert (row["status"], row["active"]) == (word, active)


def test_an_empty_text_is_nothing():
    """JumpCloud writes "" for what is not set: null, never an empty name."""
    row = to_account({"_id": "u", "email": "", "employeeIdentifier": "", "firstname": "Ada", "lastname": ""})
    assert (row["email"], row["employee_number"], row["display_name"]) == (None, None, "Ada")


def test_devices_are_nobodys_members():
    """A graph edge to what is neither user nor group is left out without a word."""
    assert to_member({"to": {"id": "d", "type": "system"}}) is None
    assert to_member({"to": {"id": "g", "type": "user_group"}}) == ("g", "group")


def test_check_tells_counts_and_cost(standin):
    """`check --live`: what may be read, what is enough, what a full read takes."""
    source = opened(Wire(standin))
    told = {each.subject: (each.level, each.text) for each in source.check()}
    source.close()
    assert told["users"] == ("ok", f"{len(standin.tenants['corp'].users)} may be read")
    assert "Read Only" in told["permission"][1]
    assert "requests" in told["cost"][1]
