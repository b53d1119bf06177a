"""A person's id outlives everything but a veto, and what becomes of persons is told with the reason."""

import random

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from core.frames import ACCOUNT, DECISION, LINEAGE, LINK, PERSON_ID, conform, empty
from core.match import MatchSettings, match
from core.model import Right, TenantFacts, TenantMode
from core.normalise import normalise

MAIL = "ada@corp.example"
TENANTS = tuple(
    TenantFacts(
        tenant_key=key,
        name=f"t{key}",
        rank=key,
        mode=TenantMode.LIVE,
        may=frozenset(Right),
        verified_domains=frozenset(),
        employee_number_issuer="hr",
    )
    for key in (1, 2, 3, 4)
)


def frame(*rows):
    rows = [
        {"account_key": place, "native_id": f"n{place}", "active": False, **row} for place, row in enumerate(rows, 1)
    ]
    return conform(pl.DataFrame(rows, infer_schema_length=None), ACCOUNT)


def run(accounts, before=None, decisions=(), since=None):
    return match(
        accounts,
        normalise(accounts),
        TENANTS,
        links=before.links if before else empty(LINK),
        persons=before.persons if before else empty(PERSON_ID),
        decisions=pl.DataFrame(list(decisions), schema=DECISION, orient="row"),
        settings=MatchSettings("acme"),
        since=since.links if since else None,
    )


def ids(matching):
    """account_key → person_id."""
    return dict(matching.links.join(matching.persons, on="person_key").select("account_key", "person_id").iter_rows())


def told(matching):
    return matching.lineage.select("event", "person_from", "person_to", "accounts", "continues", "reason").rows()


def test_a_founder_is_told_once():
    """The first matching founds, the next one of the same tells nothing."""
    accounts = frame({"tenant_key": 1, "email": MAIL}, {"tenant_key": 2, "email": MAIL})
    first = run(accounts)
    mine = ids(first)[1]
    assert told(first) == [("founded", None, mine, None, mine, "its accounts were nobody's before")]
    assert first.lineage["edge"].to_list() == ["t1 n1"]
    assert first.lineage.schema == pl.Schema(LINEAGE)
    assert run(accounts, first).lineage.is_empty()


def test_a_merge_says_who_continues_and_which_key_joined():
    """Two persons whom a new key joins: the better-ranked id continues, the edge is the key."""
    apart = frame({"tenant_key": 1, "email": MAIL}, {"tenant_key": 2, "email": "other@corp.example"})
    first = run(apart)
    joined = run(apart.with_columns(email=pl.lit(MAIL)), first)
    before = ids(first)
    assert told(joined) == [("merged", before[2], before[1], 1, before[1], "joined by verified_email")]
    assert joined.lineage["edge"].to_list() == [f"email {MAIL}"]


def test_a_split_says_which_veto_parted_and_which_edge_was_refused():
    """Of three on one address two get another number: the larger side continues, the veto and the edge are told."""
    accounts = frame(*({"tenant_key": key, "email": MAIL} for key in (1, 2, 3)))
    first = run(accounts)
    after = run(accounts.with_columns(employee_number=pl.Series(["8002", "7001", "7001"])), first)
    old, new = ids(first)[1], ids(after)[1]
    assert ids(after)[2] == ids(after)[3] == old
    assert told(after) == [("split", old, new, 1, old, "employee_number")]
    assert after.lineage["edge"].to_list() == [f"email {MAIL}: employee numbers 7001 and 8002 of hr differ"]


def test_a_decision_that_parts_is_told_as_a_decision_and_its_undoing_brings_the_persons_back():
    """Joined by a key, parted by a human, joined again: split and merged are told, and the old ids return."""
    apart = frame({"tenant_key": 1, "email": MAIL}, {"tenant_key": 2, "email": "other@corp.example"})
    first = run(apart)
    same = apart.with_columns(email=pl.lit(MAIL))
    joined = run(same, first)
    parted = run(same, joined, [(1, 2, "different")])
    assert ids(parted) == ids(first)
    event, _, _, _, continues, reason = told(parted)[0]
    assert (event, continues, reason) == ("moved", ids(first)[1], "decision")
    again = run(same, parted)
    assert ids(again) == ids(joined)
    assert again.lineage["event"].to_list() == ["merged"]


