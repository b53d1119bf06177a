"""Renamed groups: recognised by id, kept under their old name or moved, and never left behind in silence."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.existing import PROTECTED, TRAITS, Existing
from core.frames import EXISTING_GROUP, EXISTING_MEMBERSHIP, EXISTING_USER, GROUP_MEMORY, conform, empty
from core.group_renames import settle
from core.names import fold
from tests.core.test_desired_groups import config, members, picture, wanted

PEOPLE = [(1, 1, {}), (1, 2, {}), (1, 3, {})]
KEEP = '- {from: {tenant: corp, name: "*"}, to: "lower(group_name)", members: exact}'
MOVE = KEEP.replace("exact", "exact, rename: move")


def existing(groups, *, owned=True) -> Existing:
    """`groups`: name → person_keys of members; every person has the user of the same key."""
    names = list(groups)
    rows = [{"group_key": 10 + place, "remote_id": name, "name": name, "owned": owned, "present": True} for place, name in enumerate(names)]  # fmt: skip
    users = [{"user_key": key, "remote_id": f"R{key}", "owned": True, "present": True, "person_key": key, "active": True} for key in (1, 2, 3)]  # fmt: skip
    edges = [(10 + place, key, True) for place, name in enumerate(names) for key in groups[name]]
    shown = conform(pl.DataFrame(rows), EXISTING_GROUP) if rows else empty(EXISTING_GROUP)
    return Existing(
        conform(pl.DataFrame(users), EXISTING_USER),
        shown,
        pl.DataFrame(edges, schema=EXISTING_MEMBERSHIP, orient="row"),
        empty(PROTECTED),
        empty(TRAITS),
    )


def memory(**sources):
    """Target group → keys of the tenants' groups that made it."""
    rows = sorted((fold(name), key) for name, keys in sources.items() for key in keys)
    return pl.DataFrame(rows, schema=GROUP_MEMORY, orient="row")


def settled(groups, there, remembered, rules=KEEP, **more):
    """`groups`: (tenant key, name, member indices), keys from 0."""
    people = picture(PEOPLE, groups)
    return settle("jira", wanted(people, rules), existing(there, **more), remembered, config(rules))


def test_a_renamed_group_keeps_its_name_where_it_cannot_be_renamed():
    """Same id, other name: the target's group stays, its members are kept in line, and a hold says what to do."""
    found = settled([(1, "Team", [0, 1])], {"devs": [1]}, memory(devs=[0]))
    assert members(found.desired, "devs") == [1, 2]
    assert members(found.desired, "team") is None
    (trouble,) = found.desired.troubles
    assert trouble.kind == "group_rename"
    assert trouble.problem.startswith("devs would be called team now, and jira cannot rename groups")
    assert "rename: move" in trouble.remedy
    assert found.memory.rows() == [("devs", 0)]
    assert found.notes == ()


def test_it_is_recognised_in_every_later_run():
    """What is remembered after a rename still says which group it is: the next run decides the same."""
    first = settled([(1, "Team", [0])], {"devs": [1]}, memory(devs=[0]))
    again = settled([(1, "Team", [0])], {"devs": [1]}, first.memory)
    assert again.desired.groups.equals(first.desired.groups)
    back = settled([(1, "Devs", [0])], {"devs": [1]}, again.memory)
    assert members(back.desired, "devs") == [1]
    assert back.desired.troubles == ()


def test_capitals_are_no_rename():
    """A name that differs by case alone is the same group there."""
    rules = '- {from: {tenant: corp, name: "*"}}'
    found = settled([(1, "DEVS", [0])], {"devs": [1]}, memory(devs=[0]), rules)
    assert found.desired.troubles == ()
    assert members(found.desired, "DEVS") == [1]


def test_a_move_is_made_in_steps_that_lose_nobody():
    """First the new group; who is not in it yet stays in the old one; who is leaves it; then the old one is forgotten."""
    team = [(1, "Team", [0, 1])]
    first = settled(team, {"devs": [1, 2, 3]}, memory(devs=[0]), MOVE)
    assert members(first.desired, "team") == [1, 2]
    assert members(first.desired, "devs") == [1, 2]  # 3 is no member any more; 1 and 2 wait for the new group
    assert first.desired.groups.filter(pl.col("name") == "devs").select("policy", "successor").row(0) == (
        "exact",
        "team",
    )
    half = settled(team, {"devs": [1, 2], "team": [1]}, first.memory, MOVE)
    assert (members(half.desired, "team"), members(half.desired, "devs")) == ([1, 2], [2])
    full = settled(team, {"devs": [1, 2], "team": [1, 2]}, half.memory, MOVE)
    assert members(full.desired, "devs") == []
    done = settled(team, {"devs": [], "team": [1, 2]}, full.memory, MOVE)
    assert done.memory.rows() == [("team", 0)]
    assert members(done.desired, "devs") is None
    assert done.notes == ("1 groups of ours in jira are made by no rule any more: devs; they and their members stay",)


