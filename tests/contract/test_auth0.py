"""Auth0: the rig of the suite that all sources share, and what is this vendor's own."""

from datetime import datetime

import httpx
import pytest

from connectors.http import Http
from connectors.source import SourceContext
from connectors.sources._auth0_records import to_account
from connectors.sources.auth0 import Auth0, Auth0Settings
from core.model import ExtractKind, Verdict
from sandbox.auth0 import Auth0 as Standin
from sandbox.auth0 import attributes
from sandbox.seen import Seen, SeenUser, crowd, of_world
from sandbox.world import company
from state.landing import read_part
from tasks.extract import extract
from tests.vendors import Trouble, Wire

NOW = datetime.fromisoformat("2026-11-24T09:00")
SECRET = "s3cr3t-of-the-rig"
CANNOT = {"empty_page": "by number of pages, an empty page is the end"}
THROTTLED = ("retry_after", "reset", "unsaid")
NESTED = False  # neither a role nor an organization holds groups
LATER = "2026-11-24T10:00:00.000Z"


def planted(world):
    """A stand-in whose tenant `corp` holds the world of the contract suite, under its own ids, five rows a page."""
    standin = Standin([Seen("corp", "corp.example", ())], most=5)
    here = standin.tenants["corp"]
    here.secret = SECRET
    for place, each in enumerate(world.users):
        seen = SeenUser(each.id, each.user_name, each.email, each.display_name, employee_number=each.employee_number)
        created = f"2024-03-01T08:00:{place:02}.000Z"
        here.put(each.id, **{**attributes(seen), "blocked": not each.active, "created_at": created})
    for place, each in enumerate(world.twins):
        here.users[f"twin{place}"] = {**here.users[each.id], "name": each.display_name}
    for place in range(world.nameless):
        here.users[f"nameless{place}"] = {"email": "nameless@corp.example", "created_at": "2024", "updated_at": "2024"}
    for native_id, name in world.groups:
        here.roles[native_id] = {"id": native_id, "name": name, "description": ""}
        here.members[native_id] = [member for group, member, _ in world.edges if group == native_id]
    return standin


def rig(world, _folder, fault):
    """The stand-in behind a mock transport, with pages of five users, and the fault on the wire."""
    standin = planted(world)
    wire = Wire(standin)
    here = standin.tenants["corp"]

    def forget():
        here.tokens.clear()
        here.secret = "another"

    def after(request, _response):
        url = request.url.copy_set_param("page", int(request.url.params["page"]) + 1)
        return httpx.Request("GET", url, headers=request.headers)

    def throttled(**headers):
        body = {"statusCode": 429, "error": "Too Many Requests", "errorCode": "too_many_requests"}
        return lambda: httpx.Response(429, headers=headers, json=body)

    Trouble(
        fault,
        wire,
        users=lambda request: request.url.path == "/corp/api/v2/users",
        login=lambda request: request.url.path.endswith("/oauth/token"),
        rows=lambda body: body["users"],
        after=after,
        revoke=here.tokens.clear,
        forget=forget,
        throttled={
            "retry_after": throttled(**{"Retry-After": "8"}),
            "reset": throttled(**{"x-ratelimit-limit": "10", "x-ratelimit-reset": "1793174409"}),
            "unsaid": throttled(),
        },
    )
    return opened(wire, secret=SECRET, employee_number="app_metadata.employee_number")


def opened(wire, tenant="corp", *, secret=None, **settings):
    """A source of a tenant of the stand-in behind the wire."""
    given = wire.standin.announcement()["tenants"][tenant]
    found = Auth0Settings(url=given["url"], client_id=given["client_id"], client_secret="env:SECRET", **settings)
    secrets = {"client_secret": secret or given["client_secret"]}
    return Auth0(found, SourceContext(tenant, NOW, secrets, transport=wire.transport()))


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setitem(Http.__init__.__kwdefaults__, "sleep", lambda _seconds: None)


@pytest.fixture
def standin():
    """The demo's company as two Auth0 tenants, with an organization of everybody."""
    world = company()
    made = Standin([of_world(world, "corp"), of_world(world, "acquired")])
    here = made.tenants["corp"]
    here.organizations["org_1"] = {"id": "org_1", "name": "everybody", "display_name": "Everybody"}
    here.members["org_1"] = list(here.users)
    return made


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


def test_a_tenant_is_read_whole(standin, tmp_path):
    """Everybody, roles and organizations as groups, their users: as the world has them, with the vendor's own count."""
    manifest, accounts, groups, edges = read(opened(Wire(standin)), tmp_path, "e1")
    seen = of_world(company(), "corp")
    assert (manifest.verdict, manifest.reasons) == (Verdict.COMPLETE, ())
    assert manifest.claimed["accounts"] == len(seen.users)
    assert (accounts.height, groups.height) == (len(seen.users), len(seen.groups) + 1)
    assert edges.height == sum(len(each.users) for each in seen.groups) + len(seen.users)
    assert accounts["active"].sum() == sum(each.enabled for each in seen.users)
    assert groups.filter(kind="organization")["name"].to_list() == ["Everybody"]


