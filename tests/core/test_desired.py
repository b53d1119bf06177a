"""What a target should hold: scope, rights, maps and group rules; what fails excludes nobody and is told."""

from __future__ import annotations

import textwrap
from datetime import date

import polars as pl
from pydantic import BaseModel

from core.config import Config, parse
from core.desired import Picture, TargetSpec, desire
from core.document import read
from core.frames import ACCOUNT, GROUP, LINK, PERSON, conform
from core.model import Right, TenantFacts, TenantMode, Verb
from core.settings import Strict

TODAY = date(2026, 11, 24)
ALL = frozenset(Right)
SPEC = TargetSpec("jira", ("user_name", "display_name", "email"), frozenset(verb.value for verb in Verb))


class Anything(Strict):
    """A kind without settings."""

    kind: str


def config(text: str = "") -> Config:
    """A config with one tenant and one target, and more lines."""

    def kinds(_kind: str) -> type[BaseModel]:
        return Anything

    head = "directory: acme\nprecedence: [corp]\ntenants: {corp: {kind: scim}}\ntargets: {jira: {kind: jira_dc}}\n"
    return parse(read(head + textwrap.dedent(text)), sources=kinds, targets=kinds)


def corp(**more: object) -> TenantFacts:
    """The one tenant."""
    facts: dict[str, object] = {
        "tenant_key": 1,
        "name": "corp",
        "rank": 0,
        "mode": TenantMode.LIVE,
        "may": ALL,
        "verified_domains": frozenset(),
        "employee_number_issuer": "corp",
    }
    return TenantFacts(**{**facts, **more})  # type: ignore[arg-type]  # a test's shorthand


def picture(people: list[dict[str, object]], groups: dict[str, list[int]] | None = None, **facts: object) -> Picture:
    """One account a person in tenant corp; groups by name with the person keys of their members."""
    rows = [
        {"user_name": f"u{place}", "active": True, "user_type": "member", **each} for place, each in enumerate(people)
    ]
    keys = list(range(len(rows)))
    accounts = conform(pl.DataFrame(rows, infer_schema_length=None), ACCOUNT).with_columns(
        account_key=pl.Series(keys, dtype=pl.Int32), tenant_key=pl.lit(1, pl.Int16)
    )
    persons = conform(pl.DataFrame(rows, infer_schema_length=None), PERSON).with_columns(
        person_key=pl.Series(keys, dtype=pl.Int32),
        person_id=pl.Series([f"p{key}" for key in keys]),
        home_tenant=pl.lit(1, pl.Int16),
    )
    links = conform(pl.DataFrame({"account_key": keys, "person_key": keys}), LINK)
    names = list(groups or {})
    shown = conform(
        pl.DataFrame(
            {"group_key": range(len(names)), "name": names, "native_id": names, "tenant_key": [1] * len(names)},
            schema_overrides={"name": pl.String(), "native_id": pl.String()},
        ),
        GROUP,
    )
    edges = [(number, key) for number, name in enumerate(names) for key in (groups or {})[name]]
    effective = pl.DataFrame(edges, schema={"group_key": pl.Int32(), "account_key": pl.Int32()}, orient="row")
    return Picture(persons, accounts, links, shown, effective, (corp(**facts),))


def wanted(people: Picture, text: str = "", spec: TargetSpec = SPEC):
    """The desired state of jira."""
    return desire(spec, people, config(text), today=TODAY)


def test_out_of_scope_is_its_own_evidence():
    """Who leaves the scope is not desired, on evidence that always waits."""
    found = wanted(picture([{}, {"user_type": "guest"}]), "scope: \"person.user_type = 'member'\"\n").users
    assert found.select("active", "in_scope", "evidence").rows() == [
        (True, True, "grant"),
        (False, False, "out_of_scope"),
    ]


def test_an_expression_that_fails_or_is_null_excludes_nobody():
    """One bad row, or a scope that is null for somebody, keeps everybody and is told with its line."""
    people = picture([{"title": "7"}, {"title": "seven"}, {}])
    found = wanted(people, 'scope: "CAST(person.title AS INTEGER) > 5"\n')
    assert found.users.get_column("in_scope").to_list() == [True, True, True]
    assert any(each.kind == "expression" and each.line == 5 for each in found.troubles)


def test_account_scope_is_true_if_true_for_any_account():
    """`account.` expressions look at every account of a person."""
    found = wanted(picture([{"department": "Ops"}, {"department": "Dev"}]), "scope: \"account.department = 'Ops'\"\n")
    assert found.users.get_column("in_scope").to_list() == [True, False]


def test_an_observed_tenant_causes_nothing():
    """Mode observe: its people are known and not desired; add_only: never deactivated."""
    assert wanted(picture([{}], mode=TenantMode.OBSERVE)).users.is_empty()
    found = wanted(picture([{}], mode=TenantMode.ADD_ONLY)).users
    assert found.select("may_create", "may_deactivate").rows() == [(True, False)]


def test_two_persons_with_one_user_name_wait():
    """Neither is created under a name that both would get, whatever the capitals."""
    found = wanted(picture([{"user_name": "Ada"}, {"user_name": "ada"}, {"user_name": "bo"}]))
    clash = [each for each in found.troubles if each.kind == "user_name"]
    assert [each.persons for each in clash] == [(0, 1)]


def test_a_name_the_target_refuses_is_named():
    """The target's own words reach the admin, with the person and the remedy."""
    spec = TargetSpec(
        "confluence", ("user_name",), SPEC.verbs, refuses_user_name=lambda name: "spaces" if " " in name else None
    )
    found = wanted(picture([{"user_name": "ada b"}, {"user_name": "bo"}]), spec=spec)
    assert [(each.persons, "spaces" in each.problem) for each in found.troubles] == [((0,), True)]


def test_group_rules_take_by_pattern_and_name_by_expression():
    """Only groups of a rule are pushed, under the rule's name; members are persons."""
    people = picture([{}, {}], {"Jira-Devs": [0, 1], "Other": [1]})
    found = wanted(people, 'groups: [{from: {tenant: corp, name: "Jira-*"}, to: "lower(group_name)"}]\n')
    assert found.groups.get_column("name").to_list() == ["jira-devs"]
    assert found.memberships.rows() == [(0, 0), (0, 1)]


def test_groups_that_differ_only_in_case_wait_unless_joined():
    """Two groups that would become one are a question; `join: true` is its answer."""
    people = picture([{}, {}], {"Jira-devs": [0], "Jira-Devs": [1]})
    rule = 'groups: [{from: {tenant: corp, name: "Jira-*"}, to: "lower(group_name)"JOIN}]\n'
    found = wanted(people, rule.replace("JOIN", ""))
    assert found.groups.is_empty()
    assert [each.kind for each in found.troubles] == ["group_name"]
    joined = wanted(people, rule.replace("JOIN", ", join: true"))
    assert joined.memberships.rows() == [(0, 0), (0, 1)]


def test_members_who_are_disabled_do_not_count():
    """An account that is disabled in its tenant carries no membership, and an inactive person gets none."""
    people = picture([{"active": False}, {}], {"Jira-Devs": [0, 1]})
    found = wanted(people, 'groups: [{from: {tenant: corp, name: "Jira-*"}}]\n')
    assert found.memberships.rows() == [(0, 1)]


def test_exclude_of_a_tenant_takes_people_out_of_scope():
    """A tenant's own filter decides who is desired, never who is known."""
    people = picture([{"department": "Ops"}, {}], exclude="account.department = 'Ops'")
    found = wanted(people)
    assert found.users.get_column("in_scope").to_list() == [False, True]
    assert found.users.height == 2
