"""What the state remembers: former addresses join a later account, and times of our own where a tenant gives none."""

from datetime import datetime, timedelta

import polars as pl

from core.frames import ACCOUNT, DECISION, LINK, PERSON_ID, conform, empty
from core.match import MatchSettings, match
from core.match_history import FORMER, TIMES, Past, normalised_former
from core.model import Right, TenantFacts, TenantMode
from core.normalise import normalise

RENAMED = datetime(2026, 3, 1)  # noqa: DTZ001 - UTC without zone, as frames hold it
OLD = "ada.l@corp.example"
TENANTS = tuple(
    TenantFacts(
        tenant_key=key,
        name=f"t{key}",
        rank=key,
        mode=TenantMode.LIVE,
        may=frozenset(Right),
        verified_domains=frozenset({"corp.example"}),
        employee_number_issuer="hr",
    )
    for key in (1, 2)
)


def frame(*rows):
    rows = [{"account_key": place, "native_id": f"n{place}", **row} for place, row in enumerate(rows, 1)]
    return conform(pl.DataFrame(rows, infer_schema_length=None), ACCOUNT)


def run(accounts, former=(), times=(), before=None):
    past = Past(
        pl.DataFrame(list(times), schema=TIMES, orient="row"),
        normalised_former(pl.DataFrame(list(former), schema=FORMER, orient="row")),
    )
    return match(
        accounts,
        normalise(accounts),
        TENANTS,
        links=before.links if before else empty(LINK),
        persons=before.persons if before else empty(PERSON_ID),
        decisions=empty(DECISION),
        settings=MatchSettings("acme"),
        past=past,
    )


def people(matching):
    groups = {}
    for account, person in matching.links.select("account_key", "person_key").iter_rows():
        groups.setdefault(person, []).append(account)
    return sorted(groups.values())


HERS = {"tenant_key": 1, "email": "ada.b@corp.example"}
LATER = {"tenant_key": 2, "email": OLD, "created_at": RENAMED - timedelta(days=500)}
GIVEN_UP = [(1, "SMTP:Ada.L@corp.example", RENAMED)]


def test_a_former_address_joins_an_account_of_then():
    """A tenant that is read only now and still knows the maiden name: one person, and the evidence says until when."""
    found = run(frame(HERS, LATER), GIVEN_UP)
    assert people(found) == [[1, 2]]
    assert found.links["evidence"].to_list() == [None, f"email {OLD} until 2026-03-01"]
    assert people(run(frame(HERS, LATER))) == [[1], [2]]


def test_a_former_address_does_not_join_who_got_it_afterwards():
    """Made long after it was given up, or nobody knows when, or in her own tenant, or under another name or number: two people."""
    for other in (
        {"created_at": RENAMED + timedelta(days=90)},
        {"created_at": None},
        {"tenant_key": 1, "active": True},
        {"employee_number": "8002"},
        {"given_name": "Bob", "family_name": "Stone"},
        {"email": "x@corp.example", "aliases": []},
    ):
        mine = {**HERS, "active": True, "employee_number": "7001", "given_name": "Ada", "family_name": "Byron"}
        assert people(run(frame(mine, {**LATER, **other}), GIVEN_UP)) == [[1], [2]], other
    assert people(run(frame(HERS, {**LATER, "created_at": RENAMED + timedelta(days=20)}), GIVEN_UP)) == [[1, 2]]


def test_a_former_address_of_a_foreign_domain_proves_nothing():
    """Only a domain that the tenant verifies makes an address hers, also in the past."""
    foreign = [(1, "ada@gmail.com", RENAMED)]
    assert people(run(frame(HERS, {**LATER, "email": "ada@gmail.com"}), foreign)) == [[1], [2]]


def test_times_that_we_saw_ourselves_tell_a_recycled_address():
    """A tenant without times: who ended before the other was first seen had the address before it was recycled."""
    left = {"tenant_key": 1, "email": OLD, "active": False}
    came = {"tenant_key": 2, "email": OLD, "active": True}
    ended, seen = RENAMED - timedelta(days=200), RENAMED
    assert people(run(frame(left, came))) == [[1, 2]]
    found = run(frame(left, came), times=[(1, None, ended), (2, seen, None)])
    assert people(found) == [[1], [2]]
    assert found.doubts["rule"].to_list() == ["recycled_address"]
    assert people(run(frame(left, came), times=[(1, None, ended), (2, ended, None)])) == [[1, 2]]


def test_our_own_times_part_nobody_who_was_one_person():
    """History may be pruned: what was one person before stays one, whatever we remember."""
    accounts = frame({"tenant_key": 1, "email": OLD, "active": False}, {"tenant_key": 2, "email": OLD, "active": True})
    before = run(accounts)
    times = [(1, None, RENAMED - timedelta(days=200)), (2, RENAMED, None)]
    assert people(run(accounts, times=times, before=before)) == [[1, 2]]
