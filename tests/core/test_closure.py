"""Closure: effective memberships equal a plain depth-first walk, cycles are named."""

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from core.closure import EFFECTIVE, closure
from core.frames import GROUP, MEMBERSHIP, conform
from tests.shuffler import SHUFFLER


def edges(*rows):
    return pl.DataFrame(list(rows), schema=MEMBERSHIP, orient="row")


def groups(keys, gone=()):
    return conform(
        pl.DataFrame(
            {"group_key": list(keys), "gone": ["explicit" if key in gone else None for key in keys]},
            schema_overrides={"gone": pl.String},
        ),
        GROUP,
    )


def naive(rows):
    """Every (group, account) found by walking."""
    inner, direct = {}, {}
    for group, member, nested in rows:
        (inner if nested else direct).setdefault(group, set()).add(member)
    found = set()
    for group in {*inner, *direct}:
        seen, todo = set(), [group]
        while todo:
            here = todo.pop()
            if here not in seen:
                seen.add(here)
                todo += inner.get(here, ())
        found |= {(group, account) for each in seen for account in direct.get(each, ())}
    return sorted(found)


KEYS = st.integers(1, 8)


@given(st.lists(st.tuples(KEYS, st.integers(1, 8), st.booleans()), max_size=30), SHUFFLER)
def test_closure_equals_a_plain_walk(rows, random):
    """On any graph, with cycles, double edges and any order of rows, closure is what a depth-first walk finds."""
    expected = naive(rows)
    random.shuffle(rows)
    found = closure(edges(*rows), groups(range(1, 9)))
    assert found.effective.rows() == expected
    assert found.effective.schema == pl.Schema(EFFECTIVE)


@given(st.lists(st.tuples(KEYS, KEYS), max_size=25))
def test_cycles_are_exactly_the_groups_that_reach_themselves(pairs):
    """A group is in a reported cycle if and only if it can be reached from itself."""
    onward = {}
    for outer, inner in pairs:
        onward.setdefault(outer, set()).add(inner)

    def reaches_itself(group):
        seen, todo = set(), list(onward.get(group, ()))
        while todo:
            here = todo.pop()
            if here not in seen:
                seen.add(here)
                todo += onward.get(here, ())
        return group in seen

    found = closure(edges(*((outer, inner, True) for outer, inner in pairs)), groups(range(1, 9)))
    assert {group for ring in found.cycles for group in ring} == {
        group for group in range(1, 9) if reaches_itself(group)
    }


def test_a_group_that_contains_itself_is_named():
    """A self-containing group and a ring of two are two cycles; each has the union of its members."""
    rows = [(1, 1, True), (1, 10, False), (2, 3, True), (3, 2, True), (3, 11, False)]
    found = closure(edges(*rows), groups([1, 2, 3]))
    assert found.cycles == ((1,), (2, 3))
    assert found.effective.rows() == [(1, 10), (2, 11), (3, 11)]


def test_groups_that_are_gone_give_nobody():
    """A deleted group neither has members nor passes them to the group that held it."""
    rows = [(1, 2, True), (2, 10, False), (1, 11, False)]
    assert closure(edges(*rows), groups([1, 2], gone={2})).effective.rows() == [(1, 11)]


def test_nothing_in_nothing_out():
    """Without memberships there are none."""
    found = closure(edges(), groups([]))
    assert found.effective.is_empty()
    assert found.cycles == ()
