"""Survivorship: whose value stands by the settings of `attributes`, equal to a plain search, whatever the order of arrival."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.explain import attributes
from core.frames import LINK, PERSON_ATTRIBUTES
from core.match import Matching
from core.merge import MergeSettings, merge
from core.model import Right
from core.settings import AttributeRule
from core.survive import DECLARED, FALLBACK, PRECEDENCE, UNION, rule_at
from tests.core.test_merge import ALL, NOW, THREE, TODAY, frame, matched, tenant
from tests.shuffler import SHUFFLER

NAMES = {1: "t1", 2: "t2", 3: "t3"}


def merged(*rows, rules=None, tenants=THREE, classes=None, persons=None, notes=None):
    accounts = frame(*rows)
    kinds = None if classes is None else pl.Series(classes, dtype=pl.String)
    settings = MergeSettings(NOW, TODAY, attributes=rules or {})
    return merge(accounts, matched(accounts, persons), tenants, settings, classes=kinds, notes=notes)


def value(*rows, name="title", **more):
    """The value, who gave it and how it came to stand."""
    row = merged(*rows, **more).row(0, named=True)
    return row[name], row[f"from_{name}"], rule_at(row["rules"], name)


# --- one sentence each


def test_a_preference_is_noted_as_the_rule():
    """A value that a preferred tenant gave says so; one that precedence gave where the preferred are silent does not."""
    rows = ({"tenant_key": 1, "title": "One"}, {"tenant_key": 3, "title": "Three"})
    assert value(*rows, rules={"title": AttributeRule(prefer=("t3",))}) == ("Three", 2, DECLARED)
    assert value(*rows, rules={"title": AttributeRule(prefer=("t2",))}) == ("One", 1, PRECEDENCE)


def test_a_class_may_prefer_others():
    """`per_class` stands in place of `prefer` for persons of that class alone."""
    rows = ({"tenant_key": 1, "title": "One"}, {"tenant_key": 2, "title": "Two"}, {"tenant_key": 3, "title": "Three"})
    rules = {"title": AttributeRule(prefer=("t3",), per_class={"service": ("t2",)})}
    assert value(*rows, rules=rules, classes=["service"] * 3) == ("Two", 2, DECLARED)
    assert value(*rows, rules=rules, classes=["human"] * 3) == ("Three", 3, DECLARED)
    assert value(*rows, rules=rules) == ("Three", 3, DECLARED)


def test_only_the_preferred_may_say_it():
    """`only`: another tenant's value never stands, not even where the preferred say nothing."""
    rules = {"title": AttributeRule(prefer=("t3",), only=True)}
    assert value({"tenant_key": 1, "title": "One"}, {"tenant_key": 3}, rules=rules) == (None, None, PRECEDENCE)
    assert value({"tenant_key": 1, "title": "One"}, {"tenant_key": 3, "title": "x"}, rules=rules) == ("x", 2, DECLARED)


def test_a_none_may_be_passed_over():
    """`nulls: skip` makes a tenant's `none` pass on to the next; by default it clears with authority."""
    rows = ({"tenant_key": 1, "title": None}, {"tenant_key": 2, "title": "Two"})
    assert value(*rows) == (None, 1, PRECEDENCE)
    assert value(*rows, rules={"title": AttributeRule(nulls="skip")}) == ("Two", 2, PRECEDENCE)
    assert value(rows[0], rules={"title": AttributeRule(nulls="skip")}) == (None, None, PRECEDENCE)


def test_fallbacks_are_tried_in_turn_where_nobody_says_anything():
    """An attribute, then SQL over the person; provenance is the account behind the attribute, and the rule says fallback."""
    rules = {"title": AttributeRule(fallback=("department", "person.given_name || ' of ' || person.company"))}
    assert value({"tenant_key": 1, "department": "Ops"}, rules=rules) == ("Ops", 1, FALLBACK)
    made = value({"tenant_key": 1, "given_name": "Ada", "company": "Acme", "department": " "}, rules=rules)
    assert made == ("Ada of Acme", None, FALLBACK)
    assert value({"tenant_key": 1}, rules=rules) == (None, None, PRECEDENCE)
    assert value({"tenant_key": 1, "title": "x", "department": "Ops"}, rules=rules) == ("x", 1, PRECEDENCE)


