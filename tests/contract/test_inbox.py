import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from connectors.inbox.asking import Turn, closed, each, one
from connectors.inbox.contest import Author
from connectors.inbox.directory import Directory, InboxTenant
from connectors.inbox.resources import Write, create, delete, patch
from connectors.inbox.schema import ENTERPRISE
from connectors.inbox.service import Service
from connectors.inbox.statements import SEAL, TURN_OPEN
from connectors.inbox.stores import Database, beside, open_store
from connectors.inbox.throttle import Throttle
from connectors.inbox.wire import Limits
from connectors.source import SourceContext
from connectors.sources.inbox import Inbox, InboxSettings
from core.frames import BIT
from core.model import ExtractKind, Verdict
from state.landing import read_part
from tasks.extract import extract
from tests.inbox.conftest import told

NOW = datetime.fromisoformat("2026-11-24T09:00")
CANNOT = {
    "repeated_page": "the store is read in one snapshot, which has no pages to repeat",
    "unauthorised": "the store is a file of ours; the credential is the pushing side's",
    "revoked": "the store is a file of ours",
    "token_ends": "the store is a file of ours",
    "timeout": "the store is a file of ours",
    "slow_once": "the store is a file of ours",
    "changed_order": "the store is read in the order of its keys, whatever came first",
    "empty_page": "the store is read in one snapshot",
    "throttled": "the pushing side is throttled, not the reading one",
}


class Pushed:
    """A store of one tenant, written as the service writes it but for chosen ids."""

    def __init__(self, place):
        self.place = place

        async def prepare():
            service = Service(open_store(place), Directory({"corp": InboxTenant("corp")}), Limits(), Throttle())
            await service.open()
            await service.close()

        asyncio.run(prepare())

    def __call__(self, operation, kind, native_id, body=None):
        write = Write(kind, native_id, body or {}, json.dumps(body or {}), Author("t1"), Limits())
        with beside(self.place) as store, store.writing(1):
            turn = Turn(1, "2026-11-24T08:00:00.000Z", *store.do(one(TURN_OPEN, 1)))
            store.do(operation(write)(turn))
            store.do(closed(turn))

    def raw(self, *statements):
        for statement in statements:
            told(self.place, statement)

    def seal(self):
        with beside(self.place) as store:
            store.do(each(SEAL, [("2026-11-24T08:30:00.000Z", 1)]))


def body(user):
    emails = {"emails": [{"value": user.email, "type": "work"}]} if user.email else {"emails": None}
    return {
        "userName": user.user_name,
        "displayName": user.display_name,
        "active": user.active,
        ENTERPRISE: {"employeeNumber": user.employee_number},
        **emails,
    }


def rig(world, folder, fault):
    """A store to which the world was pushed. A page that never comes is a row that was lost; ids that repeat are a broken index."""
    path = folder / "inbox.sqlite"
    pushed = Pushed(path)
    for user in world.users:
        pushed(create, "User", user.id, body(user))
    for _ in range(world.nameless):
        pushed(create, "User", "", {"userName": "nameless@corp.example"})
    for native_id, name in world.groups:
        members = [{"value": member, "type": kind} for group, member, kind in world.edges if group == native_id]
        pushed(create, "Group", native_id, {"displayName": name, "members": members})
    pushed.seal()
    if world.twins:
        for place, twin in enumerate(world.twins):
            pushed(create, "User", f"twin-{place}", body(replace(twin, user_name=f"twin{place}")))
        pushed.raw(
            "CREATE TABLE broken AS SELECT * FROM inbox_user",
            "DROP TABLE inbox_user",
            "ALTER TABLE broken RENAME TO inbox_user",
        )
        for place, twin in enumerate(world.twins):
            pushed.raw(f"UPDATE inbox_user SET id = '{twin.id}' WHERE id = 'twin-{place}'")
    if fault == "dropped_page":
        pushed.raw("DELETE FROM inbox_user WHERE id > 'u-005'")
    if fault == "truncated":
        pushed.raw("VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)")
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    if fault == "html":
        pushed.raw("PRAGMA wal_checkpoint(TRUNCATE)")
        path.write_text("<!DOCTYPE html><title>Sign in</title>" * 100)
    if fault == "gone":
        path.unlink()
    return opened(path)


def opened(place, **settings):
    if isinstance(place, Database):
        context = SourceContext("corp", NOW, secrets={"store": place.url})
        return Inbox(InboxSettings(store="env:INBOX_DATABASE", **settings), context)
    context = SourceContext("corp", NOW, base=place.parent)
    return Inbox(InboxSettings(store=place.name, **settings), context)


