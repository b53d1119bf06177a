"""OneLogin: the rig of the suite that all sources share, and what is this vendor's own."""

import json
from datetime import datetime

import httpx
import pytest

from connectors.http import Http
from connectors.source import CursorLost, SourceContext
from connectors.sources._onelogin_records import STATUS, to_account
from connectors.sources.onelogin import OneLogin, OneLoginSettings
from core.model import ExtractKind, Verdict
from sandbox.onelogin import OneLogin as Standin
from sandbox.onelogin import number_of
from sandbox.seen import Seen, of_world
from sandbox.world import company
from state.landing import read_part
from tasks.extract import extract
from tests.vendors import Trouble, Wire

NOW = datetime.fromisoformat("2026-11-24T09:00")
SECRET = "s3cr3t-of-the-rig"
CANNOT = {}
NESTED = False  # a role holds users alone
THROTTLED = ("retry_after", "reset", "unsaid")
LATER = "2026-11-24T10:00:00.000Z"


def planted(world, **more):
    """A stand-in whose account `corp` holds the world of the contract suite, under its own ids, five rows a page."""
    standin = Standin([Seen("corp", "corp.example", ())], page=5, **more)
    account = standin.tenants["corp"]
    account.secret = SECRET
    for each in world.users:
        names = {"firstname": each.display_name, "custom_attributes": {"employee_number": each.employee_number}}
        account.put(each.id, username=each.user_name, email=each.email, status=1 if each.active else 2, **names)
    for place, each in enumerate(world.twins):
        account.users[f"twin{place}"] = {**account.users[each.id], "firstname": each.display_name}
    for native_id, name in world.groups:
        account.roles[native_id] = {"id": native_id, "name": name}
        account.members[native_id] = [member for group, member, _ in world.edges if group == native_id]
    return standin


def rig(world, _folder, fault):
    """The stand-in behind a mock transport, with pages of five users, and the fault on the wire."""
    standin = planted(world, empty=fault == "empty_page")
    wire = Wire(standin)
    account = standin.tenants["corp"]

    def forget():
        account.token, account.secret = "", "another"

    def revoke():
        account.token = ""

    def after(request, response):
        url = request.url.copy_set_param("cursor", response.headers["after-cursor"])
        return httpx.Request("GET", url, headers=request.headers)

    def throttled(**headers):
        return lambda: httpx.Response(429, headers=headers, json={"message": "rate limit exceeded"})

    Trouble(
        fault,
        wire,
        users=lambda request: request.url.path == "/corp/api/2/users",
        login=lambda request: request.url.path.endswith("/token"),
        rows=lambda body: body,
        after=after,
        revoke=revoke,
        forget=forget,
        throttled={
            "retry_after": throttled(**{"Retry-After": "8"}),
            "reset": throttled(**{"X-RateLimit-Limit": "5000", "X-RateLimit-Reset": "9"}),
            "unsaid": throttled(),
        },
        nameless=[{"id": None, "username": "nameless@corp.example"}] * world.nameless,
    )
    return opened(wire, secret=SECRET, employee_number="custom_attributes.employee_number")


def opened(wire, tenant="corp", *, secret=None, **settings):
    """A source of an account of the stand-in behind the wire."""
    given = wire.standin.announcement()["tenants"][tenant]
    secret = secret or given["client_secret"]
    found = OneLoginSettings(url=given["url"], client_id=given["client_id"], client_secret="env:SECRET", **settings)
    return OneLogin(found, SourceContext(tenant, NOW, {"client_secret": secret}, transport=wire.transport()))


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setitem(Http.__init__.__kwdefaults__, "sleep", lambda _seconds: None)


@pytest.fixture
def standin():
    """The demo's company as two OneLogin accounts."""
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


