"""Tenants apart, tokens, and providers behind one shared credential."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest

from connectors.inbox.directory import InboxTenant
from connectors.inbox.rules import Marks
from connectors.inbox.throttle import MOST, Throttle, save
from connectors.inbox.tokens import all_tokens, expiring, mint, revoke, rotate


def test_nothing_of_another_tenant_is_seen_or_touched(corp, acq):
    """Every way to a record of another tenant answers exactly as for one that never was."""
    ada = corp.user("ada", title="Countess")
    crew = corp.group("crew", [ada])
    nobody = "00000000-0000-4000-8000-000000000000"
    replace = {"Operations": [{"op": "replace", "path": "title", "value": "x"}]}
    for kind, there in (("Users", ada), ("Groups", crew)):
        for method, body in (("GET", None), ("PATCH", replace), ("PUT", {"userName": "x", "displayName": "x"})):
            theirs = acq(method, f"/{kind}/{there}", body)
            never = acq(method, f"/{kind}/{nobody}", body)
            assert (theirs.status_code, theirs.content) == (never.status_code, never.content)
            assert theirs.status_code == 404
        assert acq("DELETE", f"/{kind}/{there}").status_code == 404
        assert acq.get(f"/{kind}")["totalResults"] == 0
        assert acq.find(f"/{kind}", f'id eq "{there}"') == []
    mine = acq.group("mine", [ada])
    assert corp.get(f"/Users/{ada}")["groups"][0]["value"] == crew
    assert len(corp.get(f"/Users/{ada}")["groups"]) == 1
    assert acq.find("/Groups", f'members eq "{ada}"') == [mine]
    assert acq.find("/Groups", f'members eq "{ada}" and displayName eq "crew"') == []
    assert corp.get(f"/Users/{ada}")["title"] == "Countess"


def test_a_token_opens_its_own_tenant_only(inbox, corp):
    """A token at another tenant's segment, at an unknown one, a wrong one, none: all the same 401 with a SCIM body."""
    answers = [
        inbox.caller("corp", prefix="/scim/v2/acq")("GET", "/Users"),
        inbox.caller("corp", prefix="/scim/v2/nobody")("GET", "/Users"),
        corp("GET", "/Users", headers={"Authorization": "Bearer ofi_000000000000_00"}),
        corp("GET", "/Users", headers={"Authorization": "Bearer Ünicode"}.copy() | {"Authorization": "Bearer x"}),
        corp("GET", "/Users", headers={"Authorization": "Basic dXNlcjpwYXNz"}),
        corp("GET", "/Users", headers={"Authorization": f"Bearer {corp.token[:-1]}"}),
        corp("GET", "/Users", headers={"Authorization": ""}),
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.content for answer in answers}) == 1
    assert answers[0].json()["status"] == "401"
    assert answers[0].headers["www-authenticate"].startswith("Bearer")


def test_tokens_are_kept_hashed(inbox):
    """Neither the text of a token nor its secret part is anywhere in the store's files."""
    made = inbox.token("corp")
    inbox.run(inbox.store.run(rotate("corp", now=datetime.now(UTC))))
    assert made.text.rpartition("_")[2].encode() not in inbox.kept()
    assert made.text not in repr(inbox.run(inbox.store.read(all_tokens())))


def test_expired_and_revoked_tokens(inbox):
    """A token ends at its expiry and at its revocation; another tenant's or an unknown id revokes nothing."""
    past = inbox.run(
        inbox.store.run(mint("corp", now=datetime.now(UTC) - timedelta(days=2), expires=timedelta(days=1)))
    )
    caller = inbox.caller("corp")
    caller.token, good = past.text, caller.token
    assert caller("GET", "/Users").status_code == 401
    caller.token = good
    (kept,) = [each for each in inbox.run(inbox.store.read(all_tokens("corp"))) if each.expires_at is None]
    now = datetime.now(UTC)
    assert inbox.run(inbox.store.run(revoke("acq", kept.token_id, now=now))) == []
    assert inbox.run(inbox.store.run(revoke("corp", "t0", now=now))) == []
    assert caller("GET", "/Users").status_code == 200
    assert inbox.run(inbox.store.run(revoke("corp", kept.token_id, now=now))) == [kept.token_id]
    assert caller("GET", "/Users").status_code == 401