def test_a_thousand_rows_are_no_end(tmp_path):
    """3,456 users behind a listing that ends at 1,000, read in slices: each once, in no more than 1.05 times the pages."""
    standin = Standin([crowd(3_456, 0, 0, tenant="corp")])
    wire = Wire(standin)
    manifest, accounts, *_ = read(opened(wire, roles=False, organizations=False), tmp_path, "e1")
    assert (manifest.verdict, manifest.reasons) == (Verdict.COMPLETE, ())
    assert accounts.height == 3_456
    pages = [each for each in wire.asked if each.url.path.endswith("/users")]
    assert len(pages) <= 35 * 1.05


def test_a_thousand_users_of_one_moment_are_a_gap(tmp_path):
    """An import that made more than 1,000 users in one instant cannot be sliced: partial, in plain words."""
    standin = Standin([crowd(1_500, 0, 0, tenant="corp")])
    for each in standin.tenants["corp"].users.values():
        each["created_at"] = LATER
    manifest, *_ = read(opened(Wire(standin), roles=False, organizations=False), tmp_path, "e1")
    assert manifest.verdict is Verdict.PARTIAL
    assert any("cannot be listed" in reason for reason in manifest.reasons)


def test_a_delta_is_what_moved(standin, tmp_path):
    """A blocked user, a new one, a role's new member and a role that went: in a delta, and nobody else."""
    here = standin.tenants["corp"]
    first, *_ = read(opened(Wire(standin)), tmp_path, "e1")
    moved, role = next(iter(here.users)), next(role for role in here.roles if here.members[role])
    here.put(moved, blocked=True, updated_at=LATER)
    here.put("auth0|new", email="new@corp.example", created_at=LATER, updated_at=LATER)
    here.members[role].append("auth0|new")
    gone = next(each for each in here.roles if each != role)
    del here.roles[gone], here.members[gone]
    manifest, accounts, groups, edges = read(opened(Wire(standin)), tmp_path, "e2", first.cursor_after)
    assert (manifest.kind, manifest.verdict, manifest.reasons) == (ExtractKind.DELTA, Verdict.COMPLETE, ())
    states = dict(accounts.select("native_id", "active").iter_rows())
    assert (states[moved], states["auth0|new"]) == (False, True)
    assert groups.filter("tombstone")["native_id"].to_list() == [gone]
    assert ("auth0|new",) in edges.filter(group_id=role).select("member_id").rows()


def test_a_deletion_leads_to_a_full_read(standin, tmp_path):
    """Auth0's listing says nothing of deleted users: the count that fell short does, even where somebody came meanwhile."""
    here = standin.tenants["corp"]
    first, everybody, *_ = read(opened(Wire(standin)), tmp_path, "e1")
    gone = next(iter(here.users))
    here.delete(gone)
    here.put("auth0|new", email="new@corp.example", created_at=LATER, updated_at=LATER)
    manifest, accounts, *_ = read(opened(Wire(standin)), tmp_path, "e2", first.cursor_after)
    assert manifest.kind is ExtractKind.FULL
    assert "some were deleted" in " ".join(manifest.reasons)
    assert set(everybody["native_id"]) - set(accounts["native_id"]) == {gone}


def test_a_missing_scope_is_named_and_never_complete(standin, tmp_path):
    """Without `read:role_members` the read fails in the vendor's words, and `check --live` says which scope to grant."""
    standin.tenants["corp"].scopes = ("read:users", "read:roles", "update:users")
    manifest, *_ = read(opened(Wire(standin), organizations=False), tmp_path, "e1")
    assert manifest.verdict is not Verdict.COMPLETE
    assert "read:role_members" in " ".join(manifest.reasons)
    source = opened(Wire(standin), organizations=False)
    told = [(each.level, each.text) for each in source.check()]
    source.close()
    assert ("error", "read:role_members is missing: role users cannot be read") in told
    assert ("warning", "more than reading needs: update:users") in told


def test_a_wrong_audience_names_it(standin, tmp_path):
    """Behind a custom domain the audience is another one: the refusal says so."""
    manifest, *_ = read(opened(Wire(standin), audience="https://login.example/api/v2/"), tmp_path, "e1")
    assert manifest.verdict is Verdict.FAILED
    assert "audience" in " ".join(manifest.reasons)


def test_the_secret_is_never_shown(standin, tmp_path):
    """A refused login names the remedy and not the secret."""
    manifest, *_ = read(opened(Wire(standin), secret="very-secret-word"), tmp_path, "e1")
    assert manifest.verdict is Verdict.FAILED
    assert "very-secret-word" not in " ".join(manifest.reasons)


@pytest.mark.parametrize(
    ("told", "active", "name"),
    [
        ({"blocked": True, "email": "a@x.example"}, False, "a@x.example"),
        ({"email": "a@x.example", "username": "ada"}, True, "ada"),
        ({}, True, None),
    ],
)
def test_accounts(told, active, name):
    """Blocked is off; a user name is the name, else the address."""
    row = to_account({"user_id": "auth0|1", **told})
    assert (row["active"], row["user_name"]) == (active, name)