def test_a_value_cleared_with_authority_has_no_fallback():
    """Somebody said `none`: that is a value, and nothing stands in for it."""
    rules = {"title": AttributeRule(fallback=("department",))}
    assert value({"tenant_key": 1, "title": None, "department": "Ops"}, rules=rules) == (None, 1, PRECEDENCE)


def test_fallbacks_do_not_feed_one_another():
    """Two attributes that fall back on each other are no circle: each sees what survived, nothing else."""
    rules = {"title": AttributeRule(fallback=("department",)), "department": AttributeRule(fallback=("title",))}
    row = merged({"tenant_key": 1, "phone": "1"}, rules=rules).row(0, named=True)
    assert (row["title"], row["department"]) == (None, None)


def test_a_fallback_that_fails_gives_nothing_and_is_told():
    """A bad row has no value and one note names the setting; the others have theirs."""
    notes = []
    rules = {"title": AttributeRule(fallback=("'level ' || CAST(person.phone AS INTEGER)",))}
    rows = ({"tenant_key": 1, "phone": "7"}, {"tenant_key": 1, "phone": "seven"})
    found = merged(*rows, rules=rules, persons=[1, 2], notes=notes)
    assert found["title"].to_list() == ["level 7", None]
    assert len(notes) == 1
    assert notes[0].startswith("attributes.title.fallback.0 fails for 1 persons")


def test_lists_are_united_and_equal_elements_stand_once():
    """Aliases of all member accounts, best first, in the spelling met first; who adds nothing makes it no union."""
    one = {"tenant_key": 1, "aliases": ["Ada@corp.example", "a.l@corp.example"]}
    two = {"tenant_key": 2, "aliases": ["smtp:ada@CORP.example", "ada@acq.example", None]}
    united = ["Ada@corp.example", "a.l@corp.example", "ada@acq.example"]
    assert value(two, one, name="aliases") == (united, 2, UNION)
    again = {"tenant_key": 2, "aliases": ["ADA@corp.example"]}
    assert value(one, again, name="aliases") == (one["aliases"], 1, PRECEDENCE)
    first = {"aliases": AttributeRule(merge="first")}
    assert value(two, one, name="aliases", rules=first) == (one["aliases"], 2, PRECEDENCE)


def test_to_a_union_a_none_gives_nothing():
    """A tenant that has no aliases does not clear those of another; only when all say none there are none."""
    none, some = {"tenant_key": 1, "aliases": None}, {"tenant_key": 2, "aliases": ["x@y.example"]}
    assert value(none, some, name="aliases") == (["x@y.example"], 2, PRECEDENCE)
    assert value(none, {"tenant_key": 2, "aliases": []}, name="aliases") == (None, 1, PRECEDENCE)


def test_guests_and_other_accounts_give_nothing_to_a_union():
    """A guest's aliases and those of an admin twin stay out of a human's."""
    rows = (
        {"tenant_key": 2, "aliases": ["a@x.example"]},
        {"tenant_key": 1, "aliases": ["b@x.example"], "user_type": "guest"},
        {"tenant_key": 1, "aliases": ["c@x.example"]},
    )
    assert value(*rows, name="aliases", classes=["human", "guest", "admin_twin"]) == (["a@x.example"], 1, PRECEDENCE)


def test_an_admin_twin_speaks_neither_for_values_nor_for_status():
    """Beside a human's own account another one of theirs gives no value, and neither keeps nor ends them."""
    human = {"tenant_key": 2, "title": "Human", "active": False}
    twin = {"tenant_key": 1, "title": "Admin", "active": True}
    row = merged(human, twin, classes=["human", "admin_twin"]).row(0, named=True)
    assert (row["title"], row["active"], row["home_key"], row["against"]) == ("Human", False, 1, None)
    alone = merged(twin, classes=["admin_twin"]).row(0, named=True)
    assert (alone["title"], alone["active"], alone["home_key"]) == ("Admin", True, 1)


