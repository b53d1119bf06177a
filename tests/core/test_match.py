"""Matching: components are right, vetoes hold, ids stay, and nothing depends on the order of rows."""

import itertools
import time
import uuid
from datetime import datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.frames import ACCOUNT, DECISION, LINK, PERSON_ID, conform, empty
from core.match import MatchSettings, match
from core.match_cap import ASKED
from core.match_persons import NAMESPACE
from core.model import Right, TenantFacts, TenantMode
from core.normalise import normalise
from tests.shuffler import SHUFFLER

EVER = datetime(2020, 1, 1)  # noqa: DTZ001 - UTC without zone, as frames hold it
SETTINGS = MatchSettings("acme")


def tenant(key, *, name=None, domains=(), issuer=None, authoritative=True, rank=None):
    return TenantFacts(
        tenant_key=key,
        name=name or f"t{key}",
        rank=key if rank is None else rank,
        mode=TenantMode.LIVE,
        may=frozenset(Right),
        verified_domains=frozenset(domains),
        employee_number_issuer=issuer or f"t{key}",
        authoritative=authoritative,
    )


def frame(*rows):
    """Accounts numbered from 1; native_id is `n<key>` unless given; inactive unless said, so that seats veto nothing."""
    rows = [
        {"account_key": place, "native_id": f"n{place}", "active": False, **row}
        for place, row in enumerate(rows, start=1)
    ]
    return conform(pl.DataFrame(rows, infer_schema_length=None), ACCOUNT)


def run(accounts, tenants, *, before=None, decisions=(), settings=SETTINGS):
    return match(
        accounts,
        normalise(accounts),
        tenants,
        links=before.links if before else empty(LINK),
        persons=before.persons if before else empty(PERSON_ID),
        decisions=pl.DataFrame(list(decisions), schema=DECISION, orient="row"),
        settings=settings,
    )


def people(matching):
    """The accounts of each person, as sets."""
    groups = {}
    for account, person in matching.links.select("account_key", "person_key").iter_rows():
        groups.setdefault(person, set()).add(account)
    return sorted(map(sorted, groups.values()))


TWO = (tenant(1, issuer="hr"), tenant(2, issuer="hr"))
MAIL = "ada@corp.example"


# --- tiers


def test_an_hr_number_joins_within_one_issuer_only():
    """Equal numbers of one issuer are one person; equal numbers of two issuers are two."""
    accounts = frame({"tenant_key": 1, "employee_number": "007"}, {"tenant_key": 2, "employee_number": "7"})
    joined = run(accounts, TWO)
    assert people(joined) == [[1, 2]]
    assert joined.links.drop("class").rows() == [
        (1, 1, "founding", None),
        (2, 1, "employee_number", "employee number hr/7"),
    ]
    assert people(run(accounts, (tenant(1), tenant(2)))) == [[1], [2]]


def test_an_immutable_id_joins_whatever_its_spelling():
    """objectGUID as text in one tenant and as hex of its bytes in another is one person."""
    guid = uuid.UUID("12345678-9abc-def0-1122-334455667788")
    accounts = frame(
        {"tenant_key": 1, "immutable_id": str(guid)}, {"tenant_key": 2, "immutable_id": guid.bytes_le.hex()}
    )
    assert people(run(accounts, TWO)) == [[1, 2]]


def test_a_primary_address_joins_under_a_domain_that_nobody_claims():
    """Primary addresses of two authoritative tenants under an unclaimed domain are verified; public mail never is."""
    accounts = frame(
        {"tenant_key": 1, "email": MAIL},
        {"tenant_key": 2, "email": "ADA@corp.example"},
        {"tenant_key": 1, "email": "bob@gmail.com"},
        {"tenant_key": 2, "email": "bob@gmail.com"},
    )
    found = run(accounts, TWO)
    assert people(found) == [[1, 2], [3], [4]]
    assert found.doubts.select("account_a", "account_b", "rule").rows() == [(3, 4, "unverified_address")]


