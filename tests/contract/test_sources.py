"""The suite that every source inherits: being in `connectors/sources` is being enrolled.

Each kind brings its own rig in `tests/contract/test_<kind>.py`:

    def rig(world: World, folder: Path, fault: str | None) -> Source    # a source that shows this world, with this fault
    CANNOT = {"repeated_page": "a file has no pages"}                   # faults that cannot happen here, and why
    THROTTLED = ("retry_after", "unsaid")                               # every form in which this vendor says "not now"
    NESTED = False                                                      # only where groups cannot hold groups

The rig is asked for `throttled:<form>` for each form. A kind without a rig fails, and one that does not say how it
throttles or why it cannot.
"""

import importlib.util
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from connectors.http import Http
from connectors.source import ReadsOne, Source, source_class, source_kinds
from core.frames import LANDED
from core.model import Verdict
from core.settings import Strict
from state.landing import manifests, read_part
from tasks.extract import extract
from tasks.rows import typed

NOW = datetime.fromisoformat("2026-11-24T09:00")
SECRET = "s3cr3t-of-the-rig"
FAULTS = {
    "dropped_page": "a page that never comes",
    "repeated_page": "a page that comes twice, in the place of another",
    "truncated": "an answer that is cut short",
    "html": "a web page instead of data",
    "unauthorised": "a wrong credential",
    "gone": "an address or a file that does not exist",
    "revoked": "a credential that ends while we read, for good",
    "timeout": "a service that never answers",
}
MENDED = {
    "token_ends": "a token that ends while we read, and another one is given",
    "slow_once": "an answer that does not come in time once",
    "changed_order": "rows in another order",
    "empty_page": "a page without rows, and more behind it",
}


@dataclass(frozen=True)
class User:
    """One user as every vendor could know it."""

    id: str
    user_name: str
    email: str | None
    display_name: str
    employee_number: str
    active: bool = True


@dataclass(frozen=True)
class World:
    """What a tenant holds: users, groups (id, name), edges (group id, member id, user or group); and raw records to add."""

    users: tuple[User, ...] = ()
    groups: tuple[tuple[str, str], ...] = ()
    edges: tuple[tuple[str, str, str], ...] = ()
    nameless: int = 0  # user records without an id
    twins: tuple[User, ...] = field(default=())  # further records whose ids are taken


def company(size=17):
    """A company with Unicode, a disabled user, a nested group, an empty group, and a group that contains itself."""
    names = ("Ada Lovelace", "Zoë Müller", "李雷", 'O\'Neill; "Bo", x', "Ἀριστοτέλης")
    users = tuple(
        User(
            id=f"u-{place:03}",
            user_name=f"user{place}@corp.example",
            email=None if place == 4 else f"user{place}@corp.example",
            display_name=names[place % len(names)],
            employee_number=f"{place:06}",
            active=place % 7 != 3,
        )
        for place in range(size)
    )
    groups = (("g-in", "Inner"), ("g-out", "Outer"), ("g-empty", "Nobody"), ("g-self", "Ouroboros"))
    edges = (
        *(("g-in", user.id, "user") for user in users[:5]),
        ("g-out", "g-in", "group"),
        ("g-out", "u-001", "user"),
        ("g-self", "g-self", "group"),
    )
    return World(users, groups, edges)


class Killed(BaseException):
    """Ends a read as a signal would: nothing of ours catches it."""