def test_an_account_is_read_whole(standin, tmp_path):
    """Everybody, roles as groups, their users: as the world has them, with the vendor's own counts, in pages and roles requests."""
    wire = Wire(standin)
    manifest, accounts, groups, edges = read(opened(wire), tmp_path, "e1")
    seen = of_world(company(), "corp")
    assert (manifest.verdict, manifest.reasons) == (Verdict.COMPLETE, ())
    assert manifest.claimed == {"accounts": len(seen.users), "groups": len(seen.groups)}
    assert (accounts.height, groups.height) == (len(seen.users), len(seen.groups))
    assert edges.height == sum(len(each.users) for each in seen.groups)
    assert accounts["active"].sum() == sum(each.enabled for each in seen.users)
    pages = -(-len(seen.users) // 100) + 1 + sum(max(1, -(-len(each.users) // 100)) for each in seen.groups)
    assert len(wire.asked) == pages + 1  # and the token


def test_each_account_has_its_own_token(standin, tmp_path):
    """The credential of one account opens no other."""
    wire = Wire(standin)
    wrong = opened(wire, "acquired", secret=standin.tenants["corp"].secret)
    manifest, *_ = read(wrong, tmp_path, "e1")
    assert manifest.verdict is Verdict.FAILED
    assert "Check client id and secret" in " ".join(manifest.reasons)


def test_a_delta_is_what_moved(standin, tmp_path):
    """A changed user, a new one, a role's new member and a role that went: in a delta, and nobody else."""
    account = standin.tenants["corp"]
    first, *_ = read(opened(Wire(standin)), tmp_path, "e1")
    moved, role = next(iter(account.users)), next(role for role, inside in account.members.items() if inside)
    account.put(moved, status=2, updated_at=LATER)
    account.put("42", username="new@corp.example", status=1, created_at=LATER, updated_at=LATER)
    account.members[role].append("42")
    gone = next(each for each in account.roles if each != role)
    del account.roles[gone], account.members[gone]
    manifest, accounts, groups, edges = read(opened(Wire(standin)), tmp_path, "e2", first.cursor_after)
    assert (manifest.kind, manifest.verdict, manifest.reasons) == (ExtractKind.DELTA, Verdict.COMPLETE, ())
    states = dict(accounts.select("native_id", "active").iter_rows())
    assert states[moved] is False
    assert states["42"] is True
    assert groups.filter("tombstone")["native_id"].to_list() == [gone]
    assert ("42",) in edges.filter(group_id=role).select("member_id").rows()
    again, quiet, *_ = read(opened(Wire(standin)), tmp_path, "e3", manifest.cursor_after)
    assert again.kind is ExtractKind.DELTA
    assert set(quiet["native_id"]) == {moved, "42"}  # a little is read twice


def test_a_deletion_leads_to_a_full_read(standin, tmp_path):
    """OneLogin says nothing of deleted users: the count that fell short does, even where somebody came meanwhile."""
    account = standin.tenants["corp"]
    first, everybody, *_ = read(opened(Wire(standin)), tmp_path, "e1")
    gone = next(iter(account.users))
    account.delete(gone)
    account.put("42", username="new@corp.example", created_at=LATER, updated_at=LATER)
    manifest, accounts, *_ = read(opened(Wire(standin)), tmp_path, "e2", first.cursor_after)
    assert manifest.kind is ExtractKind.FULL
    assert "some were deleted" in " ".join(manifest.reasons)
    assert set(everybody["native_id"]) - set(accounts["native_id"]) == {gone}


def test_a_cursor_is_lost_before_its_first_page(standin, tmp_path):
    """CursorLost comes before anything is yielded, so that nothing of a wrong delta is landed."""
    first, *_ = read(opened(Wire(standin)), tmp_path, "e1")
    standin.tenants["corp"].delete(next(iter(standin.tenants["corp"].users)))
    source = opened(Wire(standin))
    with pytest.raises(CursorLost):
        next(source.delta(first.cursor_after))
    source.close()


@pytest.mark.parametrize("status", STATUS)
def test_statuses(status):
    """Every documented status has its word, and only suspended and never activated users are off."""
    row = to_account({"id": 7, "status": status, "state": 1})
    assert (row["status"], row["active"]) == STATUS[status]
    assert row["active"] is (status not in {0, 2})
    assert to_account({"id": 7, "status": status, "state": 3})["active"] is False


def test_an_undocumented_status_is_set_aside(standin, tmp_path):
    """A status that OneLogin does not document is nobody's activity: the record is kept aside, the rest goes on."""
    standin.tenants["corp"].put(number_of("corp", "odd"), status=6)
    manifest, accounts, *_ = read(opened(Wire(standin)), tmp_path, "e1")
    assert manifest.verdict is Verdict.SUSPECT
    assert "status 6 is no status that OneLogin documents" in " ".join(manifest.reasons)
    assert accounts.height == len(of_world(company(), "corp").users)


def test_a_quota_that_runs_short_slows_us_down(standin, monkeypatch):
    """From half of the hourly quota on, what is left is spread over the rest of the hour, and nothing is refused."""
    standin.quota = 60
    waited = []
    monkeypatch.setitem(Http.__init__.__kwdefaults__, "sleep", waited.append)
    wire = Wire(standin)
    source = opened(wire)
    for _ in range(50):
        source.client.http.request("GET", "api/2/users?limit=1")
    source.close()
    assert all(each.url.path.endswith("/users") or each.url.path.endswith("/token") for each in wire.asked)
    assert max(waited) > 60
    assert len(wire.asked) == 51


def test_check_tells_counts_quota_and_cost(standin):
    """`check --live`: what may be read, what is left of the quota, what a full read takes."""
    source = opened(Wire(standin))
    told = {each.subject: (each.level, each.text) for each in source.check()}
    source.close()
    assert told["users"] == ("ok", f"{len(standin.tenants['corp'].users)} may be read")
    assert told["users quota"] == ("ok", "4,999 of 5,000 requests are left this hour")
    assert "of 5,000 an hour" in told["cost"][1]


def test_the_secret_is_never_shown(standin, tmp_path):
    """A refused login names the remedy and not the secret."""
    source = opened(Wire(standin), secret="very-secret-word")
    manifest, *_ = read(source, tmp_path, "e1")
    assert manifest.verdict is Verdict.FAILED
    assert "very-secret-word" not in json.dumps([*manifest.reasons])
