"""Vetoes before keys: the cut is the least that parts every vetoed pair, and nothing is joined through one."""

import itertools
from datetime import datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.frames import ACCOUNT, CLASS, DECISION, LINK, PERSON_ID, conform, empty
from core.match import DEFAULT_KEYS, MatchSettings, match
from core.model import Right, TenantFacts, TenantMode
from core.normalise import normalise
from tests.shuffler import SHUFFLER

EVER = datetime(2020, 1, 1)  # noqa: DTZ001 - UTC without zone, as frames hold it
MAIL = "ada@corp.example"


def tenant(key, issuer=None, domains=()):
    return TenantFacts(
        tenant_key=key, name=f"t{key}", rank=key, mode=TenantMode.LIVE, may=frozenset(Right),
        verified_domains=frozenset(domains), employee_number_issuer=issuer or f"t{key}",
    )  # fmt: skip


FOUR = tuple(tenant(key, "hr") for key in (1, 2, 3, 4))


def frame(*rows):
    rows = [{"account_key": place, "native_id": f"n{place}", **row} for place, row in enumerate(rows, start=1)]
    return conform(pl.DataFrame(rows, infer_schema_length=None), ACCOUNT)


def run(accounts, tenants=FOUR, *, before=None, decisions=(), kinds=None, **more):
    told = pl.DataFrame({"account_key": accounts["account_key"], "class": kinds}, schema=CLASS) if kinds else None
    return match(
        accounts, normalise(accounts), tenants, links=before.links if before else empty(LINK),
        persons=before.persons if before else empty(PERSON_ID),
        decisions=pl.DataFrame(list(decisions), schema=DECISION, orient="row"),
        settings=MatchSettings("acme", **more), classes=told,
    )  # fmt: skip


def people(matching):
    groups = {}
    for account, person in matching.links.select("account_key", "person_key").iter_rows():
        groups.setdefault(person, []).append(account)
    return sorted(groups.values())


# --- addresses that prove nothing


def test_who_could_be_either_is_joined_to_neither():
    """Two numbers share an address; a third without a number could be either, and one with a number is that one's."""
    third = {"tenant_key": 3, "email": MAIL}
    base = [
        {"tenant_key": 1, "email": MAIL, "employee_number": "7001"},
        {"tenant_key": 2, "email": MAIL, "employee_number": "8002"},
    ]
    found = run(frame(*base, third))
    assert people(found) == [[1], [2], [3]]
    assert found.doubts.select("account_a", "account_b", "rule").rows() == [
        (1, 2, "employee_number"),
        (1, 3, "contested_key"),
        (2, 3, "contested_key"),
    ]
    assert people(run(frame(*base, {**third, "employee_number": "8002"}))) == [[1], [2, 3]]


def test_an_ended_account_beside_an_enabled_one_waits_for_a_number():
    """In one tenant an address alone does not say that the old account was the same human's; others join the enabled one."""
    old = {"tenant_key": 1, "email": MAIL, "active": False}
    accounts = frame(
        old, {"tenant_key": 1, "email": MAIL, "active": True}, {"tenant_key": 2, "email": MAIL, "active": True}
    )
    found = run(accounts)
    assert people(found) == [[1], [2, 3]]
    assert found.doubts.select("account_a", "account_b", "rule").rows() == [(1, 2, "superseded")]
    assert found.doubtful == frozenset()
    number = accounts.with_columns(employee_number=pl.Series(["7001", "7001", None]))
    assert people(run(number)) == [[1, 2, 3]]


def test_an_address_does_not_join_people_of_other_names():
    """Names without a common word keep an address from joining; spelling, order and one half of a name do not."""
    one = {"tenant_key": 1, "email": MAIL, "given_name": "Jörg", "family_name": "Müller"}
    for given_name, family_name, expected in (
        ("MUELLER", "Joerg", [[1, 2]]),
        ("Jorg", "Sørensen", [[1, 2]]),
        (None, "Stone", [[1, 2]]),
        ("Ada", "Stone", [[1], [2]]),
        ("Ада", "Лавлейс", [[1, 2]]),
    ):
        other = {"tenant_key": 2, "email": MAIL, "given_name": given_name, "family_name": family_name}
        found = run(frame(one, other))
        assert people(found) == expected
        assert found.doubts.height == len(expected) - 1
    strangers = run(frame(one, {"tenant_key": 2, "email": MAIL, "given_name": "Ada", "family_name": "Stone"}))
    assert "names differ" in strangers.doubts["reason"][0]
    numbered = frame(
        {**one, "employee_number": "7001"},
        {"tenant_key": 2, "email": MAIL, "given_name": "Ada", "family_name": "Stone", "employee_number": "7001"},
    )
    assert people(run(numbered)) == [[1, 2]]