@pytest.fixture
def pushed(place):
    return Pushed(place)


@pytest.fixture
def read(pushed, tmp_path):
    count = 0

    def once(cursor=None, **settings):
        nonlocal count
        count += 1
        source = opened(pushed.place, **settings)
        try:
            manifest = extract(
                source,
                tenant="corp",
                root=tmp_path / "landing",
                extract_id=f"e{count}",
                cursor_before=cursor,
                full=cursor is None,
                now=lambda: NOW + timedelta(seconds=count),
            )
        finally:
            source.close()
        parts = {
            name: read_part(tmp_path / "landing", manifest, name) for name in ("accounts", "groups", "memberships")
        }
        return manifest, parts

    return once


def patched(pushed, kind, native_id, *operations):
    pushed(patch, kind, native_id, {"Operations": list(operations)})


def test_a_new_inbox_is_filling(pushed, read):
    """Until it is sealed a full read is suspect, so that nobody who is not there yet counts as gone; afterwards it is complete."""
    pushed(create, "User", "u1", {"userName": "ada"})
    manifest, _ = read()
    assert manifest.verdict is Verdict.SUSPECT
    assert "onefold inbox seal corp" in manifest.reasons[0]
    pushed.seal()
    assert read()[0].verdict is Verdict.COMPLETE


def test_a_delta_of_a_filling_inbox_removes_nobody(pushed, read):
    """What moved since an empty first read is as doubtful as the first load that it is; once sealed it counts."""
    manifest, _ = read()
    pushed(create, "User", "u1", {"userName": "ada", "active": False})
    assert read(manifest.cursor_after)[0].verdict is Verdict.SUSPECT
    pushed.seal()
    assert read(manifest.cursor_after)[0].verdict is Verdict.COMPLETE


def test_whom_an_inbox_was_never_told_of_is_not_absent(pushed, read):
    """Every read of an inbox says that it does not know everybody, so that nobody is missed."""
    pushed(create, "User", "u1", {"userName": "ada"})
    pushed.seal()
    assert not read()[0].knows_all


def test_a_delta_holds_what_moved(pushed, read):
    """After a cursor: changed users, tombstones, added and removed edges, and nothing else; no change is an empty delta."""
    for name in ("ada", "bob", "eve"):
        pushed(create, "User", name, {"userName": name})
    pushed(create, "Group", "crew", {"displayName": "crew", "members": [{"value": "ada"}, {"value": "bob"}]})
    pushed.seal()
    manifest, _ = read()
    again, parts = read(manifest.cursor_after)
    assert (again.kind, again.verdict, again.cursor_after) == (
        ExtractKind.DELTA,
        Verdict.COMPLETE,
        manifest.cursor_after,
    )
    assert [parts[name].height for name in parts] == [0, 0, 0]
    patched(pushed, "User", "ada", {"op": "replace", "path": "active", "value": "False"})
    pushed(delete, "User", "bob")
    patched(pushed, "Group", "crew", {"op": "add", "path": "members", "value": [{"value": "eve"}]})
    moved, parts = read(again.cursor_after)
    assert parts["accounts"].select("native_id", "active", "tombstone").rows() == [
        ("ada", False, False),
        ("bob", None, True),
    ]
    edges = parts["memberships"].select("member_id", "removed").rows()
    assert edges == [("bob", True), ("eve", False)]
    assert moved.cursor_after != again.cursor_after


def test_deleted_users_are_explicit_in_full_reads_too(pushed, read):
    """A full read tells who was deleted: absence is never needed as evidence."""
    for name in ("ada", "bob"):
        pushed(create, "User", name, {"userName": name})
    pushed(delete, "User", "bob")
    _, parts = read()
    assert parts["accounts"].select("native_id", "tombstone").rows() == [("ada", False), ("bob", True)]


def test_one_deleted_user_is_explicit(pushed, tmp_path):
    """Asked for by id, a user who was deleted is a tombstone, as in every read."""
    pushed(create, "User", "u1", {"userName": "ada"})
    pushed(delete, "User", "u1")
    source = opened(pushed.place)
    (page,) = list(source.one("u1"))
    source.close()
    assert list(page.rows) == [{"native_id": "u1", "tombstone": True}]


def test_another_store_is_not_believed(pushed, read):
    """A cursor of another store, or one ahead of this one (a restored copy), leads to a full read that proves nobody absent."""
    pushed(create, "User", "u1", {"userName": "ada"})
    pushed.seal()
    manifest, _ = read()
    store_id, _, seq = manifest.cursor_after.rpartition(":")
    for cursor in (f"{store_id}:{int(seq) + 5}", f"other:{seq}", "nonsense"):
        again, _ = read(cursor)
        assert (again.kind, again.verdict) == (ExtractKind.FULL, Verdict.SUSPECT)
        assert any("older copy" in reason for reason in again.reasons)