def test_rotation_overlaps(inbox):
    """After a rotation both tokens are valid until the overlap ends; a shorter life that was set before stays."""
    caller = inbox.caller("corp")
    now = datetime.now(UTC)
    made, ended = inbox.run(inbox.store.run(rotate("corp", now=now, overlap=timedelta(days=2))))
    assert len(ended) == 1
    assert caller("GET", "/Users").status_code == 200
    caller.token = made.text
    assert caller("GET", "/Users").status_code == 200
    old = next(each for each in inbox.run(inbox.store.read(all_tokens("corp"))) if each.token_id == ended[0])
    assert old.state((now + timedelta(days=1)).isoformat()) == "valid"
    assert old.state((now + timedelta(days=3)).isoformat()) == "expired"
    inbox.run(inbox.store.run(rotate("corp", now=now, overlap=timedelta(days=9))))
    again = next(each for each in inbox.run(inbox.store.read(all_tokens("corp"))) if each.token_id == ended[0])
    assert again.expires_at == old.expires_at


@pytest.mark.parametrize(("days", "stage"), [(40, None), (30, 30), (29, 30), (14, 14), (8, 14), (7, 7), (2, 7), (1, 1)])
def test_expiry_is_told_in_time(inbox, days, stage):
    """A token is told at 30, 14, 7 and 1 days before its end; it is `last` unless another one lives longer."""
    now = datetime(2026, 11, 24, 9, tzinfo=UTC)
    inbox.run(inbox.store.run(mint("corp", now=now, expires=timedelta(days=days))))
    told = expiring(inbox.run(inbox.store.read(all_tokens())), now)
    assert [(each.stage, each.last) for each in told] == ([] if stage is None else [(stage, True)])
    inbox.run(inbox.store.run(mint("corp", now=now)))
    told = expiring(inbox.run(inbox.store.read(all_tokens())), now)
    assert [each.last for each in told] == ([] if stage is None else [False])


def test_a_token_that_has_ended_is_told_while_nobody_can_push(inbox):
    """Of a tenant whose every token has ended the newest is told for 30 days, not of one with a valid token or a revoked one."""
    now = datetime(2026, 11, 24, 9, tzinfo=UTC)

    def ended(tenant, days):
        return inbox.run(
            inbox.store.run(mint(tenant, now=now - timedelta(days=days + 5), expires=timedelta(days=5)))
        ).token_id

    ended("corp", 9)
    newest = ended("corp", 3)
    ended("acq", 31)
    inbox.run(inbox.store.run(revoke("gone", ended("gone", 2), now=now)))
    (told,) = expiring(inbox.run(inbox.store.read(all_tokens())), now)
    assert (told.token_id, told.days, told.stage, told.last) == (newest, -3, 0, True)
    assert "has ended on 2026-11-21 and no other is valid" in told.words
    inbox.run(inbox.store.run(mint("corp", now=now)))
    assert expiring(inbox.run(inbox.store.read(all_tokens())), now) == []


def test_tokens_are_bound_to_networks(inbox):
    """A token with source networks is worth nothing from elsewhere; IPv4 over IPv6 counts as IPv4."""
    caller = inbox.caller("corp")
    caller.token = inbox.token("corp", networks=["198.51.100.0/24", "2001:db8::/32"]).text
    assert caller("GET", "/Users").status_code == 401
    for address in ("198.51.100.7", "::ffff:198.51.100.7", "2001:db8::1"):
        caller.address = address
        assert caller("GET", "/Users").status_code == 200
    with pytest.raises(ValueError, match="network"):
        inbox.token("corp", networks=["everywhere"])