def loaded(kind):
    path = Path(__file__).parent / f"test_{kind}.py"
    if not path.exists():
        pytest.fail(
            f"kind {kind} has no rig: write tests/contract/{path.name} (make new-connector KIND=… gives a start)"
        )
    spec = importlib.util.spec_from_file_location(f"rig_{kind}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not hasattr(module, "rig"):
        pytest.fail(f"kind {kind} has no rig: add `def rig(world, folder, fault)` to {path.name}")
    return module


def fitting(module, world):
    """The world as far as this vendor can hold it."""
    if getattr(module, "NESTED", True):
        return world
    return replace(world, edges=tuple(edge for edge in world.edges if edge[2] == "user"))


@pytest.fixture(params=source_kinds())
def kind(request):
    return request.param


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setitem(Http.__init__.__kwdefaults__, "sleep", lambda _seconds: None)


@pytest.fixture
def read(kind, tmp_path):
    """Reads a world of this kind, with a fault, and gives the manifest and the landed frames."""
    module = loaded(kind)
    count = 0

    def once(world, fault=None, previous=None, *, killed=False):
        nonlocal count
        count += 1
        word = fault.partition(":")[0] if fault else None
        if word in getattr(module, "CANNOT", {}):
            pytest.skip(f"{kind}: {module.CANNOT[word]}")
        folder = tmp_path / f"vendor-{count}"
        folder.mkdir()
        source = module.rig(fitting(module, world), folder, fault)
        if killed:
            source.accounts = lambda listing=source.accounts: dying(listing())
        landing = tmp_path / "landing"
        try:
            manifest = extract(
                source,
                tenant="corp",
                root=landing,
                extract_id=f"e{count}",
                cursor_before=None,
                full=True,
                now=lambda: NOW + timedelta(seconds=count),
                previous=previous,
            )
        finally:
            source.close()
        return manifest, {name: read_part(landing, manifest, name) for name in LANDED}

    return once


def dying(pages):
    """The pages of a listing, and death behind the first one."""
    yield next(pages)
    raise Killed


def test_declares_itself(kind):
    """A source has strict settings, names what it needs, and conforms to the Protocol."""
    found = source_class(kind)
    assert issubclass(found.Settings, Strict)
    assert found.needs
    assert all(callable(getattr(found, name)) for name in ("accounts", "groups", "memberships", "close"))


def test_rig_gives_a_source(kind, tmp_path):
    """The rig of a kind makes a source of that kind."""
    source = loaded(kind).rig(fitting(loaded(kind), company()), tmp_path, None)
    assert isinstance(source, source_class(kind))
    assert isinstance(source, Source)
    source.close()


def test_reads_everything(kind, read):
    """All users, groups and edges arrive once, with Unicode, disabled users, nested and self-containing groups as they are."""
    world = fitting(loaded(kind), company())
    manifest, landed = read(world)
    assert (manifest.verdict, manifest.reasons) == (Verdict.COMPLETE, ())
    columns = ["native_id", "user_name", "email", "display_name", "employee_number", "active"]
    wanted = [(u.id, u.user_name, u.email, u.display_name, u.employee_number, u.active) for u in world.users]
    assert landed["accounts"].select(columns).rows() == sorted(wanted)
    assert landed["groups"].select("native_id", "name").rows() == sorted(world.groups)
    assert landed["memberships"].select("group_id", "member_id", "member_kind").rows() == sorted(world.edges)
    assert (manifest.accounts, manifest.groups, manifest.memberships) == tuple(
        map(len, (world.users, world.groups, world.edges))
    )


def test_reading_twice_gives_the_same_content(read):
    """An unchanged tenant gives the same sha256s, so that the state can skip it."""
    world = company()
    assert read(world)[0].content == read(world)[0].content


def test_a_change_gives_other_content(read):
    """One changed value of one user is other content."""
    world = company()
    other = replace(world, users=(replace(world.users[0], display_name="Somebody Else"), *world.users[1:]))
    assert read(world)[0].content != read(other)[0].content


def test_one_user(read):
    """A tenant of one user and no group is read completely."""
    manifest, landed = read(World(users=company().users[:1]))
    assert (manifest.verdict, landed["accounts"].height, landed["groups"].height) == (Verdict.COMPLETE, 1, 0)


def test_nobody_is_never_complete(read):
    """An empty tenant is suspected, never believed."""
    manifest, _ = read(World())
    assert manifest.verdict in {Verdict.SUSPECT, Verdict.PARTIAL, Verdict.FAILED}
    assert manifest.reasons


def test_half_the_company_is_suspect(read):
    """Half as many users as in the last complete read: suspected, and the reason gives both counts."""
    world = company()
    before, _ = read(world)
    manifest, _ = read(replace(world, users=world.users[:8]), previous=before)
    assert manifest.verdict is Verdict.SUSPECT
    assert any("accounts went from 17 to 8" in reason for reason in manifest.reasons)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_never_complete(read, fault):
    """Whatever goes wrong on the way, the verdict says so in one clear reason, and no secret is shown."""
    manifest, landed = read(company(), fault)
    assert manifest.verdict in {Verdict.PARTIAL, Verdict.SUSPECT, Verdict.FAILED}, manifest.reasons
    assert manifest.reasons
    assert all(reason.strip() and "Traceback" not in reason and SECRET not in reason for reason in manifest.reasons)
    known = {user.id for user in company().users}
    assert set(landed["accounts"]["native_id"]) <= known


@pytest.mark.parametrize("fault", MENDED)
def test_what_mends_itself_is_complete(read, fault):
    """What a vendor's day brings costs a request more, and neither a row nor the verdict."""
    world = company()
    undisturbed, _ = read(world)
    manifest, _ = read(world, fault)
    assert (manifest.verdict, manifest.reasons) == (Verdict.COMPLETE, ())
    assert manifest.content == undisturbed.content


def test_throttling_is_waited_for(kind, read):
    """In each form in which this vendor says "not now", it is asked again, and everything is read."""
    module = loaded(kind)
    forms = getattr(module, "THROTTLED", ())
    if not forms and "throttled" not in module.CANNOT:
        pytest.fail(f"kind {kind} does not say how it throttles: add THROTTLED, or CANNOT['throttled'] with the reason")
    world = company()
    undisturbed, _ = read(world)
    for form in forms or ("any",):
        manifest, _ = read(world, f"throttled:{form}")
        assert (form, manifest.verdict, manifest.reasons) == (form, Verdict.COMPLETE, ())
        assert manifest.content == undisturbed.content


def test_a_killed_read_leaves_nothing_and_is_resumed(read, tmp_path):
    """A read that dies midway is no extract, leaves no file behind, and the next one reads everything."""
    world = company()
    with pytest.raises(Killed):
        read(world, killed=True)
    assert manifests(tmp_path / "landing", "corp") == []
    assert list((tmp_path / "landing").glob(".reading-*")) == []
    manifest, landed = read(world)
    assert (manifest.verdict, landed["accounts"].height) == (Verdict.COMPLETE, len(world.users))


def test_a_record_without_an_id_is_set_aside(read):
    """A user without an id is kept aside with its payload; as it might be anybody, nothing is proven absent."""
    manifest, landed = read(replace(company(), nameless=1))
    assert manifest.verdict is Verdict.PARTIAL
    assert manifest.accounts == 17
    (row,) = landed["rejected"].rows(named=True)
    assert (row["object"], row["native_id"]) == ("accounts", None)
    assert "nameless@corp.example" in row["raw"]


def test_two_records_with_one_id_are_both_set_aside(kind, read):
    """Of two different users with one id neither is believed, both payloads are kept, and the read removes nobody."""
    if "twins" in loaded(kind).CANNOT:
        pytest.skip(f"{kind}: {loaded(kind).CANNOT['twins']}")
    world = company()
    twin = replace(world.users[2], display_name="A Stranger")
    manifest, landed = read(replace(world, twins=(twin,)))
    assert manifest.verdict in {Verdict.SUSPECT, Verdict.PARTIAL}
    assert world.users[2].id not in landed["accounts"]["native_id"].to_list()
    assert landed["accounts"].height == 16
    aside = landed["rejected"].filter(pl.col("native_id") == world.users[2].id)
    assert aside.height == 2
    assert any(world.users[2].id in reason for reason in manifest.reasons)


def test_one_account_is_what_the_listing_says_of_it(kind, tmp_path):
    """Where a source can read one account, it is the row of the listing, disabled ones too; an unknown id gives no row and no tombstone."""
    world = company()
    module = loaded(kind)
    source = module.rig(fitting(module, world), tmp_path, None)
    if not isinstance(source, ReadsOne):
        pytest.skip(f"{kind} has no way to one account: the newest extract is used")
    try:
        listed = pl.concat([typed(page).frame for page in source.accounts()])
        for user in (world.users[0], world.users[3]):
            one = pl.concat([typed(page).frame for page in source.one(user.id)])
            assert one.equals(listed.filter(pl.col("native_id") == user.id))
            assert one.height == 1
        assert not any(typed(page).frame.height for page in source.one("nobody"))
    finally:
        source.close()
