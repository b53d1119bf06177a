"""Classes: what each account is, by the config's rules and by what tenants land, and what a class does to joining."""

from datetime import date

import polars as pl
import pytest

from core.classify import Rules, classify, person_classes
from core.frames import ACCOUNT, CLASS, DECISION, LINK, PERSON_ID, conform, empty
from core.match import MatchSettings, match
from core.model import AccountClass, Right, TenantFacts, TenantMode
from core.normalise import normalise

TODAY = date(2026, 11, 24)
NAMED = {"given_name": "Ada", "family_name": "Lovelace"}


def tenant(key, **rules):
    return TenantFacts(
        tenant_key=key, name=f"t{key}", rank=key, mode=TenantMode.LIVE, may=frozenset(Right),
        verified_domains=frozenset({"corp.example"}), employee_number_issuer="hr", classes=rules,
    )  # fmt: skip


TWO = (tenant(1), tenant(2))


def frame(*rows):
    full = [
        {"account_key": place, "tenant_key": 1, "native_id": f"n{place}", "active": True, **row}
        for place, row in enumerate(rows, start=1)
    ]
    return conform(pl.DataFrame(full, infer_schema_length=None), ACCOUNT)


def classes(accounts, tenants=TWO, rules=None, links=None):
    return classify(accounts, normalise(accounts), tenants, rules or Rules({}), links=links, today=TODAY)


def words(found):
    return found.classes["class"].to_list()


def run(accounts, tenants=TWO, *, before=None, decisions=(), rules=None):
    normalised = normalise(accounts)
    known = before.links if before else empty(LINK)
    found = classify(accounts, normalised, tenants, rules or Rules({}), links=known, today=TODAY)
    return match(
        accounts, normalised, tenants, links=known, persons=before.persons if before else empty(PERSON_ID),
        decisions=pl.DataFrame(list(decisions), schema=DECISION, orient="row"), settings=MatchSettings("acme"),
        classes=found.classes,
    )  # fmt: skip


def people(matching):
    groups = {}
    for account, person in matching.links.select("account_key", "person_key").iter_rows():
        groups.setdefault(person, []).append(account)
    return sorted(groups.values())


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"user_name": "ada@corp.example", **NAMED}, "human"),
        ({"user_name": "svc-backup@corp.example"}, "service"),
        ({"user_name": "jira_svc"}, "service"),
        ({"user_name": "jira-svc"}, "service"),
        ({"user_name": "service-account-grafana"}, "service"),
        ({"user_name": "WS0815$"}, "service"),
        ({"user_name": "Sync_DC01_4f2b9c0d1e2f@corp.example"}, "service"),
        ({"email": "no-reply@corp.example"}, "service"),
        ({"user_name": "sa.smith@corp.example", **NAMED}, "human"),
        ({"user_name": "adm-ada@corp.example"}, "admin_twin"),
        ({"user_name": "ada-adm"}, "admin_twin"),
        ({"user_name": "admin.ada@corp.example"}, "admin_twin"),
        ({"user_name": "t0_ada"}, "admin_twin"),
        ({"user_name": "adam.miller@corp.example", **NAMED}, "human"),
        ({"email": "room-4711@corp.example"}, "resource"),
        ({"user_name": "x1", "display_name": "Conference room North"}, "resource"),
        ({"user_name": "x1", "display_name": "Conference room North", **NAMED}, "human"),
        ({"user_name": "x1", "status": "EquipmentMailbox"}, "resource"),
        ({"user_name": "x1", "status": "shared mailbox"}, "shared"),
        ({"user_name": "x1", "status": "contact", "user_type": "external"}, "contact"),
        ({"user_name": "x1", "user_type": "guest"}, "guest"),
        ({"user_name": "ada_home.example#EXT#@corp.example", "user_type": "member"}, "guest"),
        ({"email": "box@corp.example", "active": False}, "shared"),
        ({"email": "box@corp.example", "active": False, "employee_number": "7"}, "human"),
        ({"email": "box@corp.example", "active": False, "user_type": "guest"}, "guest"),
        ({"email": "box@corp.example", "active": False, **NAMED}, "human"),
    ],
)
def test_what_tenants_land_tells_the_class(row, expected):
    """Logins, mailboxes, vendors' words and mailboxes of nobody; a delimiter keeps people's names out of it."""
    assert words(classes(frame(row, {"user_name": "x", **NAMED})))[0] == expected


def test_a_tenant_that_gives_no_names_has_no_mailboxes_of_nobody():
    """Where nobody has a given name, a leaver without one is a leaver."""
    assert words(classes(frame({"email": "box@corp.example", "active": False}))) == ["human"]


def test_rules_of_the_tenant_come_before_general_ones_and_those_before_the_built_in():
    """The first that is true says it, `human` before all: an exemption is one line."""
    accounts = frame(
        {"user_name": "svc-a"}, {"user_name": "svc-b"}, {"user_name": "bob", "tenant_key": 2}, {"user_name": "robo-c"}
    )
    general = Rules({"service": "account.user_name like 'robo-%'", "shared": "account.user_name = 'bob'"})
    tenants = (tenant(1, human="account.user_name = 'svc-b'"), tenant(2, contact="account.user_name = 'bob'"))
    found = classes(accounts, tenants, general)
    assert words(found) == ["service", "human", "contact", "service"]
    assert found.notes == ("accounts that are no person of their own: 1 contact, 2 service",)
    assert words(classes(accounts, (tenant(1), tenant(2)), Rules({}, built_in=False))) == ["human"] * 4