def test_an_address_under_someone_elses_domain_only_suggests():
    """A tenant that claims an address of another tenant's verified domain joins nobody, and a review item says so."""
    tenants = (tenant(1, domains=["corp.example"]), tenant(2))
    accounts = frame({"tenant_key": 1, "email": MAIL}, {"tenant_key": 2, "email": MAIL})
    found = run(accounts, tenants)
    assert people(found) == [[1], [2]]
    assert found.doubts.row(0)[:3] == (1, 2, "unverified_address")
    assert found.doubtful == frozenset()


def test_an_unauthoritative_tenant_verifies_nothing():
    """Its primary addresses only suggest."""
    tenants = (tenant(1), tenant(2, authoritative=False))
    accounts = frame({"tenant_key": 1, "email": MAIL}, {"tenant_key": 2, "email": MAIL})
    assert people(run(accounts, tenants)) == [[1], [2]]


def test_a_guest_joins_its_home():
    """A guest belongs to the member whose verified address, alias or login it names, in another tenant."""
    tenants = (tenant(1, domains=["corp.example"]), tenant(2), tenant(3))
    accounts = frame(
        {"tenant_key": 1, "email": "ada.l@corp.example", "aliases": ["smtp:ada@corp.example"]},
        {"tenant_key": 2, "user_type": "guest", "home_email": MAIL},
        {"tenant_key": 3, "user_type": "external", "email": "ada.l@corp.example"},
        {"tenant_key": 1, "user_name": "bob@corp.example"},
        {"tenant_key": 2, "user_type": "guest", "email": "bob@corp.example"},
    )
    found = run(accounts, tenants)
    assert people(found) == [[1, 2, 3], [4, 5]]
    assert set(found.links["rule"]) == {"founding", "home_link"}


def test_guests_of_one_stranger_are_not_joined():
    """Two guests that name the same home that nobody reads are only suggested."""
    guest = {"user_type": "guest", "home_email": "zoe@partner.example", "email": "zoe@partner.example"}
    found = run(frame({"tenant_key": 1, **guest}, {"tenant_key": 2, **guest}), TWO)
    assert people(found) == [[1], [2]]
    assert found.doubts["rule"].to_list() == ["unverified_address"]


def test_a_key_can_be_switched_off():
    """Only the configured keys join."""
    accounts = frame({"tenant_key": 1, "employee_number": "7", "email": MAIL}, {"tenant_key": 2, "email": MAIL})
    assert people(run(accounts, TWO)) == [[1, 2]]
    assert people(run(accounts, TWO, settings=MatchSettings("acme", keys=("employee_number",)))) == [[1], [2]]


def test_a_hub_joins_nobody_and_is_noted():
    """A key on more than three accounts of one tenant is no identity, not even across tenants; exactly three still is."""
    four = [{"tenant_key": 1, "email": "info@corp.example"} for _ in range(4)]
    found = run(frame(*four, {"tenant_key": 2, "email": "info@corp.example"}), TWO)
    assert len(people(found)) == 5
    assert found.notes == ("email info@corp.example is shared by 4 accounts of t1: it joins nobody",)
    assert len(people(run(frame(*four[:3], {"tenant_key": 2, "email": "info@corp.example"}), TWO))) == 1


# --- vetoes


def test_two_hr_numbers_of_one_issuer_are_two_people():
    """A shared address does not join different HR numbers: two persons, both doubtful, one review item."""
    accounts = frame(
        {"tenant_key": 1, "email": MAIL, "employee_number": "7"},
        {"tenant_key": 2, "email": MAIL, "employee_number": "8"},
    )
    found = run(accounts, TWO)
    assert people(found) == [[1], [2]]
    assert found.doubtful == {1, 2}
    assert found.doubts.rows() == [
        (1, 2, "employee_number", f"email {MAIL}: employee numbers 7 and 8 of hr differ", 0.8)
    ]


def test_two_enabled_members_of_one_tenant_are_two_people():
    """Two enabled member accounts of one tenant stay apart; a disabled, a guest or a gone one does not count."""
    pair = [{"tenant_key": 1, "employee_number": "7", "active": True} for _ in range(2)]
    assert people(run(frame(*pair), TWO)) == [[1], [2]]
    for excuse in ({"active": False}, {"user_type": "guest"}, {"gone": "explicit"}):
        assert people(run(frame(pair[0], {**pair[1], **excuse}), TWO)) == [[1, 2]]


