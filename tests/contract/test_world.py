"""The company that the demo and the journeys are made of: the same for the same seed, and as odd as it says."""

import csv
import io
import json
import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.world import ENTERPRISE, company

TENANTS = ("corp", "acquired")
WORLD = company()


def everything(world):
    """All that the world says, as one text."""
    parts = [world.scim_users(each) for each in TENANTS], [repr(world.groups(each)) for each in TENANTS]
    return json.dumps([*parts, world.hr_csv(), world.existing(), repr(world.events())])


def test_same_seed_same_world():
    """A seed decides every byte; another one gives other people."""
    assert everything(company(7)) == everything(company(7))
    assert everything(company(7)) != everything(company(8))


def test_counts():
    """300 and 200 accounts are 440 people, and HR has five more who start later."""
    assert [len(WORLD.known_to(each)) for each in TENANTS] == [300, 200]
    assert sum(each.shared for each in WORLD.people) == 60
    assert Counter(each.home for each in WORLD.people) == {"corp": 290, "acquired": 150, "hr": 5}
    guests = Counter((each.corp, each.acquired) for each in WORLD.people if each.shared)
    assert guests == {("member", "member"): 40, ("member", "guest"): 10, ("guest", "member"): 10}


@given(
    seed=st.integers(0, 10_000),
    shared=st.integers(0, 120),
    corp=st.integers(30, 120),
    acquired=st.integers(30, 120),
)
def test_any_size_is_sound(seed, shared, corp, acquired):
    """Whatever the size: user names, addresses, numbers and full names are unique, and the counts are those asked for."""
    world = company(seed, corp=shared + corp, acquired=shared + acquired, shared=shared)
    assert [len(world.known_to(each)) for each in TENANTS] == [shared + corp, shared + acquired]
    assert sum(each.shared for each in world.people) == shared
    for tenant in TENANTS:
        users = world.scim_users(tenant)
        assert len({each["userName"].casefold() for each in users}) == len(users)
        addresses = [mail["value"] for each in users for mail in each["emails"]]
        assert len(set(addresses)) == len(addresses)
    numbers = [each.employee_number for each in (*world.people, world.joiner) if each.employee_number]
    assert len(set(numbers)) == len(numbers)
    everybody = [(each.given, each.family) for each in (*world.people, world.joiner, *world.strangers)]
    assert len(set(everybody)) == len(everybody)


def test_too_small_is_refused():
    """Sizes without room for the odd ones are an error, not a world that lacks them."""
    with pytest.raises(ValueError, match="30 people of its own"):
        company(corp=50, acquired=200, shared=40)


def test_names_beyond_ascii():
    """Display names go beyond ASCII, logins and addresses do not, and every domain is a fictional one."""
    names = " ".join(each.display_name for each in WORLD.people)
    assert all(each in names for each in ("Žofie", "O'Brien", "中村"))
    for tenant in TENANTS:
        for user in WORLD.scim_users(tenant):
            for text in (user["userName"], *(mail["value"] for mail in user["emails"])):
                assert re.fullmatch(r"[a-z0-9._-]+(#EXT#)?(@[a-z]+\.example)?", text)


def test_what_joins_shared_people():
    """Members in both tenants share a number and no address; guests have no number and the address of their home."""
    users = {tenant: dict(zip(WORLD.known_to(tenant), WORLD.scim_users(tenant), strict=True)) for tenant in TENANTS}
    for person in (each for each in WORLD.people if each.shared):
        corp, acquired = users["corp"][person], users["acquired"][person]
        mails = [{mail["value"] for mail in each["emails"]} for each in (corp, acquired)]
        numbers = {each.get(ENTERPRISE, {}).get("employeeNumber") for each in (corp, acquired)}
        if person.corp == person.acquired:
            assert not mails[0] & mails[1]
            assert numbers == {person.employee_number}
        else:
            guest = corp if person.corp == "guest" else acquired
            assert guest["userType"] == "Guest"
            assert ENTERPRISE not in guest
            assert mails[0] & mails[1] == {person.email}
            assert "#EXT#" in guest["userName"]


