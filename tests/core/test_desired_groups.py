"""Group rules: joins and how members combine, everybody of a tenant, and names that are refused, shared or too long."""

from __future__ import annotations

import textwrap

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from core.config import Config, parse
from core.desired import Picture, TargetSpec, desire
from core.document import read
from core.errors import ConfigError
from core.frames import ACCOUNT, GROUP, LINK, PERSON, conform
from core.group_names import LONGEST, shortened, unfit
from core.model import Right, TenantFacts, TenantMode, Verb
from core.settings import Strict
from tests.core.test_desired import TODAY

SPEC = TargetSpec("jira", ("user_name",), frozenset(verb.value for verb in Verb))
TENANTS = ("corp", "acq", "plant")


class Anything(Strict):
    kind: str


def config(rules: str, more: str = "") -> Config:
    def kinds(_kind: str) -> type[BaseModel]:
        return Anything

    head = (
        "directory: acme\nprecedence: [corp, acq, plant]\n"
        "tenants: {corp: {kind: scim}, acq: {kind: scim}, plant: {kind: scim}}\ntargets: {jira: {kind: jira_dc}}\ngroups:\n"
    )
    return parse(read(head + textwrap.indent(textwrap.dedent(rules), "  ") + more), sources=kinds, targets=kinds)


def facts(key: int, **more: object) -> TenantFacts:
    told = {
        "tenant_key": key, "name": TENANTS[key - 1], "rank": key - 1, "mode": TenantMode.LIVE, "may": frozenset(Right),
        "verified_domains": frozenset(), "employee_number_issuer": TENANTS[key - 1], **more,
    }  # fmt: skip
    return TenantFacts(**told)


def picture(accounts, groups, tenants=None, classes=None) -> Picture:
    """`accounts`: (tenant key, person, more columns). `groups`: (tenant key, name, indices of member accounts)."""
    rows = [
        {
            "account_key": place,
            "tenant_key": key,
            "native_id": f"n{place}",
            "active": True,
            "user_type": "member",
            **more,
        }
        for place, (key, _, more) in enumerate(accounts)
    ]
    people = sorted({person for _, person, _ in accounts})
    persons = pl.DataFrame(
        [{"person_key": key, "person_id": f"p{key}", "user_name": f"u{key}", "active": True} for key in people]
    )
    links = conform(
        pl.DataFrame(
            {"account_key": range(len(accounts)), "person_key": [person for _, person, _ in accounts]},
        ),
        LINK,
    )
    if classes:
        links = links.with_columns(pl.Series("class", classes))
    shown = pl.DataFrame(
        [{"group_key": place, "tenant_key": key, "native_id": f"g{place}", "name": name} for place, (key, name, _) in enumerate(groups)],
        schema={"group_key": pl.Int32, "tenant_key": pl.Int16, "native_id": pl.String, "name": pl.String},
    )  # fmt: skip
    edges = sorted({(place, account) for place, (_, _, members) in enumerate(groups) for account in members})
    effective = pl.DataFrame(edges, schema={"group_key": pl.Int32(), "account_key": pl.Int32()}, orient="row")
    return Picture(
        conform(persons, PERSON),
        conform(pl.DataFrame(rows, infer_schema_length=None), ACCOUNT),
        links,
        conform(shown, GROUP),
        effective,
        tenants or (facts(1), facts(2), facts(3)),
    )


def members(found, name):
    """person_keys in a desired group; None when there is no such group."""
    number = {row["name"]: row["group_no"] for row in found.groups.iter_rows(named=True)}.get(name)
    if number is None:
        return None
    return found.memberships.filter(pl.col("group_no") == number).get_column("person_key").to_list()


def wanted(people: Picture, rules: str, spec: TargetSpec = SPEC, more: str = ""):
    return desire(spec, people, config(rules, more), today=TODAY)


THREE = [(1, 1, {}), (1, 2, {}), (2, 2, {}), (2, 3, {})]  # 1 in corp, 3 in acq, 2 in both
DEVS = [(1, "Devs", [0, 1]), (2, "Entwickler", [2, 3])]
JOIN = """
- {join: [{tenant: corp, name: Devs}, {tenant: acq, name: Entwickler}], to: "'devs'", combine: HOW}
"""


# --- joins


