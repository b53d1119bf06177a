"""One person, now: `offboard`, `plan --person`, `apply --person`, `sync --apply --person`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flows import cli_person
from sandbox.serve import Sandbox
from state.store import Store
from tasks.installation import utc_now
from tests.company import CONFIG, ROOT, Company, people, seed


def made(folder: Path, box: Sandbox) -> Company:
    """Twelve people in line with both targets; user011 is an administrator of Jira by hand."""
    one = Company(folder, box, people(12))
    one.groups = {"Jira-Devs": [f"c{place:03}" for place in range(6)], "Wiki-Eds": ["c001", "c002"]}
    one.write()
    one.adopt()
    assert one.run("sync", "--apply")[0] == 0
    one.box.reset_audit()
    return one


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """One for all tests; each has its own person."""
    with Sandbox({"jira": {}, "confluence": {}}, rate=None) as box:
        yield made(tmp_path_factory.mktemp("offboard") / "acme", box)


def active(company: Company, name: str) -> list[bool]:
    """Whether the user is active in Confluence and in Jira."""
    return [bool(each["users"][name]["active"]) for _, each in sorted(company.holds().items())]


def states(document: dict[str, Any]) -> dict[str, str]:
    """What `offboard` says of each target."""
    return {each["target"]: each["state"] for each in document["targets"]}


def test_offboarded_in_every_target(company: Company):
    """Disabled in both, her sessions in Jira ended, nobody else touched, in the history with the reason; again it changes nothing."""
    company.box.reset_audit()
    others = {name: active(company, name) for name in ("user000", "user002")}
    code, done, err = company.run("offboard", "User001", "--reason", "left in anger")
    assert code == 0, (done, err)
    assert states(done) == {"jira": "disabled", "confluence": "disabled"}
    assert active(company, "user001") == [False, False]
    assert {name: active(company, name) for name in others} == others
    log = company.box.audit("jira")["log"]
    assert any(line["method"] == "DELETE" and "user/session/user001" in line["path"] for line in log)
    run = company.run("history")[1]["runs"][0]
    assert (run["kind"], run["exit_code"], run["run_id"]) == ("offboard", 0, done["run_id"])
    told = company.run("explain", "user001")[1]
    assert [each["reason"] for each in told["overrides"]] == ["left in anger"]
    assert {each["what"] for each in told["history"]} >= {"deactivate_user"}
    company.box.reset_audit()
    code, done, _ = company.run("offboard", "user001", "--reason", "again")
    assert code == 0
    assert sum(company.box.audit(name)["effects"] for name in ("jira", "confluence")) == 0
    company.run("sync", "--apply")
    assert active(company, "user001") == [False, False]


def test_reactivated_by_hand_is_seen_and_closed(company: Company):
    """Somebody switched her on again in Jira: the shadow does not know, the offboarding looks and disables her."""
    assert company.run("offboard", "c003", "--reason", "x")[0] == 0
    key = next(row["key"] for row in rows(company, "jira") if row["name"] == "user003")
    switch_on(company, key)
    assert active(company, "user003") == [False, True]
    code, done, _ = company.run("offboard", "c003", "--reason", "again")
    assert code == 0, done
    assert active(company, "user003") == [False, False]


def rows(company: Company, target: str) -> list[dict[str, Any]]:
    """Users of a stand-in."""
    users = company.box.state(target)["users"]
    return list(users.values()) if isinstance(users, dict) else users


def switch_on(company: Company, key: str) -> None:
    """What an administrator does by hand in Jira."""
    import httpx

    httpx.put(
        f"{company.box.jira.url}/rest/api/2/user",
        params={"key": key},
        json={"active": True},
        headers={"Authorization": f"Bearer {company.box.jira.token}"},
    ).raise_for_status()


def test_unknown_and_ambiguous_words_change_nothing(company: Company):
    """Nobody: exit 2. Two of one display name: exit 2 with both ids. No override is recorded."""
    before = company.run("override", "list")[1]
    assert company.run("offboard", "nobody at all", "--reason", "x")[0] == 2
    company.change("c008", display="Twin")
    company.change("c009", display="Twin")
    company.write()
    company.run("plan")
    code, document, _ = company.run("offboard", "Twin", "--reason", "x")
    assert code == 2
    assert len(document["problems"]) == 3
    assert company.run("override", "list")[1] == before
    assert company.run("plan", "--person", "Twin")[0] == 2


def test_a_person_in_no_target(company: Company):
    """HR's somebody has no user anywhere and never gets one: exit 0, and each target says so."""
    code, done, _ = company.run("offboard", "h1", "--reason", "never came")
    assert code == 0
    assert states(done) == {"jira": "no user", "confluence": "no user"}