@pytest.mark.parametrize(("days", "expected"), [(29, [[1, 2]]), (31, [[1], [2]])])
def test_a_recycled_address_joins_nobody(days, expected):
    """An account made a month after the other's end is another human; a month is what a rehire or a move may take."""
    left = {"tenant_key": 1, "email": MAIL, "gone": "explicit", "deleted_at": EVER}
    fresh = {"tenant_key": 2, "email": MAIL, "active": True, "created_at": EVER + timedelta(days=days)}
    assert people(run(frame(left, fresh), TWO)) == expected
    number = {"employee_number": "7"}
    assert people(run(frame({**left, **number}, {**fresh, **number}), TWO)) == [[1, 2]]  # rehired: HR says so


def test_the_weakest_edge_is_cut():
    """Between two that exclude each other, the third stays with the one it shares the stronger key with."""
    accounts = frame(
        {"tenant_key": 1, "email": MAIL, "employee_number": "7"},
        {"tenant_key": 2, "employee_number": "8", "immutable_id": "id-x"},
        {"tenant_key": 3, "email": MAIL, "immutable_id": "id-x"},
    )
    found = run(accounts, (*TWO, tenant(3)))
    assert people(found) == [[1], [2, 3]]
    assert found.doubts.select("account_a", "account_b").rows() == [(1, 3)]


def test_a_chain_does_not_grow_past_the_cap():
    """Of accounts that only chance connects, link by link, the weakest keys join nobody; what the stronger join, stands."""
    chain = [
        {"tenant_key": 1 + place % 2, "email": f"a{place}@x.example", "immutable_id": f"id{place // 2}"}
        for place in range(60)
    ]
    for place in range(1, 59, 2):
        chain[place]["email"] = chain[place + 1]["email"]
    found = run(frame(*chain), TWO)
    assert people(found) == [[place, place + 1] for place in range(1, 61, 2)]
    assert set(found.doubts["rule"]) == {"component_cap"}
    assert found.doubts.height == ASKED
    assert found.doubts["reason"].sort()[0] == (
        "email a10@x.example: such keys connect 60 accounts, more than the 12 that one human may have"
    )
    assert people(run(frame(*chain), TWO, settings=MatchSettings("acme", cap=60))) == [[*range(1, 61)]]