def test_a_name_that_now_means_another_group_waits():
    """Two groups that swapped names: neither gets the other's members behind its back; going by names must be said."""
    swapped = [(1, "B", [0]), (1, "A", [1])]
    found = settled(swapped, {"a": [1], "b": [2]}, memory(a=[0], b=[1]))
    assert found.desired.groups.is_empty()
    assert [each.groups for each in found.desired.troubles] == [("a",), ("b",)]
    assert found.memory.rows() == [("a", 0), ("b", 1)]
    by_name = settled(swapped, {"a": [1], "b": [2]}, memory(a=[0], b=[1]), MOVE)
    assert (members(by_name.desired, "a"), members(by_name.desired, "b")) == ([2], [1])


def test_a_group_made_anew_under_its_name_goes_on():
    """Deleted and created again with another id: nothing else uses the old one, so the name decides."""
    found = settled([(1, "Devs", [0])], {"devs": [1]}, memory(devs=[77]))
    assert (members(found.desired, "devs"), found.desired.troubles) == ([1], ())
    assert found.memory.rows() == [("devs", 0)]


def test_a_joined_group_is_renamed_when_all_its_sources_are():
    """A changed `to` of a joined rule is the same group under another name."""
    rules = "- {join: [{tenant: corp, name: A}, {tenant: acq, name: B}], to: \"'new'\"}"
    people = picture([*PEOPLE, (2, 3, {})], [(1, "A", [0]), (2, "B", [3])])
    found = settle("jira", wanted(people, rules), existing({"old": [1]}), memory(old=[0, 1]), config(rules))
    assert members(found.desired, "old") == [1, 3]


@pytest.mark.parametrize(
    ("there", "remembered", "owned"),
    [({"devs": [1]}, {}, True), ({"devs": [1]}, {"devs": [0]}, False), ({}, {"devs": [0]}, True)],
)
def test_only_what_we_made_and_remember_is_a_rename(there, remembered, owned):
    """Without memory, of a group that is not ours, or of one that is gone, the new name is a new group."""
    found = settled([(1, "Team", [0])], there, memory(**remembered), owned=owned)
    assert members(found.desired, "team") == [1]
    assert found.desired.troubles == ()


def test_groups_that_no_rule_makes_are_told():
    """A rule that was taken out leaves its groups as they are, and every plan says so; what waits is not meant."""
    found = settled([(1, "X", [0])], {"devs": [1], "x": [1]}, memory(devs=[5], x=[0]))
    assert found.notes == ("1 groups of ours in jira are made by no rule any more: devs; they and their members stay",)
    assert found.memory.rows() == [("devs", 5), ("x", 0)]
    both = [(1, "X", [0]), (1, "x", [0])]
    assert settled(both, {"x": [1]}, memory(x=[0])).notes == ()


NAMES = st.sampled_from(["a", "b", "c"])


@given(
    st.lists(NAMES, min_size=1, max_size=3, unique=True),
    st.dictionaries(NAMES, st.lists(st.integers(1, 3), unique=True), max_size=3),
    st.dictionaries(NAMES, st.lists(st.integers(0, 3), min_size=1, unique=True), max_size=3),
    st.sampled_from([KEEP, MOVE]),
)
def test_no_member_of_ours_is_lost_or_gained_by_a_rename(names, there, remembered, rules):
    """Every desired group is there once, nobody leaves an old one too soon, and what is remembered decides the same again."""
    groups = [(1, name, [place]) for place, name in enumerate(names)]
    found = settled(groups, there, memory(**remembered), rules)
    shown = found.desired.groups
    assert shown.get_column("name").is_unique().all()
    assert shown.get_column("group_no").is_unique().all()
    alone = {place + 1 for place in range(len(names))}
    for row in shown.iter_rows(named=True):
        inside = set(members(found.desired, row["name"]))
        assert inside <= alone
        if row["successor"] is not None:
            wanted_there = set(members(found.desired, row["successor"]))
            missing = wanted_there - set(there.get(row["successor"], ()))
            assert missing & set(there[row["name"]]) <= inside
    again = settled(groups, there, found.memory, rules)
    assert replace(again.desired, troubles=()).groups.equals(shown)
    assert again.memory.equals(found.memory)