def test_refused_and_held_are_told(company: Company):
    """Jira only plans: exit 5, her access there is left and the reason named; Confluence is done all the same."""
    company.write(CONFIG.replace("kind: jira_dc, mode: apply", "kind: jira_dc, mode: plan_only"))
    code, done, _ = company.run("offboard", "c004", "--reason", "x")
    company.write()
    assert code == 5
    assert states(done) == {"jira": "active", "confluence": "disabled"}
    assert "plan_only" in next(each["why"] for each in done["targets"] if each["target"] == "jira")
    assert company.run("freeze", "jira")[0] == 0
    code, done, _ = company.run("offboard", "c004", "--reason", "x")
    company.run("thaw", "jira")
    assert code == 5
    assert "frozen" in next(each["why"] for each in done["targets"] if each["target"] == "jira")
    company.run("sync", "--apply")
    assert active(company, "user004") == [False, False]


def test_a_target_that_refuses(company: Company):
    """Jira answers 403 to everything: not 0, what is left or unknown there is said; Confluence is done; the next sync finishes."""
    company.box.faults([{"target": "jira", "fault": "status", "status": 403}])
    code, done, _ = company.run("offboard", "c005", "--reason", "x")
    company.box.faults([])
    assert code == 5
    assert states(done)["jira"] != "disabled"
    assert states(done)["confluence"] == "disabled"
    company.run("sync", "--apply")
    assert active(company, "user005") == [False, False]


def test_waits_for_a_run_and_names_it(company: Company, monkeypatch: pytest.MonkeyPatch):
    """Another run holds the state for good: after the wait exit 5 says who holds it and that the override is recorded; the next sync carries it out."""
    monkeypatch.setattr(cli_person, "WAIT_SECONDS", 0.5)
    with Store.open(company.folder / ".onefold", purpose="a long sync", now=utc_now):
        code, _, err = company.run("offboard", "c006", "--reason", "x")
    assert code == 5
    assert f"process {os.getpid()}" in err
    assert "a long sync" in err
    assert "recorded" in err
    assert active(company, "user006") == [True, True]
    company.run("sync", "--apply")
    assert active(company, "user006") == [False, False]


def test_killed_between_override_and_apply(company: Company):
    """SIGKILL as soon as the plan of the offboarding stands: nothing was sent, and the next sync finishes."""
    script = (
        "import os, signal, tasks.planning as planning, flows.order as order\n"
        "def die(*given, **named):\n"
        "    planning.make_plan(*given, **named)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "order.make_plan = die\n"
        "from flows.cli import main\n"
        "main(['offboard', 'c007', '--reason', 'x'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={**os.environ, **company.environment},
        capture_output=True,
        check=False,
    )
    assert done.returncode == -9, done.stderr
    assert active(company, "user007") == [True, True]
    company.run("sync", "--apply")
    assert active(company, "user007") == [False, False]