def test_pruned_tombstones_lead_to_a_full_read(pushed, read):
    """When tombstones since the cursor are forgotten, everything is read."""
    for name in ("ada", "bob"):
        pushed(create, "User", name, {"userName": name})
    pushed.seal()
    manifest, _ = read()
    pushed(delete, "User", "bob")
    pushed.raw("UPDATE inbox_tenant SET pruned_seq = seq", "DELETE FROM inbox_user WHERE deleted_at IS NOT NULL")
    again, parts = read(manifest.cursor_after)
    assert (again.kind, again.verdict) == (ExtractKind.FULL, Verdict.COMPLETE)
    assert parts["accounts"]["native_id"].to_list() == ["ada"]


def test_three_states(pushed, read):
    """A value, a stated none and what was never spoken of are told apart, down to parts of the name."""
    pushed(
        create,
        "User",
        "u1",
        {"userName": "ada", "title": None, "name": {"givenName": "Ada"}, "emails": [], ENTERPRISE: {"department": "x"}},
    )
    patched(
        pushed,
        "User",
        "u1",
        {"op": "remove", "path": f"{ENTERPRISE}:department"},
        {"op": "add", "path": "manager", "value": ""},
    )
    _, parts = read()
    (row,) = parts["accounts"].rows(named=True)
    said = {name for name, bit in BIT.items() if row["present"] & bit}
    assert {"title", "email", "department", "manager_id", "given_name"} <= said
    assert {"family_name", "display_name", "phone", "employee_number", "location"}.isdisjoint(said)
    assert [row[name] for name in ("title", "email", "department", "manager_id", "given_name")] == [None] * 4 + ["Ada"]


def test_external_ids_are_what_the_config_says(pushed, read):
    """externalId is ignored unless the config says what it is."""
    pushed(create, "User", "u1", {"userName": "ada", "externalId": "guid", "userType": "Partner"})
    assert read()[1]["accounts"]["immutable_id"].to_list() == [None]
    _, parts = read(external_id="immutable_id", user_types={"partner": "external"})
    assert parts["accounts"].select("immutable_id", "user_type").rows() == [("guid", "external")]


def test_settings():
    """A shared credential names its tenants and how each is recognised; a credential of one's own names none."""
    assert InboxSettings(shared=True, tenants={"corp": {"segment": "corp"}}).tenants["corp"].segment == "corp"
    for wrong in (
        {"shared": True},
        {"tenants": {"corp": {"segment": "corp"}}},
        {"shared": True, "tenants": {"corp": {}}},
    ):
        with pytest.raises(ValidationError):
            InboxSettings(**wrong)


def test_check_finds_what_will_trouble(pushed):
    """`check --live` tells of filling, repeated external ids and tokens that end soon."""
    from connectors.inbox.tokens import mint

    for name in ("ada", "bob"):
        pushed(create, "User", name, {"userName": name, "externalId": "jsmith"})
    with beside(pushed.place) as store:
        store.do(mint("corp", now=NOW.replace(tzinfo=UTC), expires=timedelta(hours=20)))
    source = opened(pushed.place)
    findings = list(source.check())
    source.close()
    assert [(each.level, each.subject) for each in findings] == [
        ("ok", "store"),
        ("warning", "store"),
        ("warning", "externalId"),
        ("error", "token"),
    ]


def test_a_database_that_is_gone_is_a_failed_read(tmp_path):
    """A database that does not answer fails the tenant's read with a reason that names the tenant and no secret; nothing is raised."""
    source = opened(Database("postgresql://me:sEcret@127.0.0.1:1/inbox"))
    manifest = extract(
        source,
        tenant="corp",
        root=tmp_path / "landing",
        extract_id="e1",
        cursor_before=None,
        full=True,
        now=lambda: NOW,
    )
    source.close()
    assert manifest.verdict is Verdict.FAILED
    assert "tenant corp: the inbox database does not answer" in manifest.reasons[0]
    assert "sEcret" not in str(manifest)


def test_the_store_is_in_the_state_folder_of_the_config(tmp_path):
    """Without `store` the file is where `serve` writes it: in the state folder that the config names."""
    context = SourceContext("corp", NOW, base=tmp_path, state=tmp_path / "elsewhere")
    Pushed(tmp_path / "elsewhere/inbox/inbox.sqlite")
    source = Inbox(InboxSettings(), context)
    assert [finding.level for finding in source.check()][:1] == ["ok"]
    source.close()