def test_classes_may_come_with_the_links():
    """Where links say what an account is, nobody has to say it twice."""
    accounts = frame({"tenant_key": 1, "title": "Admin"}, {"tenant_key": 2, "title": "Human"})
    plain = matched(accounts)
    told = Matching(plain.links.with_columns(pl.Series("class", ["admin_twin", "human"])), plain.persons, plain.doubts)
    assert merge(accounts, told, THREE, MergeSettings(NOW, TODAY)).row(0, named=True)["title"] == "Human"


def test_rules_of_every_attribute_fit_into_one_integer():
    """Two bits an attribute: all of PERSON's attributes have their place in 64 bits."""
    assert 2 * len(PERSON_ATTRIBUTES) <= 64


# --- a plain search, and every order of arrival

ROW = st.fixed_dictionaries(
    {"tenant_key": st.integers(1, 3)},
    optional={
        "title": st.sampled_from([None, "a", "b"]),
        "phone": st.sampled_from([None, "1", "", "2"]),
        "department": st.sampled_from([None, "Ops", "Dev"]),
        "aliases": st.sampled_from([None, [], ["a@x.y"], ["A@x.y", "b@x.y"], ["c@x.y", "smtp:b@X.y"]]),
        "active": st.booleans(),
        "user_type": st.sampled_from(["member", "guest"]),
        "gone": st.sampled_from([None, "absent", "explicit"]),
    },
)
KINDS = st.sampled_from(["human", "guest", "service", "admin_twin", None])
PEOPLE = st.lists(st.tuples(ROW, st.integers(1, 4), KINDS), min_size=1, max_size=12)
TENANTS = st.lists(st.sampled_from(["t1", "t2", "t3"]), unique=True, max_size=3).map(tuple)
RULE = st.builds(
    AttributeRule,
    prefer=TENANTS,
    per_class=st.dictionaries(st.sampled_from(["service", "human"]), TENANTS, max_size=2),
    only=st.booleans(),
    nulls=st.sampled_from(["authoritative", "skip"]),
    fallback=st.sampled_from([(), ("department",), ("phone", "person.department || '!'")]),
)
LIST_RULE = st.builds(AttributeRule, prefer=TENANTS, merge=st.sampled_from(["first", "union", None]))


def expected(mine, rules):
    """What a person of these (account_key, row, class) should have: attribute → (value, giver, how)."""
    own = [kind in {"human", "guest", None} for *_, kind in mine]
    ranked = []
    for (key, row, kind), ours in zip(mine, own, strict=True):
        beside = any(own) and not ours
        silent = row["tenant_key"] == 3
        standing = 8 * silent + 16 * beside + 2 * (row.get("user_type") == "guest") + (row.get("gone") is not None)
        ranked.append((standing, row["tenant_key"], row.get("active") is False, f"n{key}", key, row, kind, silent))
    ranked.sort(key=lambda each: each[:5])
    kind = ranked[0][6]
    found = {}
    for name in ("title", "phone", "department", "aliases"):
        rule = rules.get(name, AttributeRule())
        union = rule.merge == "union" or (name == "aliases" and rule.merge is None)
        prefer = rule.per_class.get(kind, rule.prefer)
        declared = bool(rule.prefer or rule.per_class)
        able = []
        for place, (standing, tenant_key, _off, _native, key, row, _kind, silent) in enumerate(ranked):
            if standing != ranked[0][0] or silent or name not in row:
                continue
            if rule.nulls == "skip" and row[name] is None:
                continue
            turn = prefer.index(NAMES[tenant_key]) if NAMES[tenant_key] in prefer else 99
            if declared and rule.only and turn == 99:
                continue
            able.append((union and not row[name], turn, place, key, row[name]))
        able.sort(key=lambda each: each[:3])
        if not able:
            found[name] = (None, None, PRECEDENCE)
            continue
        _, turn, _, key, given_value = able[0]
        how = DECLARED if turn != 99 else PRECEDENCE
        if union:
            forms, elements, givers = set(), [], set()
            for _, _, _, giver, elements_of in able:
                for element in elements_of or ():
                    form = element.lower().removeprefix("smtp:")
                    if form not in forms:
                        forms.add(form)
                        elements.append(element)
                        givers.add(giver)
            if len(givers) > 1:
                how = UNION
            if sum(bool(each[4]) for each in able) > 1:
                given_value = elements
        found[name] = (given_value, key, how)
    survived = dict(found)
    for name in ("title", "phone", "department"):
        if survived[name][:2] != (None, None):
            continue
        for step in rules.get(name, AttributeRule()).fallback:
            if step in survived:
                text, giver, _ = survived[step]
            else:
                text, giver = survived["department"][0], None
                text = None if text is None else f"{text}!"
            if text:
                found[name] = (text, giver, FALLBACK)
                break
    return found


