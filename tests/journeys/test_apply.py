"""What apply promises: the reviewed plan and nothing else, faults that change nothing in the end, units that fail alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.serve import Sandbox
from tests.company import Company, people, seed


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Company]:
    """20 people and targets that hold two users and a group; nothing planned yet."""
    before = {"jira": seed(["user001", "user002"], ["jira-devs"]), "confluence": seed(["user001"])}
    with Sandbox(before, rate=None) as box:
        one = Company(tmp_path / "acme", box, people(20))
        one.groups = {"Jira-Devs": [f"c{place:03}" for place in range(12)], "Wiki-Eds": ["c001", "c002"]}
        one.write()
        yield one


@pytest.fixture
def company(fresh: Company) -> Company:
    """The same, adopted and in line."""
    fresh.adopt()
    fresh.box.reset_audit()
    return fresh


def effects(company: Company) -> int:
    """Writes that changed something since the last reset."""
    return sum(company.box.audit(name)["effects"] for name in ("jira", "confluence"))


def test_nothing_is_written_before_approval(fresh: Company):
    """Planning, showing, adopting, and applying an unapproved adoption write nothing; the last is refused."""
    _, plan, _ = fresh.run("plan")
    fresh.run("show", "plan", plan["digest"])
    assert fresh.run("adopt", "jira")[1]["counts"]["user_match"] == 2
    code, _, _ = fresh.run("apply", plan["digest"])
    assert code == 5
    assert effects(fresh) == 0


def test_writes_are_the_minimum_for_the_difference(fresh: Company):
    """As many effects at the stand-ins as the plan has changes that write; then none."""
    _, plan, _ = fresh.run("plan")
    held = {name: counts["held"] for name, counts in plan["counts"].items()}
    wanted = sum(n for counts in held.values() for verb, n in counts.items() if not verb.startswith("adopt_"))
    fresh.run("approve", plan["digest"])
    code, done, _ = fresh.run("apply", plan["digest"])
    assert code == 0
    assert effects(fresh) == wanted
    assert done["applied"] == wanted + sum(
        n for c in held.values() for verb, n in c.items() if verb.startswith("adopt_")
    )
    fresh.box.reset_audit()
    assert fresh.run("sync", "--apply")[0] == 0
    assert sum(fresh.box.audit(name)["writes"] for name in ("jira", "confluence")) == 0


def test_what_would_come_out_differently_is_dropped_and_named(company: Company):
    """Reviewed: a new display name. Before apply it changes again: the old value is not sent, the drop is named."""
    company.change("c003", display="Reviewed Name")
    company.change("c004", active=False)
    company.write()
    _, plan, _ = company.run("plan")
    company.change("c003", display="Later Name")
    company.write()
    company.run("plan")
    code, done, _ = company.run("apply", plan["digest"])
    names = {row["display_name"] for row in company.holds()["jira"]["users"].values()}
    assert "Reviewed Name" not in names
    assert "Later Name" not in names
    assert company.holds()["jira"]["users"]["user004"]["active"] is False
    assert [(each["verb"], each["object"]) for each in done["dropped"]].count(("update_user", "user003")) == 2
    assert code == 3


FAULTS: dict[str, list[dict[str, Any]]] = {
    "busy": [{"every": 5, "fault": 429}],
    "busy with a time": [{"every": 7, "fault": 429, "retry_after": 0}],
    "overloaded": [{"every": 6, "fault": 503}],
    "broken gateway after the effect": [
        {"method": "POST", "call": [2, 4], "fault": "status", "status": 502, "when": "after"}
    ],
    "web page": [{"method": "POST", "call": [3, 3], "fault": "html"}],
    "reset before": [{"method": "POST", "call": [2, 3], "fault": "reset_before"}],
    "reset after": [
        {"method": "POST", "call": [2, 6], "fault": "reset_after"},
        {"method": "PUT", "call": 1, "fault": "reset_after"},
    ],
    "cut short": [{"method": "POST", "call": [1, 2], "fault": "truncate"}],
}


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_faults_on_the_way_change_nothing_in_the_end(fresh: Company, fault: str, monkeypatch: pytest.MonkeyPatch):
    """Whatever the wire does: after apply and one more sync everybody is there once, and nothing is in quarantine for good."""
    from connectors import http

    monkeypatch.setattr(http, "_backoff", lambda _attempt: 0.01)
    _, plan, _ = fresh.run("plan")
    fresh.run("approve", plan["digest"])
    fresh.box.faults(FAULTS[fault])
    fresh.run("apply", plan["digest"])
    fresh.box.faults([])
    fresh.run("apply", plan["digest"])
    code, done, err = fresh.run("sync", "--apply")
    holds = fresh.holds()
    assert code == 0, (done["counts"], done["holds"], err)
    assert {f"user{place:03}" for place in range(20)} <= set(holds["jira"]["users"])
    assert len(holds["jira"]["users"]) == 21
    assert len(holds["confluence"]["users"]) == 21
    assert sum(edge[0] == "jira-devs" for edge in holds["jira"]["edges"]) == 12
    fresh.box.reset_audit()
    fresh.run("sync", "--apply")
    assert sum(fresh.box.audit(name)["writes"] for name in ("jira", "confluence")) == 0


def test_one_user_who_is_refused_stops_nobody_else(fresh: Company):
    """A creation that fails for good is quarantined with the product's words; what required it is dropped; exit 4."""
    _, plan, _ = fresh.run("plan")
    fresh.run("approve", plan["digest"])
    fresh.box.faults(
        [{"target": "jira", "method": "POST", "path": "/user", "call": 1, "fault": "status", "status": 400}]
    )
    code, done, _ = fresh.run("apply", plan["digest"])
    fresh.box.faults([])
    assert code == 4
    assert (done["failed"], done["quarantined"]) == (1, 1)
    assert all("did not come to be" in each["reason"] for each in done["dropped"])
    _, state, _ = fresh.run("status")
    assert state["quarantine"][0]["target"] == "jira"
    assert "400" in state["quarantine"][0]["error"]
    assert len(fresh.holds()["jira"]["users"]) == 20


