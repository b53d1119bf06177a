"""Merging: whose value survives, who is active and why, whatever the order of arrival."""

from datetime import date, datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.frames import ACCOUNT, BIT, LINK, PERSON, PERSON_ATTRIBUTES, PERSON_ID, conform
from core.match import Matching
from core.merge import MergeSettings, merge
from core.merge_status import OVERRIDE, StatusRule
from core.model import Right, TenantFacts, TenantMode
from core.settings import AttributeRule
from tests.shuffler import SHUFFLER

NOW = datetime(2026, 11, 24, 9)  # noqa: DTZ001 - UTC without zone, as frames hold it
TODAY = date(2026, 11, 24)
ALL = frozenset(Right)


def tenant(key, *, may=ALL, retired=False, trusted=True, authoritative=True, mode=TenantMode.LIVE):
    return TenantFacts(
        tenant_key=key,
        name=f"t{key}",
        rank=key,
        mode=mode,
        may=may,
        verified_domains=frozenset(),
        employee_number_issuer=f"t{key}",
        authoritative=authoritative,
        retired=retired,
        trusted=trusted,
    )


THREE = (tenant(1), tenant(2), tenant(3))


def frame(*rows):
    """Accounts numbered from 1; `present` covers what the row names, so that a named None is authoritative."""
    full = [
        {
            "account_key": place,
            "native_id": f"n{place}",
            **row,
            "present": sum(BIT[name] for name in row if name in BIT),
        }
        for place, row in enumerate(rows, start=1)
    ]
    return conform(pl.DataFrame(full, infer_schema_length=None), ACCOUNT)


def matched(accounts, persons=None, doubtful=()):
    """Everybody is person 1 unless said."""
    keys = accounts["account_key"].to_list()
    persons = persons or [1] * len(keys)
    links = pl.DataFrame(
        {"account_key": keys, "person_key": persons, "rule": "founding", "evidence": None, "class": None},
        schema=LINK,
        strict=False,
    )
    known = sorted(set(persons))
    ids = pl.DataFrame(
        {"person_key": known, "person_id": [f"id{key}" for key in known], "founder_key": known, "generation": 0},
        schema=PERSON_ID,
    )
    return Matching(links, ids, pl.DataFrame(), frozenset(doubtful))


def person(*rows, tenants=THREE, overrides=None, **settings):
    accounts = frame(*rows)
    found = merge(accounts, matched(accounts), tenants, MergeSettings(NOW, TODAY, **settings), overrides)
    assert found.schema == pl.Schema(PERSON)
    return found.row(0, named=True)


def status(*rows, **settings):
    found = person(*rows, **settings)
    return found["active"], found["status_evidence"], found["status_reason"]


# --- survivorship


def test_the_highest_rank_that_speaks_gives_the_value():
    """Absent passes on to the next tenant, a value ends the search, and who gave it is noted."""
    found = person({"tenant_key": 2, "title": "Two", "phone": "2"}, {"tenant_key": 1, "title": "One"})
    assert (found["title"], found["from_title"]) == ("One", 2)
    assert (found["phone"], found["from_phone"]) == ("2", 1)
    assert (found["company"], found["from_company"]) == (None, None)


def test_null_clears_with_authority():
    """A tenant that says `none` clears the value, and the person row says who did."""
    found = person({"tenant_key": 1, "title": None}, {"tenant_key": 2, "title": "Two"})
    assert (found["title"], found["from_title"]) == (None, 1)


def test_an_attribute_may_prefer_other_tenants():
    """`prefer` goes before rank for its attribute alone; where the preferred are silent, rank decides."""
    rows = ({"tenant_key": 1, "title": "One", "phone": "1"}, {"tenant_key": 3, "title": "Three"})
    found = person(
        *rows, attributes={"title": AttributeRule(prefer=("t3", "t2")), "phone": AttributeRule(prefer=("t3",))}
    )
    assert (found["title"], found["phone"]) == ("Three", "1")


def test_guests_give_nothing_where_a_member_is():
    """A guest of a higher tenant contributes no attribute beside a member; alone it does."""
    guest = {"tenant_key": 1, "user_type": "guest", "title": "Guest", "company": "Elsewhere"}
    found = person(guest, {"tenant_key": 2, "user_type": "member", "title": "Member"})
    assert (found["title"], found["company"], found["home_key"], found["home_tenant"]) == ("Member", None, 2, 2)
    alone = person(guest)
    assert (alone["title"], alone["home_key"], alone["home_tenant"]) == ("Guest", None, None)


def test_a_tenant_without_the_right_gives_no_attributes():
    """Without `attributes` in `may` a tenant's values are not used, even when nobody else has any."""
    tenants = (tenant(1, may=ALL - {Right.ATTRIBUTES}), tenant(2), tenant(3))
    found = person({"tenant_key": 1, "title": "One"}, {"tenant_key": 2, "title": "Two"}, tenants=tenants)
    assert found["title"] == "Two"
    assert person({"tenant_key": 1, "title": "One"}, tenants=tenants)["title"] is None