def test_a_decision_taken_back_is_told():
    """Where links are put back to what they were before a pin, the event says so, and which id goes on."""
    apart = frame({"tenant_key": 1}, {"tenant_key": 2})
    first = run(apart)
    pinned = run(apart, first, [(1, 2, "same")])
    assert ids(pinned)[1] == ids(pinned)[2] == ids(first)[1]
    undone = run(apart, first, since=pinned)
    assert told(undone) == [
        ("moved", ids(first)[1], ids(first)[2], 1, ids(first)[1], "a decision was taken back"),
    ]


def test_a_person_whom_nobody_held_returns():
    """Links that were lost altogether: the founding account gets its old id back, and that is told."""
    accounts = frame({"tenant_key": 1, "email": MAIL}, {"tenant_key": 2, "email": "b@corp.example"})
    first = run(accounts)
    without = run(accounts[:1], first)
    assert without.lineage.is_empty()
    back = run(accounts, without)
    assert ids(back) == ids(first)
    assert told(back) == [("returned", None, ids(first)[2], 1, ids(first)[2], "its founding account is there again")]


def test_lineage_is_complete():
    """Whoever changes the person is in exactly one event, with the number of accounts that moved."""
    rng = random.Random(3)
    state = None
    for _ in range(25):
        rows = [
            {
                "tenant_key": 1 + place % 4,
                "email": rng.choice([None, "a@x.example", "b@x.example", "c@x.example"]),
                "employee_number": rng.choice([None, None, "7001", "8002"]),
            }
            for place in range(8)
        ]
        after = run(frame(*rows), state)
        if state:
            before, now = ids(state), ids(after)
            moved = {}
            for key, person in before.items():
                if now[key] != person:
                    moved[person, now[key]] = moved.get((person, now[key]), 0) + 1
            events = after.lineage.filter(pl.col("person_from").is_not_null())
            assert {
                (a, b): count for a, b, count in events.select("person_from", "person_to", "accounts").iter_rows()
            } == moved
            for event, _, _, _, continues, _ in told(after):
                assert event in {"founded", "split", "merged", "moved", "returned"}
                assert continues in now.values()
        state = after


PEOPLE = 4


def world(edits):
    """Every person in every tenant, joined by number and address; `edits` change what a rename or a loss changes."""
    rows = []
    for person in range(PEOPLE):
        for tenant in (1, 2, 3):
            name = edits.get((person, tenant), f"p{person}")
            rows.append(
                {
                    "tenant_key": tenant,
                    "native_id": f"{person}-{tenant}",
                    "email": f"{name}@x.example",
                    "user_name": name,
                    "employee_number": None if name == "gone" else f"{5000 + 17 * person}",
                    "given_name": name.title(),
                    "family_name": "X",
                }
            )
    return rows


STEP = st.tuples(
    st.sampled_from(["rename", "lose_number", "lose_tenant", "reorder"]),
    st.integers(0, PEOPLE - 1),
    st.integers(1, 3),
    st.integers(0, 10_000),
)


@given(st.lists(STEP, min_size=1, max_size=8))
@settings(deadline=None, max_examples=40)
def test_ids_survive_renames_losses_and_reorderings(steps):
    """Whatever happens to names, addresses, numbers, the order of rows, or a tenant that is away for a while: same ids, no event."""
    edits = {}
    first = run(frame(*world(edits)))
    expected = ids(first)
    state = first
    for what, person, tenant, number in steps:
        if what == "rename":
            edits[person, tenant] = f"n{number}x{person}"
        elif what == "lose_number":
            edits[person, tenant] = "gone"
        rows = world(edits)
        if what == "lose_tenant":
            rows = [{**row, "gone": "absent" if row["tenant_key"] == tenant else None} for row in rows]
        accounts = frame(*rows)
        if what == "reorder":
            order = list(range(accounts.height))
            random.Random(number).shuffle(order)
            accounts = accounts[order]
        state = run(accounts, state)
        assert ids(state) == expected
        assert state.lineage.is_empty()