def test_a_target_that_refuses_everything_stops_alone(fresh: Company):
    """Rights taken away in the middle: that target stops early, the other is done, exit 5."""
    _, plan, _ = fresh.run("plan")
    fresh.run("approve", plan["digest"])
    fresh.box.faults([{"target": "jira", "method": "POST", "fault": "status", "status": 401}])
    code, done, _ = fresh.run("apply", plan["digest"])
    assert code == 5
    assert list(done["stopped"]) == ["jira"]
    assert len(fresh.box.audit("jira")["log"]) < 60
    assert len(fresh.holds()["confluence"]["users"]) == 21
    fresh.box.faults([])
    fresh.run("apply", plan["digest"])
    assert fresh.run("sync", "--apply")[0] == 0
    assert len(fresh.holds()["jira"]["users"]) == 21


def test_a_stop_request_ends_between_batches(company: Company):
    """What was asked to stop sends nothing more, and the next run goes on."""
    from datetime import UTC, datetime

    from state.control import Control

    company.change("c003", display="Other")
    company.write()
    _, plan, _ = company.run("plan")
    with Control.open(company.folder / ".onefold") as control:
        control.request("stop", asked_by="an admin", now=datetime.now(UTC).replace(tzinfo=None))
    code, done, _ = company.run("apply", plan["digest"])
    assert code == 5
    assert "an admin" in done["stopped"]["confluence"]
    assert company.run("sync", "--apply")[0] == 0


def test_only_mode_apply_is_written(company: Company):
    """plan_only refuses the whole plan, in words that say what to set."""
    path = company.folder / "onefold.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("mode: apply", "mode: plan_only"), encoding="utf-8")
    company.change("c003", display="Other")
    company.table(
        "corp.csv",
        ["id", "user_name", "email", "display_name", "active"],
        [[each.id, each.name, each.email, each.display or each.name.title(), "yes"] for each in company.people],
    )
    _, plan, _ = company.run("plan")
    code, _, err = company.run("apply", plan["digest"])
    assert code == 5
    assert "mode: apply" in err
    assert effects(company) == 0


def test_a_mass_departure_waits_and_an_approval_lets_it_go(company: Company):
    """11 explicit leavers of 20 are over the limit: all wait, then all go by one approval."""
    for place in range(11):
        company.change(f"c{place:03}", active=False)
    company.write()
    code, plan, _ = company.run("sync", "--apply")
    assert code == 3
    assert plan["counts"]["jira"]["held"]["deactivate_user"] == 11
    assert effects(company) == 0
    company.run("approve", plan["digest"])
    code, done, _ = company.run("apply", plan["digest"])
    assert (code, done["failed"]) == (0, 0)
    active = [row["name"] for row in company.holds()["jira"]["users"].values() if row["active"]]
    assert len(active) == 10


