"""Words on pairs: contradictions are found with their chain, a split is firm and minimal, what cannot be honoured is told."""

import itertools

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from core.frames import DECISION, DOUBT, LINK, REVIEW, conform
from core.review import DIFFERENT, SAME, UNMET, contradictions, pair_of, parting, to_review, undecided, unmet

A, B, C, D = (("t", name) for name in "abcd")


def test_a_contradiction_names_a_shortest_chain():
    """A same B, B same C, C same D, A same C, A different D: found once, by way of C."""
    words = {(A, B): SAME, (B, C): SAME, (C, D): SAME, (A, C): SAME, (A, D): DIFFERENT, (B, D): DIFFERENT}
    found = contradictions(words)
    assert [(each.different, each.path) for each in found] == [
        ((A, D), ((A, C), (C, D))),
        ((B, D), ((B, C), (C, D))),
    ]
    assert contradictions({(A, B): SAME, (C, D): SAME, (A, D): DIFFERENT}) == ()


@given(
    st.dictionaries(
        st.tuples(st.sampled_from("abcdef"), st.sampled_from("abcdef")).filter(lambda pair: pair[0] < pair[1]),
        st.sampled_from([SAME, DIFFERENT]),
    )
)
def test_without_a_contradiction_the_words_can_all_be_true(said):
    """Oracle: there is one exactly when some `different` lies inside a component of `same`, and its chain is of `same`."""
    words = {(("t", a), ("t", b)): word for (a, b), word in said.items()}
    group = {letter: {letter} for letter in "abcdef"}
    for (a, b), word in said.items():
        if word == SAME and group[a] is not group[b]:
            group[a] |= group[b]
            for letter in group[b]:
                group[letter] = group[a]
    torn = {(("t", a), ("t", b)) for (a, b), word in said.items() if word == DIFFERENT and group[a] is group[b]}
    found = contradictions(words)
    assert {each.different for each in found} == torn
    assert all(words[pair] == SAME for each in found for pair in each.path)


@given(st.integers(1, 4), st.integers(1, 4))
def test_a_split_leaves_no_person_with_both_sides_and_is_minimal(leaving, staying):
    """Whatever partition obeys the words never mixes the sides and keeps the leaving together; without any one word some partition would not."""
    names = [("t", str(place)) for place in range(leaving + staying)]
    out, rest = names[:leaving], names[leaving:]
    words = parting(out, rest)

    def firm(words):
        for labels in itertools.product(range(3), repeat=len(names)):
            label = dict(zip(names, labels, strict=True))
            obeyed = all((label[a] == label[b]) == (word == SAME) for (a, b), word in words.items())
            if obeyed and (any(label[a] == label[b] for a in out for b in rest) or len({label[a] for a in out}) > 1):
                return False
        return True

    assert firm(words)
    if leaving + staying < 7:
        assert not any(firm({pair: word for pair, word in words.items() if pair != left}) for left in words)
    assert all(pair == pair_of(*pair) for pair in words)


def test_what_cannot_be_honoured_is_told_with_the_reason():
    """A pinned pair in two persons: because of a human's `different`, or else of a veto; one that is joined is not told."""
    links = conform(pl.DataFrame({"account_key": [1, 2, 3, 4, 5], "person_key": [1, 1, 2, 3, 4]}), LINK)
    said = [(2, 1, SAME), (3, 2, SAME), (1, 3, DIFFERENT), (5, 4, SAME)]
    rows = unmet(pl.DataFrame(said, schema=DECISION, orient="row"), links, lambda key: f"account {key}").to_dicts()
    assert [(each["account_a"], each["account_b"], each["rule"]) for each in rows] == [(2, 3, UNMET), (4, 5, UNMET)]
    assert "account 1 and account 3 are decided to be different people" in rows[0]["reason"]
    assert "a veto" in rows[1]["reason"]


def test_doubts_are_one_a_pair_and_end_with_a_human_no():
    """The weightier source stands on a pair; between persons whom a human parted nothing is asked; a pinned pair is decided."""
    links = conform(pl.DataFrame({"account_key": [1, 2, 3, 4, 5], "person_key": [1, 2, 1, 2, 3]}), LINK)
    doubts = [
        (3, 4, "x", "asked of the parted persons' other accounts", 0.9),
        (5, 1, "x", "why", 0.5),
        (2, 5, "x", "w", 0.4),
    ]
    more = pl.DataFrame([(1, 5, "suggested", "names", 0.99, "[]")], schema=REVIEW, orient="row")
    decisions = pl.DataFrame([(2, 1, DIFFERENT), (5, 2, SAME)], schema=DECISION, orient="row")
    rows = to_review(decisions, links, pl.DataFrame(doubts, schema=DOUBT, orient="row"), more, name=str)
    assert rows.select("account_a", "account_b", "rule", "waterfall").rows() == [(1, 5, "x", None), (2, 5, UNMET, None)]
    assert undecided(rows, decisions).select("account_a", "account_b").rows() == [(1, 5)]
    rows = to_review(decisions, links, more, name=str)
    assert rows.filter(account_a=1).item(0, "waterfall") == "[]"