def test_a_rule_that_fails_or_is_null_classifies_nobody_and_is_told():
    """One row that cannot be worked out, and one that is null, fall to the built-in rules; a refused rule falls whole."""
    accounts = frame({"user_name": "x", "title": "seven"}, {"user_name": "svc-a", "title": "7"}, {"user_name": "y"})
    found = classes(accounts, TWO, Rules({"shared": "cast(account.title as int) = 7", "contact": "(select 1) = 1"}))
    assert words(found) == ["human", "shared", "human"]
    assert len(found.notes) == 3
    assert found.notes[0].startswith("classes.contact fails for 3 accounts")
    assert found.notes[1].startswith("classes.shared fails for 1 accounts (such as 1)")


def test_nobody_is_nobody():
    """No accounts, no classes, whatever the rules."""
    found = classes(empty(ACCOUNT), TWO, Rules({"service": "account.user_name = 'x'"}))
    assert found.classes.schema == pl.Schema(CLASS)
    assert found.classes.is_empty()


def test_a_mailbox_joins_no_human_but_its_own_kind():
    """A shared mailbox with a person's alias stays apart without a doubt; two records of one mailbox are one."""
    box = {"email": "box@corp.example", "aliases": ["ada@corp.example"], "status": "shared", "active": False}
    accounts = frame({"email": "ada@corp.example", **NAMED}, {**box, "tenant_key": 2}, box)
    found = run(accounts)
    assert people(found) == [[1], [2, 3]]
    assert found.doubts.is_empty()
    assert person_classes(found.links).rows() == [(1, "human"), (2, "shared")]


def test_an_admin_twin_is_its_owners_and_takes_no_seat():
    """Two enabled accounts of one tenant under one number: one person when one is an admin twin, else two."""
    accounts = frame(
        {"user_name": "ada", "employee_number": "7", **NAMED}, {"user_name": "adm-ada", "employee_number": "7"}
    )
    found = run(accounts)
    assert people(found) == [[1, 2]]
    assert person_classes(found.links).rows() == [(1, "human")]
    assert people(run(accounts, rules=Rules({}, built_in=False))) == [[1], [2]]


def test_another_class_takes_an_account_out_of_its_person_and_the_human_keeps_the_id():
    """The lineage says why; nobody is doubtful: the class was said by a rule. Taken back, the person is whole again."""
    accounts = frame({"email": "ada@corp.example"}, {"email": "ada@corp.example", "tenant_key": 2, "native_id": "box"})
    before = run(accounts)
    assert people(before) == [[1, 2]]
    told = Rules({"shared": "account.native_id = 'n1'"})  # the founder is the mailbox
    after = run(accounts, before=before, rules=told)
    assert people(after) == [[1], [2]]
    kept = dict(after.links.select("account_key", "person_key").iter_rows())
    assert kept[2] == before.links["person_key"][0]
    assert after.doubtful == frozenset()
    assert after.lineage.select("event", "accounts", "reason").rows() == [
        ("split", 1, "1 accounts are taken for shared now")
    ]
    assert run(accounts, before=after, rules=told).lineage.is_empty()
    back = run(accounts, before=after)
    assert people(back) == [[1, 2]]
    assert back.lineage["event"].to_list() == ["merged"]


def test_a_leaver_whose_names_were_wiped_stays_its_person():
    """What was known as a human's is not taken for a mailbox: else it could no longer disable its person."""
    accounts = frame(
        {"email": "ada@corp.example", **NAMED}, {"email": "ada@corp.example", "tenant_key": 2, **NAMED},
        {"email": "bob@corp.example", "given_name": "Bob", "family_name": "B"},
    )  # fmt: skip
    before = run(accounts)
    wiped = accounts.with_columns(
        *(pl.when(pl.col("account_key") != 1).then(pl.col(name)).alias(name) for name in NAMED),
        active=pl.col("account_key") != 1,
    )
    assert words(classes(wiped)) == ["shared", "human", "human"]
    after = run(wiped, before=before)
    assert people(after) == [[1, 2], [3]]
    assert after.links["class"].to_list() == ["human"] * 3


def test_a_pin_across_classes_joins_these_two_alone():
    """A human may give a service account to its owner; other accounts of the same kind do not come along."""
    accounts = frame(
        {"user_name": "ada", **NAMED}, {"user_name": "svc-a", "employee_number": "9"},
        {"user_name": "svc-a", "employee_number": "9", "tenant_key": 2},
    )  # fmt: skip
    assert people(run(accounts)) == [[1], [2, 3]]
    assert people(run(accounts, decisions=[(1, 2, "same")])) == [[1, 2], [3]]


def test_every_class_of_the_model_can_be_told():
    """No word of AccountClass is without a way into the frames."""
    wanted = [each.value for each in AccountClass]
    rules = Rules({name: f"account.title = '{name}'" for name in wanted}, built_in=False)
    assert words(classes(frame(*({"title": name} for name in wanted)), TWO, rules)) == wanted


def test_classes_do_not_depend_on_the_order_of_rows():
    """The same accounts in another order have the same classes."""
    accounts = frame(
        *({"user_name": name, "active": place % 2 == 0, "created_at": None} for place, name in enumerate("abc")),
        {"user_name": "svc-x"}, {"email": "b@corp.example", "active": False}, {"user_name": "q", **NAMED},
    )  # fmt: skip
    straight = dict(classes(accounts).classes.iter_rows())
    assert dict(classes(accounts.reverse()).classes.iter_rows()) == straight