def test_rename_is_sent_only_when_it_is_switched_on(company: Company):
    """With `rename: false` a new address changes the address; with true the login too, after approval, and the key stays."""
    from tests.company import keys

    before = keys(company.box.state("jira"))["user005"]
    company.change("c005", name="neo005")
    company.write()
    code, _, _ = company.run("sync", "--apply")
    assert code == 0
    assert company.holds()["jira"]["users"]["user005"]["email"] == "neo005@corp.example"
    path = company.folder / "onefold.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("'@', 1)\"}", "'@', 1)\", rename: true}"), encoding="utf-8")
    _, plan, _ = company.run("plan")
    assert plan["counts"]["jira"]["held"] == {"rename_user": 1}
    company.run("approve", plan["digest"])
    code, done, _ = company.run("apply", plan["digest"])
    assert done["applied"] == 1, done
    assert keys(company.box.state("jira"))["neo005"] == before


def test_show_prints_the_plan_again(company: Company):
    """Text, JSON and CSV of a stored plan, from the snapshot."""
    company.change("c003", display="=cmd|' /C calc'!A0")
    company.write()
    _, plan, _ = company.run("plan")
    _, again, _ = company.run("show", "plan", plan["digest"][:8])
    assert {k: v for k, v in again.items() if k in {"digest", "counts", "changes", "holds"}} == {
        k: v for k, v in plan.items() if k in {"digest", "counts", "changes", "holds"}
    }


def test_check_live_says_who_we_are_everywhere(company: Company):
    """Each tenant and target by name: what answers, who the token is, how many seats are left."""
    code, document, err = company.run("check", "--live")
    assert code == 0, (document, err)
    subjects = {each["subject"] for each in document["findings"]}
    assert "10.3" in " ".join(each["text"] for each in document["findings"] if each["subject"] == "jira")
    assert {"corp accounts", "hr accounts", "jira", "confluence"} <= subjects
    company.box.confluence.tokens.clear()
    code, document, _ = company.run("check", "--live")
    assert code == 2
    assert any(each["level"] == "error" and each["subject"] == "confluence" for each in document["findings"])


def test_what_is_frozen_is_left_alone(company: Company):
    """A frozen tenant is not read and a frozen target not written; thawed, both catch up."""
    company.change("c003", active=False)
    company.write()
    assert company.run("freeze", "corp")[0] == 0
    _, plan, _ = company.run("sync", "--apply")
    assert not plan["changes"]
    assert any("corp is frozen" in note for note in plan["notes"])
    company.run("thaw", "corp")
    company.run("freeze", "jira")
    code, done, _ = company.run("sync", "--apply")
    assert code == 3
    assert "jira" in done["apply"]["skipped"]
    assert company.holds()["jira"]["users"]["user003"]["active"] is True
    assert company.holds()["confluence"]["users"]["user003"]["active"] is False
    company.run("thaw", "jira")
    assert company.run("sync", "--apply")[0] == 0
    assert company.holds()["jira"]["users"]["user003"]["active"] is False
    assert company.run("freeze", "nobody")[0] == 2


def test_quarantine_waits_and_is_let_go_by_hand(fresh: Company):
    """What failed is not tried at every run; `retry` lets the next one."""
    _, plan, _ = fresh.run("plan")
    fresh.run("approve", plan["digest"])
    fresh.box.faults(
        [{"target": "jira", "method": "POST", "path": "/user", "call": 1, "fault": "status", "status": 400}]
    )
    fresh.run("apply", plan["digest"])
    fresh.box.faults([])
    assert fresh.run("apply", plan["digest"])[0] == 4
    assert len(fresh.holds()["jira"]["users"]) == 20
    assert len(fresh.run("quarantine", "list")[1]["quarantine"]) == 1
    assert fresh.run("quarantine", "retry")[1]["released"] == 1
    assert fresh.run("apply", plan["digest"])[0] == 0
    assert len(fresh.holds()["jira"]["users"]) == 21
    assert fresh.run("quarantine", "retry")[0] == 5