@pytest.mark.parametrize(("how", "expected"), [("union", [1, 2, 3]), ("intersection", [2]), ("precedence", [1, 2, 3])])
def test_a_list_joins_groups_of_several_tenants(how, expected):
    """Members of any, of all, or as the first tenant says in which a person is."""
    found = wanted(picture(THREE, DEVS), JOIN.replace("HOW", how))
    assert members(found, "devs") == expected
    assert found.troubles == ()


def test_by_precedence_the_first_tenant_of_a_person_decides():
    """Who is in corp and not in corp's group is out, though acq's group holds them; a guest there is judged at home."""
    accounts = [*THREE, (1, 3, {"user_type": "guest"})]
    groups = [(1, "Devs", [0]), (2, "Entwickler", [2, 3])]
    rule = JOIN.replace("HOW", "precedence")
    assert members(wanted(picture(accounts, groups), rule), "devs") == [1, 3]
    gone = [(1, 1, {}), (1, 2, {"active": False}), *THREE[2:]]
    assert members(wanted(picture(gone, groups), rule), "devs") == [1, 2, 3]  # corp no longer speaks of 2


def test_an_intersection_waits_while_a_side_is_missing():
    """A group that vanished, or a tenant that may not speak, never makes an intersection wider: it waits, and is told."""
    rule = JOIN.replace("HOW", "intersection")
    for people in (
        picture(THREE, DEVS[:1]),
        picture(THREE, DEVS, tenants=(facts(1), facts(2, mode=TenantMode.OBSERVE), facts(3))),
        picture(THREE, DEVS, tenants=(facts(1), facts(2, may=frozenset(Right) - {Right.GROUPS}), facts(3))),
    ):
        found = wanted(people, rule)
        assert found.groups.is_empty()
        assert [(each.kind, each.groups) for each in found.troubles] == [("group_join", ("devs",))]


def test_one_doubtful_tenant_makes_a_joined_group_doubtful():
    """Absence of an edge is evidence only if every tenant behind the group was read completely."""
    for how in ("union", "intersection", "precedence"):
        people = picture(THREE, DEVS, tenants=(facts(1), facts(2, trusted=False), facts(3)))
        assert wanted(people, JOIN.replace("HOW", how)).groups.get_column("trusted").to_list() == [False]


def test_patterns_join_groups_of_the_same_name():
    """A list of patterns makes one group a name, each from the groups of that name."""
    groups = [(1, "jira-a", [0]), (1, "jira-b", [1]), (2, "Jira-A", [2])]
    rule = """- {join: [{tenant: corp, name: "jira-*"}, {tenant: acq, name: "Jira-*"}], to: "lower(group_name)"}"""
    found = wanted(picture(THREE, groups), rule)
    assert (members(found, "jira-a"), members(found, "jira-b")) == ([1, 2], [2])
    assert sorted(found.sources.rows()) == [(0, 0), (0, 2), (1, 1)]


def test_a_list_and_another_rule_on_one_name_wait():
    """What a list joins is joined by it alone: another rule that lands there is a collision."""
    rules = JOIN.replace("HOW", "union") + """- {from: {tenant: plant, name: X}, to: "'devs'", join: true}"""
    found = wanted(picture([*THREE, (3, 4, {})], [*DEVS, (3, "X", [4])]), rules)
    assert found.groups.is_empty()
    assert "corp Devs" in found.troubles[0].problem
    assert "plant X" in found.troubles[0].problem


GROUPS = st.lists(st.tuples(st.integers(1, 3), st.sets(st.integers(0, 8))), min_size=1, max_size=5)
ACCOUNTS = st.lists(
    st.tuples(st.integers(1, 3), st.integers(1, 4), st.fixed_dictionaries({}, optional={
        "user_type": st.sampled_from(["member", "guest"]), "active": st.booleans(), "gone": st.just("explicit"),
    })), min_size=1, max_size=9,
)  # fmt: skip


