"""Suggestions: what is proposed and what never is, how scores behave, and that the waterfall is the score."""

import json
import math
import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.frames import ACCOUNT, DECISION, DOUBT, LINK, conform, empty
from core.model import Right, TenantFacts, TenantMode
from core.normalise import normalise
from core.suggest import (
    SUGGESTION,
    SuggestSettings,
    fingerprint,
    still_open,
    suggest,
    unexplained,
)
from core.suggest_accept import accepted, joining
from core.suggest_block import candidates
from core.suggest_compare import EDITS, JARO, SAME, Field, Level, Spec, compare, records
from core.suggest_weigh import learn, total

GOLDEN = Path(__file__).parent.parent / "golden"
GIVEN = "Ada Ben Cora Dirk Emma Finn Gesa Hugo Inga Jens Kira Lars Mona Nils Olga Paul Rosa Sven Tina Uwe".split()  # noqa: SIM905 - forty quoted words read worse
FAMILY = "Abel Busch Cohn Dorn Ernst Fuchs Gross Hahn Jung Kern Lenz Moser Noll Otten Pabst Reuter Sauer Thoma Ulm Vogt".split()  # noqa: SIM905 - same


def tenant(key):
    return TenantFacts(
        tenant_key=key,
        name=f"t{key}",
        rank=key,
        mode=TenantMode.LIVE,
        may=frozenset(Right),
        verified_domains=frozenset(),
        employee_number_issuer=f"hr{key}",
    )


TENANTS = [tenant(1), tenant(2), tenant(3)]


