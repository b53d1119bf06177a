"""Undoing decisions: the former persons are back, whatever was decided in between and in whatever order it is undone."""

import itertools

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.frames import ACCOUNT, DECIDED, DECISION, LINK, PERSON_ID, UNDONE, conform, empty
from core.match import MatchSettings, match
from core.model import Right, TenantFacts, TenantMode
from core.normalise import normalise
from core.unmerge import restored
from tests.shuffler import SHUFFLER


class World:
    """Accounts that stay, decisions that come and go; each `run` remembers the links as the state does."""

    def __init__(self, rows):
        rows = [
            {"account_key": place, "native_id": f"n{place}", "active": False, **row}
            for place, row in enumerate(rows, 1)
        ]
        self.accounts = conform(pl.DataFrame(rows, infer_schema_length=None), ACCOUNT)
        self.decisions = {}
        self.decided = empty(DECIDED)
        self.undone = empty(UNDONE)
        self.persons = empty(PERSON_ID)
        self.past = [empty(LINK)]
        self.changes = []
        self.run()

    def run(self):
        rows = [(a, b, word) for (a, b), word in self.decisions.items()]
        decisions = pl.DataFrame(rows, schema=DECISION, orient="row")
        start = restored(self.links, self.decided, self.undone, decisions, history=self.history, obeyed=self.obeyed)
        found = match(
            self.accounts,
            normalise(self.accounts),
            TENANTS,
            links=start.links,
            persons=self.persons,
            decisions=decisions,
            settings=MatchSettings("acme"),
        )
        number = len(self.past) - 1
        columns = ["account_a", "account_b", "decision"]
        now, before = set(start.decided.select(columns).iter_rows()), set(self.decided.select(columns).iter_rows())
        self.changes += [(a, b, number, None) for a, b, _ in now ^ before]
        self.decided = start.decided.with_columns(pl.col("since_run").fill_null(number))
        self.undone = start.undone.with_columns(pl.col("to_run").fill_null(number))
        self.persons = found.persons
        self.past.append(found.links)
        return found

    def history(self):
        """As the state keeps it: a row from the run that wrote it until the run that wrote another one."""
        rows, open_ = [], {}
        for run, links in enumerate(self.past[1:]):
            for account, *link in links.select(list(LINK)).iter_rows():
                if account in open_ and open_[account][0] == link:
                    continue
                if account in open_:
                    rows.append((account, *open_[account][0], open_[account][1], run))
                open_[account] = (link, run)
        rows += [(account, *link, run, None) for account, (link, run) in open_.items()]
        schema = {**LINK, "valid_from_run": pl.Int32(), "valid_to_run": pl.Int32()}
        return pl.DataFrame(rows, schema=schema, orient="row")

    def obeyed(self):
        """The runs in which a decision came into force or went out of it."""
        names = ("account_a", "account_b", "valid_from_run", "valid_to_run")
        return pl.DataFrame(self.changes, schema=dict.fromkeys(names, pl.Int32()), orient="row")

    @property
    def links(self):
        return self.past[-1]

    def decide(self, a, b, word):
        pair = (min(a, b), max(a, b))
        if word == "open":
            self.decisions.pop(pair, None)
        else:
            self.decisions[pair] = word
        self.run()

    def people(self):
        return dict(self.links.select("account_key", "person_key").iter_rows())


def tenant(key):
    return TenantFacts(
        tenant_key=key,
        name=f"t{key}",
        rank=4 - key,
        mode=TenantMode.LIVE,
        may=frozenset(Right),
        verified_domains=frozenset(),
        employee_number_issuer="hr",
    )


TENANTS = tuple(tenant(key) for key in (1, 2, 3))
FEW = st.sampled_from([None, None, "1", "2"])
ROW = st.fixed_dictionaries(
    {
        "tenant_key": st.integers(1, 3),
        "email": st.sampled_from([None, "a@x.example", "b@x.example", "c@x.example"]),
        "immutable_id": FEW,
        "employee_number": FEW,
        "active": st.booleans(),
    }
)
ROWS = st.lists(ROW, min_size=2, max_size=7)
SAID = st.tuples(st.integers(1, 7), st.integers(1, 7), st.sampled_from(["same", "different"]))


def sayings(rows, said):
    return [(a, b, word) for a, b, word in said if a != b and max(a, b) <= len(rows)]


def test_an_accepted_pair_is_parted_again():
    """Two persons that only a decision joined are the two persons that they were, ids, rules and evidence."""
    world = World([{"tenant_key": 1}, {"tenant_key": 2}])
    first = world.links
    world.decide(1, 2, "same")
    assert len(set(world.people().values())) == 1
    world.decide(1, 2, "open")
    assert world.links.equals(first)


def test_a_decision_that_is_turned_round_restores_too():
    """From `same` to `different`: the former persons, kept apart."""
    world = World([{"tenant_key": 1}, {"tenant_key": 2}])
    first = world.links
    world.decide(1, 2, "same")
    world.decide(1, 2, "different")
    assert world.links.equals(first)
    world.decide(1, 2, "open")
    assert world.links.equals(first)