def test_an_account_that_is_gone_gives_values_only_when_all_are():
    """A living account's values beat those of a deleted one of a higher tenant; the last known values stay otherwise."""
    gone = {"tenant_key": 1, "title": "One", "gone": "explicit"}
    assert person(gone, {"tenant_key": 2, "title": "Two"})["title"] == "Two"
    assert person(gone)["title"] == "One"


def test_within_a_tenant_the_enabled_account_speaks():
    """Of two accounts in one tenant the enabled one gives values; the native id decides between equals."""
    rows = ({"tenant_key": 1, "title": "Off", "active": False}, {"tenant_key": 1, "title": "On", "active": True})
    assert person(*rows)["title"] == "On"
    equal = ({"tenant_key": 1, "title": "B", "native_id": "b"}, {"tenant_key": 1, "title": "A", "native_id": "a"})
    assert person(*equal)["title"] == "A"


# --- status


def test_an_explicit_disable_at_home_wins_at_once():
    """Another tenant that still says active is overruled, and named."""
    assert status({"tenant_key": 1, "active": False}, {"tenant_key": 2, "active": True}) == (
        False,
        "explicit",
        "disabled in t1; still active in t2 (overruled)",
    )


def test_a_guest_never_disables_a_member():
    """A guest record, whatever its rank, says nothing about the person's status."""
    rows = ({"tenant_key": 1, "user_type": "guest", "active": False}, {"tenant_key": 2, "active": True})
    assert status(*rows) == (True, None, None)


def test_a_tenant_that_may_not_deactivate_never_does():
    """Its word is skipped and the next tenant decides; without a next one the person stays active."""
    tenants = (tenant(1, may=ALL - {Right.DEACTIVATE}), tenant(2))
    off = {"tenant_key": 1, "active": False}
    assert status(off, tenants=tenants)[0] is True
    assert status(off, {"tenant_key": 2, "active": True}, tenants=tenants)[0] is True
    assert status({"tenant_key": 1, "active": True}, {"tenant_key": 2, "active": False}, tenants=tenants)[:2] == (
        False,
        "explicit",
    )


def test_absence_counts_only_when_the_read_is_trusted():
    """Missing from a complete read is evidence `absent`; from a doubtful one it keeps the person, and says so."""
    row = {"tenant_key": 1, "active": True, "gone": "absent"}
    assert status(row) == (False, "absent", "missing from a complete read of t1")
    assert status(row, tenants=(tenant(1, trusted=False),)) == (
        True,
        None,
        "missing from t1, whose newest read is not trusted: kept",
    )


def test_a_tombstone_is_explicit_also_in_a_doubtful_read():
    """A deletion that the tenant itself reports needs no complete read."""
    row = {"tenant_key": 1, "active": True, "gone": "explicit"}
    assert status(row, tenants=(tenant(1, trusted=False),)) == (False, "explicit", "deleted in t1")


def test_an_old_account_does_not_outvote_one_that_is_there():
    """Rehired in the same tenant: the deleted account of before says nothing beside the enabled one."""
    rows = ({"tenant_key": 1, "gone": "explicit"}, {"tenant_key": 1, "active": True})
    found = person(*rows)
    assert (found["active"], found["from_active"], found["home_key"]) == (True, 2, 2)


def test_a_retired_tenant_hands_over_or_retires():
    """With another member account the person lives on there; without one it is inactive with evidence `retired`."""
    tenants = (tenant(1, retired=True), tenant(2))
    lone = status({"tenant_key": 1, "active": True}, tenants=tenants)
    assert lone == (False, "retired", "t1 is retired")
    found = person({"tenant_key": 1, "active": True}, {"tenant_key": 2, "active": True}, tenants=tenants)
    assert (found["active"], found["home_tenant"]) == (True, 2)


@pytest.mark.parametrize(
    ("dates", "expected"),
    [
        ({"ends_on": date(2026, 11, 24)}, (True, None, None)),
        ({"ends_on": date(2026, 11, 23)}, (False, "explicit", "ended on 2026-11-23 in t1")),
        ({"starts_on": date(2026, 11, 24)}, (True, None, None)),
        ({"starts_on": date(2026, 11, 25)}, (False, "explicit", "starts on 2026-11-25 in t1")),
    ],
)
def test_start_and_end_are_days_of_the_directory(dates, expected):
    """The last day counts to its end, the first from its beginning."""
    assert status({"tenant_key": 1, "active": True, **dates}) == expected


def test_the_rules_of_status_differ_as_declared():
    """Home: the home tenant alone. Any authoritative: one active is enough. Precedence: the first that speaks of it, guest or not."""
    rows = (
        {"tenant_key": 1, "user_type": "guest", "active": False},
        {"tenant_key": 2, "active": False},
        {"tenant_key": 3, "active": True},
    )
    assert status(*rows)[:2] == (False, "explicit")
    assert status(*rows, status=StatusRule("any_authoritative"))[0] is True
    assert person(*rows, status=StatusRule("precedence"))["status_tenant"] == 1
    weak = (tenant(1), tenant(2), tenant(3, authoritative=False))
    assert status(*rows, status=StatusRule("any_authoritative"), tenants=weak)[:2] == (False, "explicit")
    silent = ({"tenant_key": 1}, {"tenant_key": 2, "active": False})
    assert status(*silent, status=StatusRule("precedence"))[0] is False
    assert status(*silent)[0] is True