def test_failures_are_counted_and_slowed_per_address(inbox, corp):
    """Guessing is answered 429 with whole seconds after a while, from that address only; a valid token goes on working."""
    bad = inbox.caller("corp")
    bad.token = "ofi_000000000000_00"
    statuses = [bad("GET", "/Users").status_code for _ in range(MOST + 3)]
    assert statuses == [401] * MOST + [429] * 3
    assert bad("GET", "/Users").headers["retry-after"].isdigit()
    bad.address = "203.0.113.9"
    assert bad("GET", "/Users").status_code == 401
    assert corp("GET", "/Users").status_code == 200
    counted = inbox.throttle.taken()
    assert counted == {"192.0.2.10": MOST + 4, "203.0.113.9": 1}
    inbox.run(inbox.store.run(save("2026-11-24", counted, "2026-08-01")))
    inbox.run(inbox.store.run(save("2026-11-24", {"203.0.113.9": 2}, "2026-08-01")))
    rows = inbox.run(inbox.store.read(_failures()))
    assert rows == [("2026-11-24", "192.0.2.10", MOST + 4), ("2026-11-24", "203.0.113.9", 3)]


def _failures():
    from connectors.inbox.statements import FAILURES

    return (yield FAILURES, ())


def test_the_window_of_failures_ends():
    """A minute later an address starts anew, and the memory of addresses is bounded."""
    now = 0.0
    throttle = Throttle(clock=lambda: now)
    assert [throttle.failed("a").status for _ in range(MOST + 1)][-1] == 429
    now = 61.0
    assert throttle.failed("a").status == 401
    for place in range(20_000):
        throttle.failed(f"b{place}")
    assert len(throttle._windows) <= 10_000
    assert len(throttle._unsaved) <= 10_000


# --- shared credentials


def providers():
    return {
        "corp": Marks(segment="hq"),
        "acq": Marks(header={"X-Provider": "acq"}),
        "flagged": Marks(query="aadOptscim062020"),
        "netted": Marks(networks=("198.51.100.0/24",)),
        "east": Marks(domains=("east.example",)),
        "west": Marks(domains=("West.example",)),
    }


@pytest.fixture
def shared(make_inbox):
    return make_inbox(tuple(providers()), shared={"pool": providers()})


def holdings(inbox):
    found = {}
    for name in inbox.service.directory.tenants:
        users = inbox.caller(name).get("/Users")["Resources"] if name != "pool" else []
        found[name] = sorted(each["userName"] for each in users)
    rows = inbox.run(inbox.store.read(_names(inbox.service.directory.numbers["pool"])))
    found["pool"] = [name for (name,) in rows]
    return {name: users for name, users in found.items() if users}


def _names(tenant_no):
    return (yield "SELECT name FROM inbox_user WHERE tenant_no = ? AND deleted_at IS NULL ORDER BY name", (tenant_no,))


def test_a_shared_credential_recognises_its_providers(shared):
    """Segment, header, flag, network and e-mail domain each lead to their tenant; what nobody can attribute to one of its own."""
    pool = shared.caller("pool")
    for prefix, headers, address, query, name in (
        ("/scim/v2/hq", {}, "192.0.2.1", "", "same@x.example"),
        ("/scim/v2", {"x-provider": "acq"}, "192.0.2.1", "", "same@x.example"),
        ("/scim/v2", {}, "192.0.2.1", "?aadOptscim062020", "same@x.example"),
        ("/scim/v2", {}, "198.51.100.9", "", "same@x.example"),
        ("/scim/v2", {}, "192.0.2.1", "", "same@x.example"),
        ("/scim/v2", {}, "192.0.2.1", "", "one@East.example"),
        ("/scim/v2", {}, "192.0.2.1", "", "one@west.example"),
    ):
        pool.prefix, pool.headers, pool.address = prefix, headers, address
        assert pool("GET", f"/Users{query}", params=None).status_code == 200
        assert pool("POST", f"/Users{query}", {"userName": name}).status_code == 201
    assert holdings(shared) == {
        "corp": ["same@x.example"],
        "acq": ["same@x.example"],
        "flagged": ["same@x.example"],
        "netted": ["same@x.example"],
        "pool": ["same@x.example"],
        "east": ["one@East.example"],
        "west": ["one@west.example"],
    }


def test_contradicting_marks_attribute_nothing(shared):
    """A request with the marks of two providers belongs to neither."""
    pool = shared.caller("pool", prefix="/scim/v2/hq", headers={"X-Provider": "acq"})
    pool.user("who@east.example")
    assert holdings(shared) == {"pool": ["who@east.example"]}


