"""Two real SCIM servers and an HR export, read by the command itself: who is who is exactly what the world says."""

import json
import os
import subprocess
import sys
import time
from collections import defaultdict

import duckdb
import pytest

from sandbox.config import demo_config
from sandbox.scim import ScimServer, apply_event, seed
from sandbox.world import company

pytestmark = pytest.mark.system
TENANTS = ("corp", "acquired")
TOKEN = "made-up"
WORLD = company()


@pytest.fixture(scope="module")
def servers():
    """Both tenants' servers, filled: base URLs by tenant."""
    with ScimServer("corp", token=TOKEN) as corp, ScimServer("acquired", token=TOKEN) as acquired:
        urls = {"corp": corp.url, "acquired": acquired.url}
        begun = time.monotonic()
        for tenant, url in urls.items():
            seed(url, WORLD.scim_users(tenant), WORLD.groups(tenant), token=TOKEN)
        assert time.monotonic() - begun < 20
        yield urls


@pytest.fixture(scope="module")
def folder(servers, tmp_path_factory):
    """A folder with the demo's config, without targets, and HR's export, read once."""
    place = tmp_path_factory.mktemp("demo")
    (place / "hr").mkdir()
    (place / "hr/staff.csv").write_text(WORLD.hr_csv(), encoding="utf-8")
    text = demo_config(
        corp_url=servers["corp"],
        acquired_url=servers["acquired"],
        hr_glob="hr/*.csv",
        jira_url=None,
        confluence_url=None,
    )
    (place / "onefold.yaml").write_text(text, encoding="utf-8")
    onefold(place, "sync")
    return place


def onefold(folder, *words):
    """Runs the command in the folder; its JSON document."""
    done = subprocess.run(
        [sys.executable, "-m", "flows", *words, "--json"],
        cwd=folder,
        env={**os.environ, "DEMO_SCIM_TOKEN": TOKEN},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def rows(folder, query):
    """Rows of the newest snapshot."""
    with duckdb.connect(str(folder / ".onefold/snapshots/latest.duckdb"), read_only=True) as connection:
        return connection.execute(query).fetchall()


def clusters(folder):
    """The persons found: sets of (tenant, login or HR id)."""
    found = defaultdict(set)
    for tenant, native_id, user_name, person_id in rows(
        folder, "SELECT tenant, native_id, user_name, person_id FROM accounts"
    ):
        found[person_id].add((tenant, user_name or native_id))
    return {frozenset(each) for each in found.values()}


def truth(people):
    """The persons that there are, in the same form."""
    return {
        frozenset(
            [(tenant, each.user_name_in(tenant)) for tenant in TENANTS if each.known_as(tenant)]
            + ([("hr", each.employee_number.zfill(7))] if each.in_hr else [])
        )
        for each in people
    }


def test_live_check_finds_both_tenants(folder):
    """The config is valid, and both servers answer with the rows that were made."""
    done = json.dumps(onefold(folder, "check", "--live"))
    assert "300 resources" in done
    assert "200 resources" in done


def test_everybody_is_found_once(folder):
    """440 people and five of HR, the 60 shared ones joined and nobody else, without a doubt; a second read changes nothing."""
    assert rows(folder, "SELECT count(*) FROM people") == [(445,)]
    assert clusters(folder) == truth(WORLD.people)
    both = (
        "SELECT count(*) FROM (SELECT person_id FROM accounts WHERE tenant <> 'hr' "
        "GROUP BY 1 HAVING count(DISTINCT tenant) = 2)"
    )
    assert rows(folder, both) == [(60,)]
    before = rows(folder, "SELECT person_id, tenant, native_id, rule FROM links ORDER BY ALL")
    onefold(folder, "sync")
    assert rows(folder, "SELECT person_id, tenant, native_id, rule FROM links ORDER BY ALL") == before


def test_who_is_active_and_what_hr_says(folder):
    """The home tenant decides who is active, HR gives titles where it knows somebody, and the names survive."""
    found = {
        login: (home, active, name, title)
        for login, home, active, name, title in rows(
            folder,
            "SELECT a.user_name, p.home_tenant, p.active, p.display_name, p.title "
            "FROM people AS p JOIN accounts AS a USING (person_id) WHERE a.tenant <> 'hr'",
        )
    }
    for tenant in TENANTS:
        for person in WORLD.known_to(tenant):
            home, active, name, title = found[person.user_name_in(tenant)]
            assert name == person.display_name
            assert active == person.active
            if person.user_type != "External":
                assert home == person.home
            assert title == (f"{person.grade}{person.title}, {person.department}" if person.in_hr else person.title)


def test_nested_groups_arrive(folder):
    """Every direct edge of both tenants is in the snapshot: users and nested groups, none more."""
    want = {
        (tenant, group.name, kind)
        for tenant in TENANTS
        for group in WORLD.groups(tenant)
        for kind, there in (("user", group.users), ("group", group.groups))
        if there
    }
    counts = {
        (tenant, group, kind): count
        for tenant, group, kind, count in rows(
            folder, "SELECT tenant, group_name, member_kind, count(*) FROM memberships GROUP BY ALL"
        )
    }
    assert set(counts) == want
    for tenant in TENANTS:
        for group in WORLD.groups(tenant):
            assert counts.get((tenant, group.name, "user"), 0) == len(group.users)
            assert counts.get((tenant, group.name, "group"), 0) == len(group.groups)


def test_events_arrive(servers, folder):
    """After the leaver one fewer is active, the renamed is the same person, the joiner is one person of two accounts."""
    active = "SELECT count(*) FROM people WHERE active"
    (were,) = rows(folder, active)[0]
    leaver, rename, joiner = WORLD.events()
    who = f"SELECT person_id FROM accounts WHERE email = '{rename.before.email}'"
    before = rows(folder, who)

    def happens(event):
        apply_event(servers, event, token=TOKEN)
        (folder / "hr/staff.csv").write_text(event.hr_csv, encoding="utf-8")
        onefold(folder, "sync")

    happens(leaver)
    assert rows(folder, active) == [(were - 1,)]
    happens(rename)
    assert rows(folder, who.replace(rename.before.email, rename.after.email))[0] == before[0]
    happens(joiner)
    assert rows(folder, "SELECT count(*) FROM people") == [(446,)]
    people = [rename.after if each.key == rename.after.key else each for each in WORLD.people]
    assert clusters(folder) == truth([*people, joiner.after])