def test_an_observed_tenant_is_merged_like_any_other():
    """`observe` limits what is written, not what is known."""
    tenants = (tenant(1, mode=TenantMode.OBSERVE),)
    assert status({"tenant_key": 1, "active": False}, tenants=tenants)[0] is False


# --- overrides, doubts, errors


def override(active, until=None, said_at=NOW, reason="court order"):
    return {"person_id": "id1", "active": active, "until": until, "said_at": said_at, "reason": reason}


def test_an_override_holds_until_its_end():
    """Inactive and keep are exceptions with an end; the last one said wins; an ended one is nothing."""
    on, off = {"tenant_key": 1, "active": True}, {"tenant_key": 1, "active": False}
    later = datetime(2026, 12, 1)  # noqa: DTZ001 - UTC without zone
    frame_of = lambda *rows: pl.DataFrame(list(rows), schema=OVERRIDE)  # noqa: E731 - three uses, one line
    assert status(on, overrides=frame_of(override(active=False))) == (False, "explicit", "override: court order")
    kept = status(off, overrides=frame_of(override(active=True, until=later)))
    assert kept == (True, None, "override until 2026-12-01: court order")
    assert status(off, overrides=frame_of(override(active=True, until=NOW)))[0] is False
    both = frame_of(override(active=False), override(active=True, said_at=later))
    assert status(on, overrides=both)[0] is True


def test_doubtful_people_are_marked():
    """A person whose component a veto split carries the mark; others do not."""
    accounts = frame({"tenant_key": 1}, {"tenant_key": 1})
    found = merge(accounts, matched(accounts, [1, 2], doubtful={2}), THREE, MergeSettings(NOW, TODAY))
    assert found["doubtful"].to_list() == [False, True]


def test_an_account_without_a_link_is_an_error_of_the_caller():
    """Nobody disappears between matching and merging."""
    accounts = frame({"tenant_key": 1}, {"tenant_key": 1})
    with pytest.raises(ValueError, match="no link"):
        merge(accounts, matched(accounts[[0]]), THREE, MergeSettings(NOW, TODAY))


# --- properties

ROW = st.fixed_dictionaries(
    {"tenant_key": st.integers(1, 3)},
    optional={
        "title": st.sampled_from([None, "a", "b"]),
        "phone": st.sampled_from([None, "1", "2"]),
        "active": st.booleans(),
        "user_type": st.sampled_from(["member", "guest"]),
        "gone": st.sampled_from([None, "absent", "explicit"]),
        "ends_on": st.sampled_from([None, date(2026, 1, 1), date(2027, 1, 1)]),
    },
)
PEOPLE = st.lists(st.tuples(ROW, st.integers(1, 4)), min_size=1, max_size=12)


@given(PEOPLE, SHUFFLER, st.sampled_from(["home", "any_authoritative", "precedence"]))
def test_merging_is_blind_to_the_order_of_arrival(rows, random, rule):
    """Any order of accounts, links and tenants gives the same persons."""
    accounts = frame(*(row for row, _ in rows))
    matching = matched(accounts, [key for _, key in rows])
    settings = MergeSettings(NOW, TODAY, attributes={"phone": AttributeRule(prefer=("t2",))}, status=StatusRule(rule))
    first = merge(accounts, matching, THREE, settings)
    order = list(range(accounts.height))
    random.shuffle(order)
    links = Matching(matching.links[order[::-1]], matching.persons[::-1], matching.doubts)
    assert merge(accounts[order], links, THREE[::-1], settings).equals(first)


@given(PEOPLE)
def test_survivors_equal_a_plain_search(rows):
    """Each value is the one that a loop over the person's accounts in order of rank finds."""
    accounts = frame(*(row for row, _ in rows))
    merged = merge(accounts, matched(accounts, [key for _, key in rows]), THREE, MergeSettings(NOW, TODAY))
    for found in merged.iter_rows(named=True):
        mine = [(place, row) for place, (row, key) in enumerate(rows, start=1) if key == found["person_key"]]
        standing = [2 * (row.get("user_type") == "guest") + (row.get("gone") is not None) for _, row in mine]
        heard = [each for each, rank in zip(mine, standing, strict=True) if rank == min(standing)]
        heard.sort(key=lambda each: (each[1]["tenant_key"], each[1].get("active") is False, f"n{each[0]}"))
        for attribute in ("title", "phone", "ends_on"):
            winner = next(((place, row) for place, row in heard if attribute in row), (None, {}))
            assert (found[f"from_{attribute}"], found[attribute]) == (winner[0], winner[1].get(attribute))


def test_every_attribute_tells_who_gave_it():
    """No attribute of a person is without provenance."""
    assert {f"from_{name}" for name in PERSON_ATTRIBUTES} <= set(PERSON)