@given(ACCOUNTS, GROUPS, st.sampled_from(["union", "intersection", "precedence"]), st.permutations(TENANTS))
def test_combined_members_equal_a_plain_search(accounts, groups, how, order):
    """For any accounts, groups and order of the list, members are those whom a plain loop finds."""
    shown = [(key, "x", sorted(each for each in inside if each < len(accounts))) for key, inside in groups]
    shown = [(key, name, [each for each in inside if accounts[each][0] == key]) for key, name, inside in shown]
    sides = ", ".join(f"{{tenant: {name}, name: x}}" for name in order)
    found = wanted(picture(accounts, shown), f"""- {{join: [{sides}], to: "'x'", combine: {how}}}""")
    standing = [row.get("active", True) and "gone" not in row for *_, row in accounts]
    inside = {name: {accounts[each][1] for key, _, mine in shown if TENANTS[key - 1] == name for each in mine if standing[each]} for name in order}  # fmt: skip
    there = {name for name in order if any(TENANTS[key - 1] == name for key, *_ in shown)}
    if how == "intersection" and there != set(order):
        assert members(found, "x") is None
        return
    expected = set.union(*inside.values())
    if how == "intersection":
        expected = set.intersection(*inside.values())
    if how == "precedence":
        for person in sorted(expected):
            homes = [
                (row.get("user_type") == "guest", order.index(TENANTS[key - 1]), TENANTS[key - 1])
                for place, (key, one, row) in enumerate(accounts)
                if one == person and standing[place] and TENANTS[key - 1] in there
            ]
            if person not in inside[min(homes)[2]]:
                expected.discard(person)
    assert members(found, "x") == sorted(expected)


# --- everybody of a tenant


def test_everybody_of_a_tenant_is_a_group():
    """Members of the tenant who are there, active and in scope; guests only when said so; a condition narrows it."""
    accounts = [
        (1, 1, {"department": "IT"}), (1, 2, {}), (1, 3, {"user_type": "guest"}), (1, 4, {"active": False}), (2, 5, {}),
    ]  # fmt: skip
    people = picture(accounts, [])
    rule = """- {from: {tenant: corp, everyone: true}, to: "'jira-users'"}"""
    assert members(wanted(people, rule), "jira-users") == [1, 2]
    assert members(wanted(people, rule.replace("true", "with_guests")), "jira-users") == [1, 2, 3]
    narrow = rule.replace("everyone: true", "everyone: true, where: \"account.department = 'IT'\"")
    assert members(wanted(people, narrow), "jira-users") == [1]
    assert members(wanted(people, rule, more="\nscope: \"person.user_name = 'u2'\""), "jira-users") == [2]
    assert wanted(people, rule).sources.is_empty()


def test_everybody_is_named_by_the_tenant():
    """`tenant.name` is there for every rule; a group's name is not there where there is no group, and is told."""
    people = picture(THREE, [(1, "Devs", [0])])
    rules = """
    - {from: {tenant: corp, everyone: true}, to: "tenant.name || '-users'"}
    - {from: {tenant: corp, name: Devs}, to: "tenant.name || '-' || lower(group_name)"}
    - {from: {tenant: acq, everyone: true}, to: "group_name"}
    """
    found = wanted(people, rules)
    assert found.groups.get_column("name").to_list() == ["corp-devs", "corp-users"]
    assert ["groups.2.to" in each.problem for each in found.troubles] == [True]


def test_everybody_of_several_tenants_may_be_joined():
    """A list takes everybody like a group: here those who are in both tenants."""
    rule = """- {join: [{tenant: corp, everyone: true}, {tenant: acq, everyone: true}], to: "'both'", combine: intersection}"""
    assert members(wanted(picture(THREE, []), rule), "both") == [2]


def test_another_account_of_a_human_carries_no_membership():
    """What an admin twin is in stays the twin's: the human's own user gets none of it."""
    people = picture(THREE, [(1, "Admins", [1]), (2, "Devs", [2])], classes=["human", "admin_twin", "human", "human"])
    rules = '- {from: {tenant: corp, name: "*"}}\n- {from: {tenant: acq, name: "*"}}'
    found = wanted(people, rules)
    assert (members(found, "Admins"), members(found, "Devs")) == ([], [2])


# --- names


def test_a_collision_names_both_sides_and_the_remedy():
    """Two tenants' groups that would become one wait, each named with its tenant; nothing is united silently."""
    rules = """
    - {from: {tenant: corp, name: Devs}, to: "'devs'"}
    - {from: {tenant: acq, name: Devs}, to: "'DEVS'"}
    """
    found = wanted(picture(THREE, [(1, "Devs", [0]), (2, "Devs", [2])]), rules)
    assert found.groups.is_empty()
    (trouble,) = found.troubles
    assert trouble.problem == "2 groups would become the group devs of jira: acq Devs, corp Devs"
    assert "join: true" in trouble.remedy
    assert "tenant.name" in trouble.remedy


