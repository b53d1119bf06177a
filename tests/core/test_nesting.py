"""Nesting: depth and growth equal a plain walk; chains and cycles cost no more than their edges."""

import time

from hypothesis import given
from hypothesis import strategies as st

from core.closure import closure
from core.nesting import nesting, nesting_notes
from tests.core.test_closure import edges, groups, naive
from tests.shuffler import SHUFFLER


def report(rows, keys=range(1, 9), gone=()):
    frame, shown = edges(*rows), groups(keys, gone)
    closed = closure(frame, shown)
    return nesting(frame, shown, closed), closed, shown


@given(st.lists(st.tuples(st.integers(1, 8), st.integers(1, 8), st.booleans()), max_size=25, unique=True), SHUFFLER)
def test_growth_equals_a_plain_walk(rows, random):
    """Direct and effective users of every group that holds groups are what a walk counts, in any order of edges."""
    random.shuffle(rows)
    found, _, _ = report(rows)
    holders = {group for group, _, nested in rows if nested}
    effective = naive(rows)
    expected = {
        group: (
            sum(one == group and not nested for one, _, nested in rows),
            sum(one == group for one, _ in effective),
        )
        for group in holders
    }
    assert {key: (direct, grown) for key, direct, grown in found.grown.rows()} == expected
    growth = [grown - direct for _, direct, grown in found.grown.rows()]
    assert growth == sorted(growth, reverse=True)


@given(st.sets(st.tuples(st.integers(1, 8), st.integers(1, 8)).filter(lambda pair: pair[0] < pair[1]), max_size=20))
def test_depth_is_that_of_the_longest_way(pairs):
    """Without cycles the deepest way is as long as the longest path, and its steps are edges."""

    def longest(group):
        return 1 + max((longest(inner) for outer, inner in pairs if outer == group), default=0)

    found, _, _ = report([(outer, inner, True) for outer, inner in pairs])
    assert found.depth == max((longest(outer) for outer, _ in pairs), default=0)
    assert set(zip(found.deepest, found.deepest[1:], strict=False)) <= pairs


def test_a_cycle_is_one_step():
    """A ring of three inside a group is two deep, and is named as a cycle with its groups."""
    rows = [(1, 2, True), (2, 3, True), (3, 4, True), (4, 2, True), (4, 10, False)]
    found, closed, shown = report(rows)
    assert found.deepest == (1, 2)
    notes = nesting_notes(found, closed, shown)
    assert notes[0].startswith("1 cycles of groups that contain one another (group 2, group 3, group 4)")
    assert "4 groups hold groups, 2 deep (group 1 > group 2): 1 direct memberships become 4 (4.0 times)" in notes[1]


def test_no_nesting_no_note():
    """Flat groups, and groups inside one that is gone, say nothing."""
    found, closed, shown = report([(1, 10, False)])
    assert (found.depth, nesting_notes(found, closed, shown)) == (0, ())
    found, closed, shown = report([(1, 2, True), (2, 10, False)], gone={2})
    assert nesting_notes(found, closed, shown) == ()


def test_a_long_chain_is_walked_once():
    """A chain of 20,000 empty groups is reported in seconds: the way is linear in its edges, with no recursion."""
    from core.nesting import _deepest

    size = 20_000
    began = time.process_time()
    way = _deepest(edges(*((key, key + 1, True) for key in range(1, size))))
    assert len(way) == size
    assert time.process_time() - began < 5