def test_who_came_meanwhile_follows_its_key():
    """An account that joined the merged person by an address of one side goes with that side, not with both."""
    rows = [{"tenant_key": 1, "email": "a@x.example"}, {"tenant_key": 2, "email": "b@x.example"}, {"tenant_key": 3}]
    world = World(rows)
    world.decide(1, 2, "same")
    world.accounts = world.accounts.with_columns(
        email=pl.when(pl.col("account_key") == 3).then(pl.lit("b@x.example")).otherwise("email")
    )
    world.run()
    assert len(set(world.people().values())) == 1
    world.decide(1, 2, "open")
    people = world.people()
    assert people[2] == people[3] != people[1]


def test_one_of_two_rejections_keeps_the_persons_apart():
    """As long as another decision parts the two persons nobody changes sides; with the last one they are one again."""
    world = World([{"tenant_key": key, "email": "a@x.example"} for key in (1, 2, 3)])
    first = world.links
    world.decide(1, 2, "different")
    world.decide(1, 3, "different")
    apart = world.links
    world.decide(1, 2, "open")
    assert world.links.equals(apart)
    world.decide(1, 3, "open")
    assert world.links.equals(first)


def test_a_rejection_that_moved_nobody_may_carry_one_that_did():
    """5 left 3 for 6 by a decision that was undone while another one parts 3 and 6: with that one undone, 5 is back."""
    world = World(
        [
            {"tenant_key": 1, "email": "c@x.example", "employee_number": "2"},
            {"tenant_key": 1, "email": "c@x.example"},
            {"tenant_key": 1, "email": "c@x.example", "employee_number": "1"},
        ]
    )
    first = world.links
    world.decide(1, 2, "different")
    world.decide(1, 3, "different")
    world.decide(1, 2, "open")
    world.decide(1, 3, "open")
    assert world.links.equals(first)


@pytest.mark.parametrize("order", list(itertools.permutations([(1, 4), (2, 3), (1, 2)])))
@pytest.mark.parametrize(
    "said",
    [
        [(1, 4, "same"), (2, 3, "same"), (1, 4, "different"), (1, 2, "same")],
        [(1, 4, "same"), (1, 2, "different"), (2, 3, "same")],
    ],
)
def test_the_past_is_remembered_without_what_was_undone(said, order):
    """What was undone before others hung together with it does not come back, nor hide what those moved, when they are undone."""
    world = World([{"tenant_key": 1}] * 4)
    first = world.links
    for a, b, word in said:
        world.decide(a, b, word)
    for a, b in order:
        world.decide(a, b, "open")
    assert world.links.equals(first)


def test_a_rejection_that_let_somebody_join_is_taken_back_whole():
    """Between two that exclude each other an account may have waited; parted from one it joined the other; undone, it is as before."""
    same = {"immutable_id": "2", "tenant_key": 3, "active": True}
    world = World([{**same, "tenant_key": 1, "active": False}, same, same])
    first = world.links
    world.decide(1, 2, "different")
    world.decide(1, 2, "open")
    assert world.links.equals(first)


@pytest.mark.parametrize("order", [[(1, 2), (2, 4)], [(2, 4), (1, 2)]])
def test_who_left_and_came_back_has_the_former_link_too(order):
    """Whatever one decision draws in and another one drives out ends with its first rule, not with that of a split."""
    seat = {"tenant_key": 1, "employee_number": "1", "active": True}
    world = World([seat, {"tenant_key": 2, "employee_number": "1"}, seat, {"tenant_key": 1, "active": True}])
    first = world.links
    world.decide(1, 2, "different")
    world.decide(2, 4, "same")
    for a, b in order:
        world.decide(a, b, "open")
    assert world.links.equals(first)


@settings(max_examples=30)
@given(ROWS, st.lists(SAID, max_size=5))
def test_undoing_the_last_word_restores_exactly_the_links_before_it(rows, said):
    """Last in, first out: after each undo every link, with its person, rule and evidence, is what it was."""
    world = World(rows)
    stack = []
    for a, b, word in sayings(rows, said):
        if (min(a, b), max(a, b)) in world.decisions:
            continue
        stack.append((a, b, world.links))
        world.decide(a, b, word)
    for a, b, links in reversed(stack):
        world.decide(a, b, "open")
        assert world.links.equals(links)


@settings(max_examples=50)
@given(ROWS, st.lists(SAID, max_size=6), SHUFFLER)
def test_undoing_everything_restores_exactly_the_first_links(rows, said, random):
    """In any order, contradictions among them: when no decision stands, all links are as before the first one."""
    world = World(rows)
    first = world.links
    for a, b, word in sayings(rows, said):
        world.decide(a, b, word)
    pairs = list(world.decisions)
    random.shuffle(pairs)
    for a, b in pairs:
        world.decide(a, b, "open")
    assert world.people() == dict(first.select("account_key", "person_key").iter_rows())
    assert world.links.equals(first)


@settings(max_examples=25)
@given(ROWS, st.lists(SAID, max_size=6), st.data())
def test_undoing_many_at_once_and_matching_again_changes_nothing_more(rows, said, data):
    """Some decisions taken back in one run: the answer is a fixed point, and the rest of them still hold."""
    world = World(rows)
    for a, b, word in sayings(rows, said):
        world.decide(a, b, word)
    for pair in data.draw(st.lists(st.sampled_from(sorted(world.decisions)), unique=True)) if world.decisions else []:
        del world.decisions[pair]
    world.run()
    links, people = world.links, world.people()
    world.run()
    assert world.links.equals(links)
    assert all(people[a] != people[b] for (a, b), word in world.decisions.items() if word == "different")