def test_two_marked_providers_never_meet(shared):
    """The guest of one provider bears the name of the other's member: each finds, changes and deletes its own record only."""
    one = shared.caller("pool", prefix="/scim/v2/hq")
    two = shared.caller("pool", headers={"X-Provider": "acq"})
    member = one.user("alice@corp.example", externalId="jsmith")
    assert two.find("/Users", 'userName eq "alice@corp.example"') == []
    guest = two.user("alice@corp.example", externalId="jsmith")
    disable = {"op": "Replace", "path": "active", "value": "False"}
    assert two.patch(f"/Users/{member}", disable) == 404
    assert two.patch(f"/Users/{guest}", disable) == 200
    assert two("DELETE", f"/Users/{guest}").status_code == 204
    assert two("DELETE", f"/Users/{member}").status_code == 404
    unmarked = shared.caller("pool")
    assert unmarked("GET", f"/Users/{member}").status_code == 404
    assert unmarked.patch(f"/Users/{member}", disable) == 404
    assert one.get(f"/Users/{member}")["active"] is True


def test_an_unmarked_provider_finds_its_records_by_id(shared):
    """Requests by id carry no domain: they go to where the record is."""
    pool = shared.caller("pool")
    one, two, nobody = pool.user("one@east.example"), pool.user("two@west.example"), pool.user("plain")
    for each in (one, two, nobody):
        assert pool.patch(f"/Users/{each}", {"op": "replace", "path": "title", "value": "Dr"}) == 200
        assert pool.get(f"/Users/{each}")["title"] == "Dr"
    assert pool.find("/Users", 'emails[type eq "work"].value eq "two@west.example"') == []
    assert pool.find("/Users", 'userName eq "two@west.example"') == [two]
    assert pool("DELETE", f"/Users/{two}").status_code == 204


def test_unmarked_providers_do_not_adopt_or_disable_one_another(shared):
    """Two unmarked providers that speak of one address: the second neither adopts by its own externalId, nor disables, renames or deletes for anybody but itself."""
    okta = {"User-Agent": "Okta SCIM Client 1.0.0"}
    one, two = shared.caller("pool", headers=okta), shared.caller("pool", headers={"User-Agent": ""})
    alice = one.user("alice@east.example", externalId="a")
    assert two.find("/Users", 'userName eq "alice@east.example"') == [alice]
    for operation in (
        {"op": "replace", "path": "externalId", "value": "b"},
        {"op": "replace", "path": "active", "value": False},
        {"op": "replace", "path": "title", "value": "flap"},
    ):
        assert two.patch(f"/Users/{alice}", operation) == 200
    seen = two.get(f"/Users/{alice}")
    assert (seen["externalId"], seen["active"], seen["title"]) == ("b", False, "flap")
    assert two("DELETE", f"/Users/{alice}").status_code == 204
    assert two("DELETE", f"/Users/{alice}").status_code == 404
    assert one.patch(f"/Users/{alice}", {"op": "replace", "path": "title", "value": "Dr"}) == 200
    assert one.get(f"/Users/{alice}").items() >= {"externalId": "a", "active": True, "title": "Dr"}.items()
    twin = shared.caller("pool", headers=okta)
    for more in ({}, {"active": False}, {"title": "flap"}):
        put = {"userName": "alice@east.example", "externalId": "c", **more}
        assert twin("PUT", f"/Users/{alice}", put).status_code == 200
    kept = json.loads(shared.sql(f"SELECT doc FROM inbox_user WHERE id = '{alice}'")[0][0])
    assert kept == {"userName": "alice@east.example", "externalId": "a", "active": True, "title": "Dr"}


def test_a_mark_settles_a_doubt(make_inbox):
    """Once a provider bears a mark, its next write takes over what was made without one, and may take away again."""
    before = make_inbox(("east",), shared={"pool": {"east": Marks(domains=("east.example",))}})
    pool = before.caller("pool")
    alice = pool.user("alice@east.example", externalId="a")
    assert pool.patch(f"/Users/{alice}", {"op": "replace", "path": "externalId", "value": "b"}) == 200
    assert pool.patch(f"/Users/{alice}", {"op": "replace", "path": "active", "value": False}) == 200
    after = make_inbox(("east",), shared={"pool": {"east": Marks(segment="east")}})
    marked = after.caller("pool", prefix="/scim/v2/east")
    assert marked.get(f"/Users/{alice}").items() >= {"externalId": "a", "active": True}.items()
    assert marked.patch(f"/Users/{alice}", {"op": "replace", "path": "active", "value": False}) == 200
    assert marked.get(f"/Users/{alice}")["active"] is False