@given(PEOPLE, st.fixed_dictionaries({}, optional={"title": RULE, "phone": RULE, "aliases": LIST_RULE}), SHUFFLER)
def test_survivors_equal_a_plain_search_in_any_order(people, rules, random):
    """For any accounts, classes and settings the vectorised answer is the one a plain loop finds, in any order of arrival."""
    tenants = (tenant(1), tenant(2), tenant(3, may=ALL - {Right.ATTRIBUTES}))
    accounts = frame(*(row for row, *_ in people))
    kinds = pl.Series([kind for *_, kind in people], dtype=pl.String)
    matching = matched(accounts, [key for _, key, _ in people])
    settings = MergeSettings(NOW, TODAY, attributes=rules)
    found = merge(accounts, matching, tenants, settings, classes=kinds)
    for row in found.iter_rows(named=True):
        mine = [
            (place, account, kind)
            for place, (account, key, kind) in enumerate(people, start=1)
            if key == row["person_key"]
        ]
        for name, wanted in expected(mine, rules).items():
            assert (row[name], row[f"from_{name}"], rule_at(row["rules"], name)) == wanted, name
    order = list(range(accounts.height))
    random.shuffle(order)
    shuffled = Matching(matching.links[order[::-1]], matching.persons[::-1], matching.doubts)
    again = merge(accounts[order], shuffled, tenants[::-1], settings, classes=kinds.gather(order))
    assert again.equals(found)


@given(PEOPLE, st.fixed_dictionaries({}, optional={"title": RULE, "phone": RULE, "aliases": LIST_RULE}))
def test_what_explain_tells_is_what_merge_did(people, rules):
    """Winner, value and rule of every attribute agree with the person row; everybody else who spoke lost for a reason."""
    accounts = frame(*(row for row, *_ in people))
    kinds = pl.Series([kind for *_, kind in people], dtype=pl.String)
    row = merge(accounts, matched(accounts), THREE, MergeSettings(NOW, TODAY, attributes=rules), classes=kinds).row(
        0, named=True
    )
    links = matched(accounts).links
    assert links.schema == pl.Schema(LINK)
    for each in attributes(accounts, links, THREE, rules, today=TODAY, classes=kinds):
        code = rule_at(row["rules"], each.name)
        assert each.value == row[each.name]
        assert (each.winner is None) == (row[f"from_{each.name}"] is None or code == FALLBACK)
        assert ("fallback" in each.rule) == (code == FALLBACK)
        assert bool(each.also) >= (code == UNION)
        assert all(voice.reason for voice in (*each.losers, *each.also))
        said = sum(each.name in account for account, *_ in people)
        assert len(each.losers) + len(each.also) + (each.winner is not None) == said


@pytest.mark.parametrize("rule", [AttributeRule(prefer=("t2",), only=True), AttributeRule(nulls="skip")])
def test_a_loser_is_told_which_setting_beat_it(rule):
    """The reason names the setting of the attribute, so that an admin finds the line."""
    accounts = frame({"tenant_key": 1, "title": None}, {"tenant_key": 2, "title": "Two"})
    told = attributes(accounts, matched(accounts).links, THREE, {"title": rule}, today=TODAY, names=("title",))[0]
    assert told.winner.account_key == 2
    assert "attributes.title" in told.losers[0].reason


def test_a_fallback_never_sees_what_another_one_gave():
    """A title that falls back on the telephone stays without one where the telephone itself is only a fallback."""
    accounts = frame({"tenant_key": 1, "department": "Ops"})
    rules = {
        "phone": AttributeRule(fallback=("department",)),
        "title": AttributeRule(fallback=("phone", "person.department || '!'")),
    }
    row = merge(accounts, matched(accounts), THREE, MergeSettings(NOW, TODAY, attributes=rules)).row(0, named=True)
    assert (row["phone"], row["title"]) == ("Ops", "Ops!")