def test_a_name_that_no_target_takes_waits():
    """Too long, or with characters that nobody sees: held with the reason; blanks at the ends are cut off before."""
    groups = [(1, "x" * 256, [0]), (1, "zero\u200bwidth", [0]), (1, " padded ", [0])]
    found = wanted(picture(THREE, groups), '- {from: {tenant: corp, name: "*"}}')
    assert found.groups.get_column("name").to_list() == ["padded"]
    assert sorted(each.problem.partition(": ")[2][:20] for each in found.troubles) == [
        "it has 256 character", "it holds a character",
    ]  # fmt: skip
    assert [unfit(name) is None for name in ("a", " a", "a ", "", "a\tb")] == [True, False, False, False, False]


def test_a_target_refuses_in_its_own_words_and_holds_its_namesake():
    """A slash that one target cannot address: the group waits there, with all that would land on the same name."""
    spec = TargetSpec(
        "wiki", ("user_name",), SPEC.verbs, refuses_group_name=lambda name: "it holds /" if "/" in name else None
    )
    groups = [(1, "a/b", [0]), (2, "A/B", [2]), (1, "c", [0])]
    rules = '- {from: {tenant: corp, name: "*"}, join: true}\n- {from: {tenant: acq, name: "*"}, join: true}'
    found = wanted(picture(THREE, groups), rules, spec)
    assert found.groups.get_column("name").to_list() == ["c"]
    assert wanted(picture(THREE, groups), rules).groups.get_column("name").to_list() == ["a/b", "c"]


def test_long_names_are_cut_the_same_way_in_every_run():
    """`too_long: shorten` keeps the beginning and marks the whole; different names stay different."""
    long = ["x" * 300, "x" * 299 + "y"]
    found = wanted(
        picture(THREE, [(1, long[0], [0]), (1, long[1], [1])]), '- {from: {tenant: corp, name: "*"}, too_long: shorten}'
    )
    names = found.groups.get_column("name").to_list()
    assert sorted(names) == sorted(map(shortened, long))
    assert [len(name) for name in names] == [LONGEST, LONGEST]


@given(st.text(max_size=400), st.text(max_size=400))
def test_shortening_fits_and_tells_apart(one, other):
    """Every name fits afterwards, a short one is untouched, and two that differ still do."""
    assert len(shortened(one)) <= LONGEST
    assert shortened(one) == one or len(one) > LONGEST
    if one != other and max(len(one), len(other)) > LONGEST:
        import unicodedata

        same = unicodedata.normalize("NFC", one) == unicodedata.normalize("NFC", other)
        assert same or shortened(one) != shortened(other)


def test_a_group_without_a_name_is_told():
    """A `to` that gives no name pushes nothing and says for how many."""
    found = wanted(picture(THREE, DEVS), """- {from: {tenant: corp, name: "*"}, to: "nullif(group_name, 'Devs')"}""")
    assert found.groups.is_empty()
    assert found.troubles[0].problem == "groups.0.to gives 1 groups of corp no name (such as Devs)"


# --- the config


@pytest.mark.parametrize(
    ("rule", "path", "words"),
    [
        ("- {to: \"'x'\"}", "groups.0", "needs `from` or a list under `join`"),
        ("- {from: {tenant: corp, name: a}, join: [{tenant: acq, name: b}, {tenant: corp, name: a}]}", "groups.0", "one of the two"),
        ("- {join: [{tenant: acq, name: b}]}", "groups.0", "fewer than two"),
        ("- {from: {tenant: corp, name: a}, combine: intersection}", "groups.0", "without a list"),
        ("- {join: [{tenant: corp, name: a}, {tenant: acqu, name: b}]}", "groups.0.join.1.tenant", "does not exist"),
        ("- {join: [{tenant: corp, name: a}, {tenant: acq}]}", "groups.0.join.1", "takes every group"),
        ("- {join: [{tenant: corp, name: a}, {tenant: acq, called: b}]}", "groups.0.join.1.called", "is not a setting"),
        ("- {from: {tenant: corp, everyone: true, name: a}}", "groups.0.from.everyone", "is no group"),
        ("- {from: {tenant: corp, everyone: perhaps}}", "groups.0.from.everyone", "input should be"),
    ],
)  # fmt: skip
def test_a_rule_that_cannot_be_is_one_clear_error(rule, path, words):
    """Each fault of a rule names its place, and what to do."""
    with pytest.raises(ConfigError) as caught:
        config(rule)
    assert [(each.path, words in each.problem) for each in caught.value.problems] == [(path, True)]
    assert caught.value.problems[0].remedy