def test_groups_nest_without_circles():
    """Groups name only users that exist and groups that come before them; nesting is deep, and one group is empty."""
    deepest = {}
    for tenant in TENANTS:
        users = {each["userName"] for each in WORLD.scim_users(tenant)}
        depth = {}
        for group in WORLD.groups(tenant):
            assert group.name not in depth
            assert set(group.users) <= users
            assert len(set(group.users)) == len(group.users)
            depth[group.name] = 1 + max((depth[each] for each in group.groups), default=-1)
        deepest[tenant] = max(depth.values())
    assert deepest == {"corp": 4, "acquired": 2}
    assert any(not each.users and not each.groups for each in WORLD.corp_groups)


def test_hr_export():
    """HR knows nobody without a number, calls the disabled `left` with a last day, and pads its ids with zeros."""
    rows = list(csv.DictReader(io.StringIO(WORLD.hr_csv())))
    people = {each.employee_number: each for each in WORLD.people if each.employee_number}
    assert len(rows) == 388
    assert len({each["employee_id"] for each in rows}) == len(rows)
    for row in rows:
        person = people[row["employee_id"].lstrip("0")]
        assert len(row["employee_id"]) == 7
        assert (row["first_name"], row["last_name"]) == (person.given, person.family)
        assert bool(row["last_day"]) == (row["status"] == "left")
        assert (row["status"] == "active") == person.active
    assert Counter(each["status"] for each in rows)["preboarding"] == 5


@pytest.mark.parametrize("target", ["jira", "confluence"])
def test_existing_users(target):
    """150 users with unique names in 12 groups: 30 strangers, two people twice, 116 people once, in several spellings."""
    seed = WORLD.existing()[target]
    users, groups = seed["users"], seed["groups"]
    assert len(users) == 150
    assert len(set(groups)) == 12
    assert len({each["name"].casefold() for each in users}) == 150
    assert all(set(each["groups"]) <= set(groups) for each in users)
    assert set(seed["default_groups"]) <= set(groups)
    assert sum(each["active"] for each in users) < min(seed["seats"].values())
    owners = {
        mail["value"]: each.key
        for tenant in TENANTS
        for each, user in zip(WORLD.known_to(tenant), WORLD.scim_users(tenant), strict=True)
        for mail in user["emails"]
    }
    found = Counter(owners.get(each["email"].lower()) for each in users)
    assert found.pop(None) == 30
    assert Counter(found.values()) == {1: 116, 2: 2}
    assert any(each["name"].isupper() for each in users)
    assert any(each["email"] != each["email"].lower() for each in users)


def test_existing_users_have_a_story():
    """Some who left are still active in Jira, the renamed are there under old names, the events concern users that exist."""
    people = {each.email: each for each in WORLD.people if each.email}
    users = {each["email"].lower(): each for each in WORLD.existing()["jira"]["users"]}
    known = [(people[email], user) for email, user in users.items() if email in people]
    assert 3 <= sum(user["active"] and not person.active for person, user in known) <= 10
    assert any(not user["active"] and person.active for person, user in known)
    former = [(person, user) for person, user in known if person.former_family]
    assert len(former) >= 8
    assert all(person.family.lower() not in user["name"].lower() for person, user in former)
    assert {event.before.email for event in WORLD.events() if event.before} <= set(users)


def test_events():
    """A leaver, a rename and a joiner in this order; HR tells of the last two, each on top of the one before."""
    leaver, rename, joiner = WORLD.events()
    assert [each.kind for each in (leaver, rename, joiner)] == ["leaver", "rename", "joiner"]
    assert leaver.hr_csv == WORLD.hr_csv()
    assert leaver.requests[0].body["Operations"] == [{"op": "replace", "path": "active", "value": False}]
    assert rename.before.key == rename.after.key
    assert rename.before.family != rename.after.family
    assert rename.before.email != rename.after.email
    changed = set(rename.hr_csv.splitlines()) - set(leaver.hr_csv.splitlines())
    assert len(changed) == 1
    assert rename.after.email in changed.pop()
    added = joiner.hr_csv.removeprefix(rename.hr_csv)
    assert added.count("\n") == 1
    assert joiner.after.display_name.split()[0] in added
    assert [each.method for each in joiner.requests] == ["POST", "PATCH"]