def test_an_address_that_is_nobodys_own_joins_only_one_name():
    """An alias in both tenants may be a team's: it joins equal names and suggests for others."""
    tenants = (tenant(1, domains=["corp.example"]), tenant(2, domains=["corp.example"]))
    one = {"tenant_key": 1, "aliases": [MAIL], "given_name": "Ada", "family_name": "Lovelace"}
    assert people(run(frame(one, {**one, "tenant_key": 2}), tenants)) == [[1, 2]]
    found = run(frame(one, {**one, "tenant_key": 2, "given_name": "Bob"}), tenants)
    assert people(found) == [[1], [2]]
    assert "perhaps a team's" in found.doubts["reason"][0]
    assert people(run(frame(one, {**one, "tenant_key": 2, "given_name": "Bob", "email": MAIL}), tenants)) == [[1, 2]]


@pytest.mark.parametrize(("window", "expected"), [(10, [[1], [2]]), (60, [[1, 2]])])
def test_the_window_of_reuse_is_configured(window, expected):
    """An account made 30 days after the other's end is another human's only where the window is shorter."""
    left = {"tenant_key": 1, "email": MAIL, "active": False, "disabled_at": EVER}
    fresh = {"tenant_key": 2, "email": MAIL, "active": True, "created_at": EVER + timedelta(days=30)}
    assert people(run(frame(left, fresh), reuse=timedelta(days=window))) == expected


# --- numbers and logins


def test_zeros_mean_something_outside_the_issuers_width():
    """Lost zeros are padded to the width of the issuer; a number of another width is another number."""
    numbers = ["000017", "17", "0000017", "000018", "000019"]
    accounts = frame(
        *(
            {"tenant_key": 1 + place % 4, "employee_number": number, "active": False}
            for place, number in enumerate(numbers)
        )
    )
    assert people(run(accounts)) == [[1, 2], [3], [4], [5]]


def test_a_guests_login_tells_its_home():
    """`ada_l_corp.example#EXT#@…` is ada_l@corp.example, also as a member by type; the home tenant's member is its owner."""
    tenants = (tenant(1, domains=["corp.example"]), tenant(2))
    home = {"tenant_key": 1, "email": "ada_l@corp.example", "user_name": "ada_l@corp.example"}
    for kind in ("guest", "member"):
        guest = {"tenant_key": 2, "user_name": "Ada_L_corp.example#EXT#@t2.onmicrosoft.example", "user_type": kind}
        found = run(frame(home, guest), tenants)
        assert people(found) == [[1, 2]]
        assert found.links["evidence"][1] == "home address ada_l@corp.example"
        assert found.links["class"].to_list() == ["human", "guest"]


def test_a_guest_of_an_address_that_two_people_hold_is_nobodys():
    """Where the members at home exclude each other, their guest waits for a human."""
    tenants = (tenant(1, domains=["corp.example"]), tenant(2), tenant(3, domains=["corp.example"]))
    accounts = frame(
        {"tenant_key": 1, "email": MAIL, "active": False, "disabled_at": EVER},
        {"tenant_key": 3, "email": MAIL, "active": True, "created_at": EVER + timedelta(days=900)},
        {"tenant_key": 2, "user_type": "guest", "home_email": MAIL},
    )
    found = run(accounts, tenants)
    assert people(found) == [[1], [2], [3]]
    assert {"recycled_address", "contested_key"} <= set(found.doubts["rule"])


# --- the cut

NUMBERS = st.sampled_from([None, None, "7001", "8002", "9003"])
KEYS = st.sampled_from([None, "k1", "k2", "k3"])
KINDS = st.sampled_from(["human", "human", "human", "guest", "admin_twin", "shared"])
ROW = st.fixed_dictionaries(
    {
        "tenant_key": st.integers(1, 4),
        "immutable_id": KEYS,
        "employee_number": NUMBERS,
        "email": st.sampled_from([None, "a@x.example", "b@x.example"]),
        "active": st.booleans(),
    }
)
WORLD = st.lists(st.tuples(ROW, KINDS), min_size=2, max_size=7)


