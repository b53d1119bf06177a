"""Absence is not departure, and only what is ours is touched: what changes around people, and what must not happen to them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.serve import Sandbox
from tests.company import Company, people, seed


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    """20 people, adopted and in line; strangers, and a group of others, are there too."""
    before = {"jira": seed(["user001", "stranger"], ["others"]), "confluence": seed(["user001", "stranger"])}
    with Sandbox(before, rate=None) as box:
        one = Company(tmp_path / "acme", box, people(20))
        one.groups = {"Jira-Devs": [f"c{place:03}" for place in range(12)], "Wiki-Eds": ["c001", "c002"]}
        one.write()
        one.adopt()
        assert one.run("sync", "--apply")[0] == 0
        box.reset_audit()
        yield one


def edit(company: Company, old: str, new: str) -> None:
    """Another config."""
    path = company.folder / "onefold.yaml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_a_tenant_that_is_only_observed_again_removes_nobody(company: Company):
    """live -> observe: nothing is written any more, nobody loses anything."""
    before = company.holds()
    edit(company, "kind: files\n    mode: live\n    may: [create", "kind: files\n    mode: observe\n    may: [create")
    company.people = company.people[3:]
    company.change("c005", active=False)
    company.table(
        "corp.csv",
        ["id", "user_name", "email", "display_name", "active"],
        [[e.id, e.name, e.email, e.name.title(), "yes" if e.active else "no"] for e in company.people],
    )
    company.run("sync", "--apply")
    assert company.holds() == before


def test_a_retired_tenant_is_held_when_it_first_appears(company: Company):
    """`retired: true` asks to deactivate everybody: all of it waits."""
    before = company.holds()
    edit(
        company,
        "kind: files\n    mode: live\n    may: [create",
        "kind: files\n    retired: true\n    mode: live\n    may: [create",
    )
    code, document, _ = company.run("sync", "--apply")
    assert code == 3
    assert company.holds() == before
    held = document["counts"]["jira"]["held"]
    assert held.get("deactivate_user", 0) == 20
    assert {each["evidence"] for each in document["changes"] if each["verb"] == "deactivate_user"} == {"retired"}


def test_a_group_that_vanished_from_its_tenant_empties_nobody(company: Company):
    """No rule speaks of it any more: its members stay until somebody decides."""
    before = company.holds()
    del company.groups["Jira-Devs"]
    company.write()
    company.run("sync", "--apply")
    assert company.holds()["jira"]["edges"] == before["jira"]["edges"]


def test_out_of_scope_waits_for_somebody(company: Company):
    """A narrower scope would take access from many: held, with its own evidence, until approved."""
    before = company.holds()
    edit(company, "map: {", "scope: \"person.user_name < 'user010'\"\nmap: {")
    code, document, _ = company.run("sync", "--apply")
    assert code == 3
    assert company.holds() == before
    evidence = {each["evidence"] for each in document["changes"] if each["verb"] == "deactivate_user"}
    assert evidence == {"out_of_scope"}
    _, again, _ = company.run("sync", "--apply")
    assert again["counts"]["jira"]["held"]["deactivate_user"] == 10, (
        "a second run must not let go what the first one held"
    )
    company.run("approve", again["digest"])
    company.run("apply", again["digest"])
    assert company.holds()["jira"]["users"]["user015"]["active"] is False
    assert company.holds()["jira"]["users"]["user005"]["active"] is True


def test_absent_from_a_complete_read_passes_only_in_small_numbers(company: Company):
    """Three vanish: they go. Four: all four wait."""
    company.people = company.people[:-3]
    company.write()
    code, _, _ = company.run("sync", "--apply")
    assert code == 0
    assert company.holds()["jira"]["users"]["user019"]["active"] is False
    company.people = company.people[:-4]
    company.write()
    _, document, _ = company.run("sync", "--apply")
    line = next(each for each in document["extracts"] if each["tenant"] == "corp")
    if line["verdict"] == "complete":
        assert document["counts"]["jira"]["held"]["deactivate_user"] == 4
    assert company.holds()["jira"]["users"]["user016"]["active"] is True


def test_who_returns_gets_the_same_user_back(company: Company):
    """Deactivated, then active again in the tenant: reactivated under the same key, memberships kept."""
    from tests.company import keys

    before, edges = keys(company.box.state("jira")), company.holds()["jira"]["edges"]
    company.change("c002", active=False)
    company.write()
    company.run("sync", "--apply")
    company.change("c002", active=True)
    company.write()
    assert company.run("sync", "--apply")[0] == 0
    assert keys(company.box.state("jira")) == before
    assert company.holds()["jira"]["users"]["user002"]["active"] is True
    assert company.holds()["jira"]["edges"] == edges


def test_strangers_and_others_are_never_touched(company: Company):
    """Not a single write speaks of the stranger or of the group that no rule names."""
    for place in range(4):
        company.change(f"c{place:03}", display=f"Other {place}")
    company.change("c006", active=False)
    company.write()
    company.run("sync", "--apply")
    for name in ("jira", "confluence"):
        writes = [line for line in company.box.audit(name)["log"] if line["method"] != "GET"]
        assert writes
        assert not [line for line in writes if "stranger" in line["path"] or "others" in line["path"]]
    assert company.holds()["jira"]["users"]["stranger"]["active"] is True


def test_a_name_that_a_stranger_has_is_asked_about(company: Company):
    """Somebody joins whose login a stranger holds: no second user, no takeover, a question with both names."""
    company.people += [people(21)[20]]
    company.change("c020", name="stranger")
    edit(company, "adopt: {by: [employee_number, verified_email, user_name]}", "adopt: {by: [employee_number]}")
    company.table(
        "corp.csv",
        ["id", "user_name", "email", "display_name", "active"],
        [[e.id, e.name, e.email, e.name.title(), "yes"] for e in company.people],
    )
    before = company.holds()["jira"]["users"]["stranger"]
    _, document, _ = company.run("sync", "--apply")
    told = [each for each in document["holds"] if each["guard"] == "name" and each["target"] == "jira"]
    assert told, document["holds"]
    assert "stranger" in told[0]["reason"]
    assert company.holds()["jira"]["users"]["stranger"] == before


def test_an_administrator_is_never_deactivated(company: Company):
    """Somebody of ours became an administrator in Jira since: the deactivation fails as protected, nothing is sent."""
    company.box.jira.directory.add_group("jira-administrators") if company.box.jira.directory.group(
        "jira-administrators"
    ) is None else None
    user = company.box.jira.directory.user("user007")
    company.box.jira.directory.join("jira-administrators", user.key)
    company.change("c007", active=False)
    company.write()
    code, document, _ = company.run("sync", "--apply")
    assert code == 4, document["apply"]
    assert company.holds()["jira"]["users"]["user007"]["active"] is True
    assert company.holds()["confluence"]["users"]["user007"]["active"] is False
    _, state, _ = company.run("status")
    assert "administrator" in state["quarantine"][0]["error"]


def test_a_rollout_limits_what_is_written(company: Company):
    """Only members of the pilot group are written; everybody else is shown as held, and nobody is asked."""
    edit(company, "map: {", "rollout: {groups: [jira-devs]}\nmap: {")
    company.change("c003", display="Inside")
    company.change("c019", display="Outside")
    company.table(
        "corp.csv",
        ["id", "user_name", "email", "display_name", "active"],
        [[e.id, e.name, e.email, e.display or e.name.title(), "yes"] for e in company.people],
    )
    code, _, _ = company.run("sync", "--apply")
    names = {row["display_name"] for row in company.holds()["jira"]["users"].values()}
    assert "Inside" in names
    assert "Outside" not in names
    assert code == 0