def test_rules_that_recognise_nothing_are_refused():
    """A provider without any mark is a fault of the config."""
    with pytest.raises(ValueError, match="recognises nothing"):
        Marks()


# --- what others learn


def test_a_commit_is_told(inbox, corp):
    """After each commit the listener hears tenant, number and whether somebody may have lost access."""
    ada = corp.user("ada")
    crew = corp.group("crew", [ada])
    corp.patch(f"/Groups/{crew}", {"op": "remove", "path": "members", "value": [{"value": ada}]})
    corp.patch(f"/Users/{ada}", {"op": "replace", "path": "active", "value": False})
    corp.patch(f"/Users/{ada}", {"op": "replace", "path": "active", "value": False})
    corp("DELETE", f"/Users/{ada}")
    assert inbox.moved == [
        ("corp", 1, False),
        ("corp", 2, False),
        ("corp", 3, True),
        ("corp", 4, True),
        ("corp", 5, False),
        ("corp", 6, True),
    ]


def test_the_access_log_holds_nobody(inbox, corp):
    """Lines of the access log are JSON with route and status, and no name, id, filter, address or token."""
    ada = corp.user("ada@corp.example")
    corp.get(f"/Users/{ada}")
    corp.find("/Users", 'userName eq "ada@corp.example"')
    corp("DELETE", "/Users/ada@corp.example")
    text = "\n".join(inbox.lines)
    for secret in ("ada", ada, "192.0.2.10", corp.token):
        assert secret not in text
    assert [json.loads(line)["status"] for line in inbox.lines] == [201, 200, 200, 404]
    assert {json.loads(line)["route"] for line in inbox.lines} == {"/Users", "/Users/{id}"}


def test_two_writers_never_hide_a_number(make_inbox):
    """Two services' writers interleave on one tenant: whoever has seen number n has seen every number below it."""
    one = make_inbox()
    two = make_inbox(partner=one)
    tokens = [each.caller("corp") for each in (one, two)]
    corp, seen = one.service.directory.numbers["corp"], []

    async def campaign():
        async def push(caller, name):
            for place in range(20):
                answer = await caller._send(
                    "POST",
                    "/scim/v2/Users",
                    json.dumps({"userName": f"{name}{place}"}).encode(),
                    {"Authorization": f"Bearer {caller.token}"},
                    None,
                )
                assert answer.status_code == 201
                await asyncio.sleep(0)

        async def watch():
            while len(seen) < 80:
                mark = await one.store.read(_watermark(corp))
                rows = await one.store.read(_events(corp, len(seen)))
                assert mark <= len(seen) + len(rows)
                seen.extend(row[0] for row in rows)
                assert seen == list(range(1, len(seen) + 1))
                await asyncio.sleep(0.001)

        await asyncio.gather(*(push(caller, f"{n}-{m}-") for n, caller in enumerate(tokens) for m in range(2)), watch())

    one.run(asyncio.wait_for(campaign(), 60))
    assert seen == list(range(1, 81))


def _watermark(tenant_no):
    ((seq,),) = yield "SELECT seq FROM inbox_tenant WHERE tenant_no = ?", (tenant_no,)
    return seq


def _events(tenant_no, after):
    return (yield "SELECT seq FROM inbox_event WHERE tenant_no = ? AND seq > ? ORDER BY seq", (tenant_no, after))


def test_a_renamed_tenant_keeps_its_records_and_tokens(make_inbox):
    """A tenant that the config renames keeps ids, records and tokens under its fresh name."""
    before = make_inbox(("corp", "acq"))
    caller = before.caller("corp")
    ada = caller.user("ada")
    after = make_inbox(("acq",))
    after.service.directory.tenants = {"hq": InboxTenant("hq", renamed_from="corp"), "acq": InboxTenant("acq")}
    after.run(after.service.directory.enter(after.store))
    caller.inbox = after
    assert caller.get(f"/Users/{ada}")["userName"] == "ada"
    assert set(after.service.directory.numbers) == {"hq", "acq"}