def test_one_persons_plan_takes_nothing_from_the_plan_of_all(company: Company):
    """Two changes wait; one person is planned and applied, with the fingerprints of the whole plan; the other's change waits on, in the newest plan too."""
    company.change("c000", display="First Changed")
    company.change("c010", display="Tenth Changed")
    company.write()
    whole = company.run("plan")[1]
    code, mine, err = company.run("plan", "--person", "user000")
    assert code == 0, err
    prints = {each["fingerprint"] for each in whole["changes"]}
    assert {each["object"] for each in mine["changes"]} == {"user000"}
    assert {each["fingerprint"] for each in mine["changes"]} < prints
    assert any("read anew for this plan" in note for note in mine["notes"])
    assert company.run("status")[1]["plan"] == whole["digest"]
    assert company.run("show", "plan", mine["digest"])[1]["person"] == mine["person"]
    code, done, err = company.run("apply", "--person", "user000")
    assert code == 0, (done, err)
    assert done["apply"]["applied"] == len(mine["changes"])
    shown = {row["name"]: row["display_name"] for row in rows(company, "jira")}
    assert (shown["user000"], shown["user010"]) == ("First Changed", "User010")
    assert company.run("status")[1]["plan"] == whole["digest"]
    _, done, _ = company.run("apply", whole["digest"])
    shown = {row["name"]: row["display_name"] for row in rows(company, "jira")}
    assert shown["user010"] == "Tenth Changed"


def test_a_person_is_read_anew_and_the_rest_is_not(company: Company):
    """Files changed for two people: `sync --apply --person` takes one of them; the other's news come with the next whole read."""
    company.change("c002", display="Second News")
    company.change("c010", display="Tenth News")
    company.write()
    code, done, err = company.run("sync", "--apply", "--person", "c002")
    assert code == 0, (done, err)
    shown = {row["name"]: row["display_name"] for row in rows(company, "confluence")}
    assert (shown["user002"], shown["user010"]) == ("Second News", "Tenth Changed")
    assert company.run("sync", "--apply")[0] == 0
    shown = {row["name"]: row["display_name"] for row in rows(company, "confluence")}
    assert shown["user010"] == "Tenth News"


def test_usage(company: Company):
    """--person with --full, apply with two plans: exit 2."""
    assert company.run("plan", "--person", "c000", "--full")[0] == 2
    assert company.run("apply", "--person", "c000", "--newest")[0] == 2


def test_mass_limits_do_not_keep_one_person(tmp_path: Path):
    """A limit of one holds the export that disables half the company; one named person passes, protected ones do not."""
    hand_made = {"name": "user006", "email": "user006@corp.example", "display_name": "Boss", "active": True}
    boss = {**hand_made, "groups": ["jira-administrators"]}
    before = {"jira": {"users": [*seed(["user002"])["users"], boss], "groups": []}, "confluence": {}}
    limits = "limits: {{deactivate: {{explicit: {{floor: 1}}}}}}\nprotect: {{users: [user003]}}\n"
    with Sandbox(before, rate=None) as box:
        one = Company(tmp_path / "acme", box, people(8))
        one.write(CONFIG + limits)
        one.adopt()
        one.run("sync", "--apply")
        for place in range(4):
            one.change(f"c{place:03}", active=False)
        one.write(CONFIG + limits)
        code, whole, _ = one.run("sync", "--apply")
        assert code == 3
        assert not any(each["first_contact"] for each in whole["targets"])  # though user003 can never be created
        assert active(one, "user001") == [True, True]
        code, done, err = one.run("apply", "--person", "c001")
        assert code == 0, (done, err)
        assert active(one, "user001") == [False, False]
        assert active(one, "user002") == [True, True]
        kept = {each["fingerprint"] for each in done["changes"]}
        assert kept < {each["fingerprint"] for each in whole["changes"]}
        assert json.dumps(one.run("status")[1]["holds"]).count("limit") >= 1
        code, done, _ = one.run("offboard", "c006", "--reason", "x")
        assert code == 5
        assert states(done) == {"jira": "active", "confluence": "disabled"}
        assert "protected" in next(each["why"] for each in done["targets"] if each["target"] == "jira")