def long_chain(count):
    """So many accounts, each sharing a key with the next."""
    return conform(
        pl.DataFrame({"account_key": range(count)}).with_columns(
            native_id=pl.format("n{}", "account_key"),
            tenant_key=1 + pl.col("account_key") % 2,
            active=pl.lit(False),
            email=pl.format("a{}@x.example", (pl.col("account_key") + 1) // 2),
            immutable_id=pl.format("id{}", pl.col("account_key") // 2),
        ),
        ACCOUNT,
    )


def hub(count):
    """So many accounts on one address."""
    chain = long_chain(count)
    return chain.with_columns(email=pl.lit("info@x.example"), immutable_id=pl.lit(None, pl.String))


def clique(count):
    """So many accounts of which each two share an address of their own."""
    aliases = [[f"x{min(a, b)}-{max(a, b)}@x.example" for b in range(count) if a != b] for a in range(count)]
    rows = {"account_key": range(count), "tenant_key": [1 + key % 2 for key in range(count)], "aliases": aliases}
    frame = pl.DataFrame(rows).with_columns(
        native_id=pl.format("n{}", "account_key"),
        given_name=pl.lit("Ada"),
        family_name=pl.lit("L"),
        active=pl.lit(False),
    )
    return conform(frame, ACCOUNT)


@pytest.mark.parametrize(("shape", "size", "growth"), [(long_chain, 50_000, 2), (hub, 50_000, 2), (clique, 300, 4)])
def test_hostile_shapes_stay_linear(shape, size, growth):
    """A chain, a hub and a clique of twice the size cost at most about as much more as they hold more, and join nobody new."""
    tenants = (tenant(1, domains=["x.example"]), tenant(2, domains=["x.example"]))
    seconds = []
    for count in (size, 2 * size):
        accounts = shape(count)
        normalised = normalise(accounts)
        began = time.process_time()
        found = match(
            accounts, normalised, tenants, links=empty(LINK), persons=empty(PERSON_ID), decisions=empty(DECISION),
            settings=SETTINGS,
        )  # fmt: skip
        seconds.append(time.process_time() - began)
        assert found.links["person_key"].value_counts()["count"].max() <= 2
        assert found.doubts.height <= ASKED * count
    assert seconds[1] < 2 * growth * seconds[0] + 2  # half as much again, and a noisy machine


def test_a_chain_comes_out_the_same_again():
    """Matching a capped chain again, with its own links, changes nothing: neither persons nor doubts."""
    accounts = long_chain(200)
    found = run(accounts, TWO)
    again = run(accounts, TWO, before=found)
    assert again.links.equals(found.links)
    assert again.doubts.equals(found.doubts)
    assert again.lineage.is_empty()


# --- decisions


def test_a_human_joins_and_parts():
    """`same` joins what no key joins and waives a veto on that pair; `different` parts what keys join, without doubt."""
    accounts = frame(
        {"tenant_key": 1, "employee_number": "7", "active": True},
        {"tenant_key": 1, "employee_number": "8", "active": True},
    )
    assert people(run(accounts, TWO, decisions=[(2, 1, "same")])) == [[1, 2]]
    accounts = frame({"tenant_key": 1, "email": MAIL}, {"tenant_key": 2, "email": MAIL})
    parted = run(accounts, TWO, decisions=[(2, 1, "different")])
    assert people(parted) == [[1], [2]]
    assert parted.doubts.is_empty()
    assert parted.doubtful == frozenset()


def test_undoing_a_merge_restores_the_former_persons():
    """Two persons that a key joined and a human parts are the two persons that they were."""
    apart = frame({"tenant_key": 1, "email": MAIL}, {"tenant_key": 2, "email": "other@corp.example"})
    first = run(apart, TWO)
    joined = run(apart.with_columns(email=pl.lit(MAIL)), TWO, before=first)
    assert people(joined) == [[1, 2]]
    again = run(apart.with_columns(email=pl.lit(MAIL)), TWO, before=joined, decisions=[(1, 2, "different")])
    assert (
        again.links.select("account_key", "person_key").rows() == first.links.select("account_key", "person_key").rows()
    )
    assert again.persons.equals(first.persons)


# --- persons


@pytest.mark.parametrize("few", [0, 500])
def test_ids_are_uuid5_of_directory_tenant_generation_and_native_id(few, monkeypatch):
    """The vectorised id is Python's uuid5, for any text of a native id, for few new persons and for many."""
    monkeypatch.setattr("core.match_persons.FEW", few)
    names = ["n1", "Zoë/1", "'; --", "\u2603" * 40]
    accounts = frame(*({"tenant_key": 1, "native_id": name} for name in names))
    found = run(accounts, TWO).persons.join(
        accounts.select("account_key", "native_id"), left_on="founder_key", right_on="account_key"
    )
    for person_id, native in found.select("person_id", "native_id").iter_rows():
        assert person_id == str(uuid.uuid5(NAMESPACE, f"acme/t1/0/{native}"))


def test_a_link_outlives_its_key():
    """New addresses and names change no person: the link stays, with the rule that made it."""
    accounts = frame({"tenant_key": 1, "email": MAIL}, {"tenant_key": 2, "email": MAIL})
    before = run(accounts, TWO)
    renamed = accounts.with_columns(email=pl.format("new{}@corp.example", "account_key"))
    assert run(renamed, TWO, before=before).links.equals(before.links)


def test_on_a_split_the_side_with_most_links_keeps_the_id():
    """Of a person that a veto parts, the larger side stays the person; the other becomes a new one with its own id."""
    same = {"email": MAIL}
    tenants = tuple(tenant(key, issuer="hr") for key in (1, 2, 3))
    accounts = frame({"tenant_key": 1, **same}, {"tenant_key": 2, **same}, {"tenant_key": 3, **same})
    before = run(accounts, tenants)
    numbers = accounts.with_columns(employee_number=pl.Series(["8", "7", "7"]))
    after = run(numbers, tenants, before=before)
    assert after.links.select("account_key", "person_key").rows() == [(1, 2), (2, 1), (3, 1)]
    assert after.persons["generation"].to_list() == [0, 1]  # account 1 founded both
    assert after.persons["person_id"].n_unique() == 2


def test_when_a_person_is_parted_a_shared_key_decides_who_goes_with_whom():
    """Two that exclude each other part; the third goes with the one it shares a key with, not with the first by name.

    The doubt stays in later runs, although no key joins the parted any more, until a human agrees.
    """
    tenants = tuple(tenant(key, issuer="hr") for key in (1, 2, 3))
    same = {"email": MAIL}
    accounts = frame({"tenant_key": 1, **same}, {"tenant_key": 2, **same}, {"tenant_key": 3, **same})
    before = run(accounts, tenants)
    moved = accounts.with_columns(
        email=pl.lit(None, pl.String),
        employee_number=pl.Series(["8", "7", None]),
        immutable_id=pl.Series([None, "id-x", "id-x"]),
    )
    after = run(moved, tenants, before=before)
    assert people(after) == [[1], [2, 3]]
    later = run(moved, tenants, before=after)
    assert later.doubts.select("account_a", "account_b", "rule").rows() == [(1, 2, "split")]
    assert later.doubtful == {1, 2}
    agreed = run(moved, tenants, before=later, decisions=[(1, 3, "different")])
    assert agreed.doubts.is_empty()
    assert agreed.doubtful == frozenset()


def test_keys_of_persons_are_never_reused():
    """A person whom nobody holds any more stays known, and the next one gets the next number."""
    before = run(frame({"tenant_key": 1}, {"tenant_key": 1}), TWO)
    after = run(frame({"tenant_key": 1}, {"tenant_key": 1}, {"tenant_key": 1})[[0, 2]], TWO, before=before)
    assert after.persons["person_key"].to_list() == [1, 2, 3]
    assert after.links.select("account_key", "person_key").rows() == [(1, 1), (3, 3)]


def test_accounts_that_are_gone_stay_their_persons():
    """A deleted account is matched like any other."""
    accounts = frame({"tenant_key": 1, "email": MAIL, "gone": "explicit"}, {"tenant_key": 2, "email": MAIL})
    assert people(run(accounts, TWO)) == [[1, 2]]


def test_an_account_of_an_unknown_tenant_is_an_error_of_the_caller():
    """Nobody is matched by half."""
    with pytest.raises(ValueError, match=r"without facts: \[9\]"):
        run(frame({"tenant_key": 9}), TWO)


def test_nobody_is_nobody():
    """No accounts, no persons, and the known ones stay."""
    before = run(frame({"tenant_key": 1}), TWO)
    after = run(empty(ACCOUNT), TWO, before=before)
    assert after.persons.equals(before.persons)
    assert after.links.is_empty()


# --- properties

FEW = st.sampled_from([None, "1", "2", "3"])
ROW = st.fixed_dictionaries(
    {
        "tenant_key": st.integers(1, 4),
        "email": st.sampled_from([None, "a@x.example", "b@x.example", "c@x.example", "d@gmail.com"]),
        "immutable_id": FEW,
        "employee_number": FEW,
        "user_type": st.sampled_from([None, "member", "guest"]),
        "active": st.booleans(),
        "gone": st.sampled_from([None, None, None, "explicit"]),
    }
)
FOUR = tuple(tenant(key, issuer="hr" if key < 3 else None) for key in (1, 2, 3, 4))
WORLD = st.lists(ROW, min_size=1, max_size=9)


def naive_components(rows):
    """Union-find over shared keys, written to be obviously right."""
    parent = list(range(len(rows)))

    def root(place):
        while parent[place] != place:
            place = parent[place]
        return place

    for (a, one), (b, other) in itertools.combinations(enumerate(rows), 2):
        if (one["immutable_id"] and one["immutable_id"] == other["immutable_id"]) or (
            one["email"] and one["email"] == other["email"]
        ):
            parent[root(a)] = root(b)
    groups = {}
    for place in range(len(rows)):
        groups.setdefault(root(place), []).append(place + 1)
    return sorted(groups.values())


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "tenant_key": st.integers(1, 4),
                "email": st.sampled_from([None, *(f"{letter}@x.example" for letter in "abcdef")]),
                "immutable_id": st.sampled_from([None, *"123456"]),
            }
        ),
        min_size=1,
        max_size=16,
    )
)
def test_components_equal_a_naive_union_find(rows):
    """Without vetoes and hubs, persons are exactly the connected components of shared keys."""
    found = run(frame(*rows), FOUR, settings=MatchSettings("acme", hub_limit=100))
    assert people(found) == naive_components(rows)