def forbidden(one, other):
    """Whether two accounts must never be one person, written to be obviously right."""
    (a, kind_a), (b, kind_b) = one, other
    persons = {"human", "guest", "admin_twin"}
    if (kind_a in persons) != (kind_b in persons):
        return True
    if a["employee_number"] and b["employee_number"] and a["employee_number"] != b["employee_number"]:
        return True
    seats = [row["active"] and kind not in {"guest", "admin_twin"} for row, kind in (one, other)]
    return all(seats) and a["tenant_key"] == b["tenant_key"]


@given(WORLD)
@settings(deadline=None)
def test_nothing_is_joined_through_a_forbidden_pair(world):
    """No person holds two accounts that exclude each other, whatever connects them, in a second run neither."""
    accounts = frame(*(row for row, _ in world))
    kinds = [kind for _, kind in world]
    first = run(accounts, kinds=kinds)
    for found in (first, run(accounts, kinds=kinds, before=first)):
        for group in people(found):
            for a, b in itertools.combinations(group, 2):
                assert not forbidden(world[a - 1], world[b - 1])


def weight(one, other):
    """What two accounts share, tier by tier, strongest first."""
    names = {"immutable_id": "immutable_id", "employee_number": "employee_number", "verified_email": "email"}
    shared = [
        int(bool(one[0][names[key]]) and one[0][names[key]] == other[0][names[key]])
        for key in DEFAULT_KEYS
        if key in names
    ]
    return tuple(shared)


def partitions(items):
    """Every way to divide them."""
    if not items:
        yield []
        return
    head, *tail = items
    for rest in partitions(tail):
        for place in range(len(rest)):
            yield [*rest[:place], [head, *rest[place]], *rest[place + 1 :]]
        yield [[head], *rest]


CUT_ROW = st.fixed_dictionaries(
    {"immutable_id": KEYS, "employee_number": NUMBERS, "email": st.sampled_from([None, "a@x.example", "b@x.example"])}
)


@given(st.lists(CUT_ROW, min_size=2, max_size=6))
@settings(deadline=None)
def test_the_cut_is_the_least_that_parts_every_forbidden_pair(rows):
    """Against every other division: the edges refused, strongest first, are never stronger than they had to be."""
    world = [({**row, "tenant_key": 1 + place % 4, "active": False}, "human") for place, row in enumerate(rows)]
    everybody = range(len(world))

    def proves(name, a, b):
        """Whether a key says that two of its holders are one: not where one of them could as well be another's."""
        value = world[a][0][name]
        if not value or value != world[b][0][name]:
            return False
        holders = [each for each in everybody if world[each][0][name] == value]
        foes = {each: {other for other in holders if forbidden(world[each], world[other])} for each in holders}
        return not any(foes.values()) or (foes[a] == foes[b] and bool(foes[a]))

    edges = {}
    for a, b in itertools.combinations(everybody, 2):
        tiers = tuple(int(proves(name, a, b)) for name in ("immutable_id", "employee_number", "email"))
        if any(tiers):
            edges[a, b] = tiers
    order = sorted(
        edges, key=lambda pair: (*(-each for each in edges[pair]), *((1 + x % 4, f"n{x + 1}") for x in pair))
    )

    def refused(division):
        home = {each: place for place, group in enumerate(division) for each in group}
        return [home[a] != home[b] for a, b in order]

    allowed = [
        division
        for division in partitions(list(everybody))
        if not any(forbidden(world[a], world[b]) for group in division for a, b in itertools.combinations(group, 2))
    ]
    found = [[each - 1 for each in group] for group in people(run(frame(*(row for row, _ in world))))]
    assert refused(found) == min(map(refused, allowed))


@given(WORLD, SHUFFLER)
@settings(deadline=None)
def test_the_answer_does_not_depend_on_the_order_of_rows(world, random):
    """Shuffled rows give the same persons, doubts and lineage."""
    accounts = frame(*(row for row, _ in world))
    order = list(range(len(world)))
    random.shuffle(order)
    straight = run(accounts, kinds=[kind for _, kind in world])
    mixed = run(accounts[order], kinds=[world[place][1] for place in order])
    assert mixed.links.equals(straight.links)
    assert mixed.doubts.equals(straight.doubts)
    assert mixed.lineage.equals(straight.lineage)