def crowd(size=200):
    """People of tenant 1 with distinct names and phones: what everything else is rare against."""
    return [
        {
            "account_key": 1000 + place,
            "tenant_key": 1,
            "given_name": GIVEN[place % 20],
            "family_name": FAMILY[(place // 20 + place) % 20] + "er" * (place // 100),
            "phone": f"+49 40 {7000000 + place * 137}",
            "department": ("Sales", "Law", "Works", "Ideas")[place % 4],
            "location": ("Ulm", "Bari", "Graz")[place % 3],
        }
        for place in range(size)
    ]


BOB = {
    "account_key": 1, "tenant_key": 1, "given_name": "Robert", "family_name": "Müller-Lüdenscheidt",
    "phone": "+49 40 123 456", "department": "Law", "location": "Graz",
}  # fmt: skip
ROBERT = {
    "account_key": 2, "tenant_key": 2, "display_name": "Mueller-Luedenscheidt, Bob (External)",
    "phone": "040/123456", "department": "Law",
}  # fmt: skip


def proposed(*rows, links=None, decisions=(), doubts=(), classes=None, settings=None, seed=None):
    """The suggestions for these accounts beside the crowd, every account its own person unless `links` says else."""
    whole = conform(
        pl.DataFrame(
            [{"native_id": f"n{row['account_key']}", "active": True, **row} for row in (*rows, *crowd())],
            infer_schema_length=None,
        ),
        ACCOUNT,
    )
    held = whole.select("account_key", person_key="account_key")
    if links:
        held = held.with_columns(pl.col("person_key").replace(links))
    if seed is not None:
        whole, held = (
            whole.sample(fraction=1, shuffle=True, seed=seed),
            held.sample(fraction=1, shuffle=True, seed=seed),
        )
    return suggest(
        whole,
        normalise(whole),
        TENANTS,
        conform(held, LINK),
        decisions=pl.DataFrame(list(decisions), schema=DECISION, orient="row"),
        doubts=pl.DataFrame(list(doubts), schema=DOUBT, orient="row"),
        classes=classes,
        settings=settings,
    )


def pairs(suggestions):
    return list(suggestions.select("account_a", "account_b").iter_rows())


def test_a_nickname_an_umlaut_and_a_phone_suggest_one_human():
    """Bob and Robert, Müller and Mueller, one phone in two spellings: proposed, told in one plain sentence, never joined."""
    found = proposed(BOB, ROBERT)
    assert found.schema == pl.Schema(SUGGESTION)
    assert pairs(found) == [(1, 2)]
    assert found["rule"].to_list() == ["similar"]
    assert found["score"][0] > 0.99
    assert found["reason"][0].startswith("same family name (nobody else has it), nickname Robert ~ Bob, same phone")


def test_golden_waterfall():
    """The waterfall of that pair is exactly the kept one: `make golden` writes it anew, for eyes to read."""
    found = proposed(BOB, ROBERT)
    told = json.dumps(
        {
            "score": round(found["score"][0], 6),
            "reason": found["reason"][0],
            "waterfall": json.loads(found["waterfall"][0]),
        },
        indent=1,
        ensure_ascii=False,
    )
    path = GOLDEN / "suggestion-bob-robert.json"
    if os.environ.get("ONEFOLD_GOLDEN") == "write":
        path.write_text(told + "\n")
    assert told + "\n" == path.read_text()


def test_the_waterfall_sums_to_the_score():
    """The bits of a waterfall are the whole weight: their sum is the log odds of the score."""
    found = proposed(
        BOB, ROBERT, {**BOB, "account_key": 3, "tenant_key": 3, "phone": None}, settings=SuggestSettings(0.0, 99)
    )
    assert found.height >= 3
    for text, score in found.select("waterfall", "score").iter_rows():
        steps = json.loads(text)
        assert steps[0]["field"] == "prior"
        assert all(set(step) == {"field", "detail", "bits"} and step["detail"] for step in steps)
        assert 1 / (1 + 2 ** -math.fsum(step["bits"] for step in steps)) == pytest.approx(score, rel=1e-9)


@settings(max_examples=8)
@given(st.integers(0, 10_000))
def test_the_order_of_rows_means_nothing(seed):
    """However accounts and links are shuffled, the suggestions are the same to the last digit."""
    everybody = SuggestSettings(0.0, 5)
    assert proposed(BOB, ROBERT, seed=seed, settings=everybody).equals(proposed(BOB, ROBERT, settings=everybody))


FORBIDDEN = {
    "one person already": {"links": {2: 1}},
    "a human said that they differ": {"decisions": [(2, 1, "different")]},
    "a veto refused them already": {"doubts": [(1, 2, "recycled_address", "", 0.8)]},
    "a service account": {"classes": pl.DataFrame({"account_key": [2], "class": ["service"]})},
    "a shared mailbox": {"classes": pl.DataFrame({"account_key": [1], "class": ["shared"]})},
    "an admin twin": {"classes": pl.DataFrame({"account_key": [1], "class": ["admin_twin"]})},
}


@pytest.mark.parametrize("why", FORBIDDEN)
def test_what_is_forbidden_is_never_suggested(why):
    """Neither what is joined or parted already nor what is no human's is proposed, however alike."""
    assert (1, 2) in pairs(proposed(BOB, ROBERT))
    assert pairs(proposed(BOB, ROBERT, **FORBIDDEN[why])) == []


@pytest.mark.parametrize(
    "other",
    [
        {"tenant_key": 1},
        {"tenant_key": 1, "user_type": "guest", "active": False, "gone": "explicit"},
    ],
)
def test_seats_and_gone_accounts_are_never_suggested(other):
    """Two enabled members of one tenant are two humans, and an account that is gone is nobody's."""
    assert pairs(proposed(BOB, {**ROBERT, **other})) == []


def test_a_number_of_the_same_issuer_parts_whole_persons():
    """A veto between any two accounts of two persons keeps all their accounts from being proposed."""
    third = {"account_key": 3, "tenant_key": 3, "given_name": "Rob", "family_name": "Nobody", "employee_number": "11"}
    fourth = {
        "account_key": 4,
        "tenant_key": 3,
        "given_name": "X",
        "family_name": "Y",
        "employee_number": "12",
        "active": False,
    }
    assert (1, 2) in pairs(proposed(BOB, ROBERT, third, fourth, links={3: 1}))
    assert pairs(proposed(BOB, ROBERT, third, fourth, links={3: 1, 4: 2})) == []


def test_a_disabled_account_of_the_same_tenant_may_be_suggested():
    """A leaver who came back under a new number of nobody's is no veto's business."""
    assert pairs(proposed(BOB, {**ROBERT, "tenant_key": 1, "active": False})) == [(1, 2)]


def test_swapped_names_are_understood():
    """Given and family name in each other's field still agree, and the waterfall says so at a price."""
    turned = {**BOB, "account_key": 2, "tenant_key": 2, "given_name": BOB["family_name"], "family_name": "Robert"}
    found = proposed(BOB, turned)
    assert pairs(found) == [(1, 2)]
    steps = {step["field"]: step for step in json.loads(found["waterfall"][0])}
    assert steps["swapped"]["bits"] < 0 < steps["family"]["bits"]
    assert (
        found["score"][0] < proposed(BOB, {**BOB, "account_key": 2, "tenant_key": 2})["score"][0]
        or found["score"][0] > 0.999999
    )


def test_a_guest_login_that_spells_the_home_address_is_an_address():
    """Without a mail field, a guest's #EXT# login still tells whose guest it is."""
    home = {**BOB, "email": "rob_m@corp.example"}
    guest = {
        "account_key": 2, "tenant_key": 2, "user_type": "guest", "display_name": "Rob Mueller-Luedenscheidt",
        "user_name": "rob_m_corp.example#EXT#@t2.onmicrosoft.example",
    }  # fmt: skip
    found = proposed(home, guest)
    assert pairs(found) == [(1, 2)]
    assert "same address" in found["reason"][0]


def test_strangers_are_not_suggested():
    """Two hundred people with no double among them, many of one name or one department, give no suggestion."""
    assert proposed().is_empty()


def test_two_persons_meet_once_and_only_the_best_partners_stay():
    """Of two persons with many accounts the best pair alone is told; each person has at most so many partners."""
    twins = [{**BOB, "account_key": 10 + n, "tenant_key": 2, "active": False} for n in range(6)]
    found = proposed(
        BOB, {**BOB, "account_key": 2, "tenant_key": 3}, *twins, links={2: 1}, settings=SuggestSettings(0.0, 2)
    )
    theirs = [(1 if a == 2 else a, b) for a, b in pairs(found) if a in {1, 2}]
    assert len(theirs) == len(set(theirs))
    assert len(found) < 6 * 7 / 2


def test_a_crowd_of_one_name_stays_linear():
    """Thousands of one name do not meet each other pair by pair."""
    frame = pl.DataFrame({"name": ["Smith"] * 4000, "town": [str(n % 400) for n in range(4000)]})
    alone = np.arange(4000, dtype=np.int32)
    assert len(candidates(frame, [[pl.col("name")]], alone)) == 0
    assert len(candidates(frame, [[pl.col("name"), pl.col("town")]], alone)) == 400 * 10 * 9 / 2


# --- scores, with weights held still

TEXT = (Level(SAME, None, 0.8), Level("near", (EDITS <= 1) | (JARO > 0.9), 0.1), Level("other", None, 0.1))
SPEC = Spec((Field("one", "one", TEXT), Field("two", "two", TEXT), Field("three", "three", TEXT, frequency=False)))
VALUES = st.none() | st.sampled_from(["anna", "anne", "hannah", "otto", "ottos", "x", "maximilian", "maximilien"])
RECORD = st.tuples(VALUES, VALUES, VALUES)


def weighed(rows):
    """Known records, and a function that gives the weight of two of them under weights learnt from all pairs."""
    frame = pl.DataFrame(rows, schema=dict.fromkeys(("one", "two", "three"), pl.String), orient="row")
    known = records(frame, np.arange(frame.height, dtype=np.int32), SPEC, {})
    a, b = (side.astype(np.int32) for side in np.triu_indices(frame.height, 1))
    weights = learn(known, compare(known, a, b), compare(known, a[:0], b[:0]))

    def weight(one, other):
        return float(total(known, weights, compare(known, np.array([one], np.int32), np.array([other], np.int32)))[0])

    return weight


@given(st.lists(RECORD, min_size=2, max_size=12))
def test_scores_are_symmetric(rows):
    """Who is named first does not matter."""
    weight = weighed(rows)
    assert weight(0, 1) == weight(1, 0)


@given(st.lists(RECORD, min_size=2, max_size=12), st.integers(0, 2))
def test_more_agreement_never_lowers_the_score(rows, place):
    """A record that agrees in one field more, all else equal, weighs at least as much."""
    one, other = rows[0], list(rows[1])
    other[place] = one[place] if one[place] is not None else other[place]
    weight = weighed([*rows, tuple(other)])
    assert weight(0, len(rows)) >= weight(0, 1)


@given(st.lists(RECORD, min_size=2, max_size=12), st.integers(0, 2))
def test_a_null_is_neutral(rows, place):
    """Taking away a value that disagrees whole never lowers the score; taking away an equal one never raises it."""
    other = list(rows[1])
    value, other[place] = other[place], None
    weight = weighed([*rows, tuple(other)])
    if value == rows[0][place]:
        assert weight(0, len(rows)) <= weight(0, 1)
    elif value == "x" and rows[0][place] is not None:
        assert weight(0, len(rows)) >= weight(0, 1)


def test_rare_values_weigh_more():
    """Agreement on a name that few have says more than on one that many have."""
    rows = (
        [("otto", None, None)] * 30 + [("hannah", None, None)] * 2 + [(f"name{n}q{n}", None, None) for n in range(40)]
    )
    weight = weighed(rows)
    assert weight(30, 31) > weight(0, 1)


# --- thresholds and the list for the reviewer


def suggestion(a, b, score):
    return {"account_a": a, "account_b": b, "rule": "similar", "reason": "r", "score": score, "waterfall": "[]"}


CLASSES = pl.DataFrame(
    {"account_key": [1, 2, 3, 4, 5, 6], "class": ["human", "guest", "guest", "service", "human", "guest"]},
    schema={"account_key": pl.Int32, "class": pl.String},
)
LISTED = pl.DataFrame(
    [suggestion(1, 2, 0.9995), suggestion(3, 6, 0.995), suggestion(3, 4, 1.0), suggestion(1, 3, 0.9)], schema=SUGGESTION
)
APART = conform(CLASSES.with_columns(person_key="account_key").drop("class"), LINK)


@pytest.mark.parametrize(
    ("merge_above", "expected"),
    [
        ({}, []),
        ({"guest": 0.99}, [(3, 6)]),
        ({"guest": 0.995}, []),
        ({"guest": 0.99, "human": 0.999}, [(1, 2), (3, 6)]),
        ({"human": 0.1}, []),
        ({"guest": 0.1, "human": 0.1}, []),  # 1 and 3 would have two partners each
    ],
)
def test_only_thresholds_accept_without_a_human(merge_above, expected):
    """Nothing by default; both need a threshold of their class; the score exceeds the higher; nobody has two partners."""
    assert [row[:2] for row in accepted(LISTED, merge_above, CLASSES, APART).iter_rows()] == expected


def test_what_a_human_said_is_not_said_again():
    """An accepted pair becomes a `same` of the second pass unless a human spoke about it, either way round."""
    sure = accepted(LISTED, {"guest": 0.99, "human": 0.999}, CLASSES, APART)
    said = pl.DataFrame([(2, 1, "different"), (8, 9, "same")], schema=DECISION, orient="row")
    assert joining(said, sure).rows() == [*said.rows(), (3, 6, "same")]


def test_suggestions_of_before_stay_while_they_are_open():
    """Those about one person by now, or about which a human spoke, are gone; other doubts are no suggestions."""
    stored = pl.concat([LISTED, pl.DataFrame([{**suggestion(5, 6, 0.8), "rule": "two_members"}], schema=SUGGESTION)])
    links = APART.with_columns(person_key=pl.col("person_key").replace({2: 1}))
    said = pl.DataFrame([(6, 3, "different")], schema=DECISION, orient="row")
    assert pairs(still_open(stored, links, said)) == [(3, 4), (1, 3)]


def test_what_suggestions_are_made_of_moves_with_it():
    """A changed phone, alias, link, word or setting moves the fingerprint; order, and that somebody was switched off, do not."""
    accounts = conform(pl.DataFrame([{**row, "native_id": "n", "active": True} for row in (BOB, ROBERT)]), ACCOUNT)
    links = conform(pl.DataFrame({"account_key": [1, 2], "person_key": [1, 2]}), LINK)
    said = pl.DataFrame([(2, 1, "different")], schema=DECISION, orient="row")
    usual = (accounts, links, empty(DECISION), SuggestSettings())
    content = fingerprint(*usual)
    assert fingerprint(accounts.reverse(), links.reverse(), *usual[2:]) == content
    assert fingerprint(accounts.with_columns(active=pl.lit(value=False)), *usual[1:]) == content
    moved = (
        (accounts.with_columns(phone=pl.lit("1")), *usual[1:]),
        (accounts.with_columns(aliases=pl.lit(["a@b.example"])), *usual[1:]),
        (accounts.head(1), *usual[1:]),
        (accounts, links.with_columns(person_key=pl.lit(1)), *usual[2:]),
        (accounts, links, said, SuggestSettings()),
        (*usual[:3], SuggestSettings(0.9)),
    )
    assert len({content, *(fingerprint(*each) for each in moved)}) == 1 + len(moved)


def test_a_suggestion_stands_for_an_address_claim_of_the_same_persons():
    """The list does not ask twice: an address claim goes where a suggestion tells more, a veto's doubt stays."""
    doubts = pl.DataFrame(
        [
            (5, 3, "unverified_address", "a", 0.5),
            (8, 7, "unverified_address", "b", 0.5),
            (1, 2, "two_members", "c", 0.8),
        ],
        schema=DOUBT,
        orient="row",
    )
    links = conform(
        pl.DataFrame({"account_key": [1, 2, 3, 4, 5, 6, 7, 8], "person_key": [1, 2, 3, 4, 1, 6, 7, 8]}), LINK
    )
    assert pairs(unexplained(doubts, LISTED, links)) == [(1, 2), (8, 7)]
    assert unexplained(doubts, LISTED.clear(), links).height == 3
    assert unexplained(empty(DOUBT), LISTED, links).is_empty()