def vetoed(a, b):
    """Whether two rows must never be one person."""
    numbers = a["employee_number"], b["employee_number"]
    issuers = [row["tenant_key"] if row["tenant_key"] > 2 else "hr" for row in (a, b)]
    if issuers[0] == issuers[1] and None not in numbers and numbers[0] != numbers[1]:
        return True
    seats = [row["active"] and row["user_type"] != "guest" and row["gone"] is None for row in (a, b)]
    return all(seats) and a["tenant_key"] == b["tenant_key"]


@given(WORLD, st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), max_size=3))
def test_no_person_holds_a_vetoed_pair(rows, apart):
    """Whatever connects them: different HR numbers, two seats in one tenant and parted pairs are never one person."""
    decisions = [(a, b, "different") for a, b in apart if a != b and max(a, b) <= len(rows)]
    found = run(frame(*rows), FOUR, decisions=decisions)
    for group in people(found):
        for a, b in itertools.combinations(group, 2):
            assert not vetoed(rows[a - 1], rows[b - 1])
            assert (a, b, "different") not in decisions
            assert (b, a, "different") not in decisions


@given(WORLD, WORLD, SHUFFLER)
def test_matching_is_a_fixed_point_and_blind_to_order(rows, later, random):
    """Matching again on its own answer, with rows shuffled, changes nothing; also after the world has moved on."""
    first = run(frame(*rows), FOUR)
    for world in (rows, [*later[: len(rows)], *rows[len(later) :]]):
        accounts = frame(*world)
        second = run(accounts, FOUR, before=first)
        order = list(range(accounts.height))
        random.shuffle(order)
        third = run(accounts[order], FOUR, before=second)
        assert third.links.equals(second.links)
        assert third.persons.equals(second.persons)
        assert third.doubts.equals(second.doubts)
        assert third.doubtful == second.doubtful


@given(WORLD, SHUFFLER)
def test_a_replay_mints_the_same_ids(rows, random):
    """From nothing, other account keys and another order of rows give every account the same person_id."""
    accounts = frame(*rows)
    keys = list(range(1, accounts.height + 1))
    random.shuffle(keys)
    replayed = accounts.with_columns(account_key=pl.Series(keys, dtype=pl.Int32)).sort("account_key")

    def ids(matching, frame):
        named = matching.links.join(matching.persons, on="person_key").join(frame, on="account_key")
        return dict(named.select("native_id", "person_id").iter_rows())

    assert ids(run(accounts, FOUR), accounts) == ids(run(replayed, FOUR), replayed)


def test_an_ended_account_beside_two_enabled_ones_is_told_of_one_by_name():
    """Which of two enabled holders of its address a doubt names hangs on their names, never on where a join put them."""
    ended = [
        {"tenant_key": 1, "email": f"a{place}@x.example", "native_id": f"c{place}", "immutable_id": "1"}
        for place in range(400)
    ]
    enabled = [
        {"tenant_key": 1, "email": f"a{place}@x.example", "native_id": f"{name}{place}", "active": True}
        for name in "ab"
        for place in range(400)
    ]
    accounts = frame(*ended, *enabled)
    told = [run(accounts[::step], TWO).doubts.filter(pl.col("rule") == "superseded") for step in (1, -1)]
    assert told[0].select("account_a", "account_b").rows() == [(place, 400 + place) for place in range(1, 401)]
    assert told[0].equals(told[1])
