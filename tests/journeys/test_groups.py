"""Groups from the tenants' files to the targets: joins, everybody, renames by id, nesting told; and status that is contested."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from sandbox.serve import Sandbox
from tests.company import CONFIG, Company, people

BASE = CONFIG.replace(
    '  - {{from: {{tenant: corp, name: "Wiki-*"}}, to: "lower(group_name)", members: exact, targets: [confluence]}}\n',
    "",
)
RENAMING = BASE.replace('"Jira-*"', '"*"')
MOVING = RENAMING.replace("members: exact,", "members: exact, rename: move,")


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    """Six people in line with both targets; Jira-Devs holds three and a nested group."""
    with Sandbox({"jira": {}, "confluence": {}}, rate=None) as box:
        one = Company(tmp_path / "acme", box, people(6))
        one.groups = {"Devs": ["c000", "c001", "group:Inner"], "Inner": ["c002"]}
        one.write(RENAMING)
        one.adopt()
        code, _, err = one.run("sync", "--apply")
        assert code == 0, err
        yield one


def rename(company: Company, name: str, config: str) -> None:
    """The tenant calls group g-Devs otherwise from now on; its id and members stay."""
    company.write(config)
    company.table("groups.csv", ["id", "name"], [["g-Devs", name], ["g-Inner", "Inner"]])


def verbs(document: dict) -> list[tuple[str, str]]:
    return sorted((each["verb"], str(each["object"])) for each in document["changes"] if each["target"] == "jira")


def jira(company: Company, name: str) -> list[str]:
    """Members of a group in the stand-in; [] when there is no such group."""
    return [user for group, user in company.holds()["jira"]["edges"] if group == name]


def test_a_renamed_group_is_recognised_and_said(company: Company):
    """No new group, nobody leaves; the plan says that it is the same one; a newcomer still gets into it; explain shows it."""
    rename(company, "Team", RENAMING)
    code, document, err = company.run("plan")
    assert code == 0, err
    assert verbs(document) == []
    (hold,) = [each for each in document["holds"] if each["guard"] == "group_rename"]
    assert hold["reason"].startswith("devs would be called team now, and jira cannot rename groups")
    company.table(
        "members.csv", ["group_id", "member_id", "member_kind"], [["g-Devs", f"c00{n}", "user"] for n in (0, 1, 3)]
    )
    _, document, _ = company.run("plan")
    assert ("add_member", "user003 in devs") in verbs(document)
    told = company.run("explain", "user000")[1]
    shown = next(each for each in told["targets"] if each["target"] == "jira")
    assert [each["group"] for each in shown["desired"]["groups"]] == ["devs"]
    assert ["would be called team now" in each for each in shown["troubles"]] == [True]


def test_a_move_takes_everybody_along(company: Company):
    """`rename: move`: first the new group fills, then, approved, the old one empties; at no time is anybody in neither."""
    rename(company, "Team", MOVING)
    code, document, err = company.run("sync", "--apply")
    assert code in {0, 3}, err
    assert [verb for verb, _ in verbs(document.get("plan", document))].count("remove_member") == 0
    assert jira(company, "team") == jira(company, "devs") == ["user000", "user001", "user002"]
    _, document, _ = company.run("plan")
    leaving = [each for each in document["changes"] if each["verb"] == "remove_member"]
    assert [each["object"] for each in leaving] == [f"user00{n} in devs" for n in range(3)]
    assert {each["reason"] for each in leaving} == {"moved to team"}
    held = {each for change in leaving for each in change["held_by"]}
    company.run("approve", document["digest"], *(word for each in sorted(held) for word in ("--hold", each)))
    company.run("sync", "--apply")
    assert jira(company, "devs") == []
    assert jira(company, "team") == ["user000", "user001", "user002"]
    code, document, _ = company.run("plan")
    assert verbs(document) == []
    assert any("devs" in note and "no rule" in note for note in document["notes"])


def test_everybody_and_nesting_are_in_the_plan(company: Company):
    """Everybody of a tenant lands in one group; the plan says how deep groups are nested and what that makes of them."""
    company.write(RENAMING + "  - {{from: {{tenant: corp, everyone: true}}, to: \"'everybody'\", targets: [jira]}}\n")
    _, document, err = company.run("plan")
    added = [name for verb, name in verbs(document) if verb == "add_member"]
    assert added == [f"user00{n} in everybody" for n in range(6)], err
    (note,) = [each for each in document["notes"] if "hold groups" in each]
    assert (
        note
        == "1 groups hold groups, 2 deep (Devs > Inner): 2 direct memberships become 3 (1.5 times); most: Devs 2 -> 3"
    )
    with duckdb.connect(str(company.folder / ".onefold/snapshots/latest.duckdb"), read_only=True) as con:
        rows = con.execute(
            "SELECT group_name, groups_inside, direct_users, effective_users, in_a_cycle FROM group_nesting"
        ).fetchall()
    assert rows == [("Devs", 1, 2, 3, False)]


def test_who_alone_keeps_somebody_active_is_listed(company: Company):
    """HR says that c000 left, corp still says active: kept by the rule of home, named in the plan, explain and a view."""
    contested = RENAMING.replace(
        "columns: {{native_id: id, employee_number: id}}",
        "columns: {{native_id: id, employee_number: emp, active: \"state <> 'left'\"}}",
    ).replace("columns: {{native_id: id, active", "columns: {{native_id: id, employee_number: id, active")
    contested = contested.replace("    kind: files\n", "    kind: files\n    employee_number_issuer: acme\n")
    company.write(contested)
    company.table("hr.csv", ["id", "emp", "state"], [["h0", "c000", "left"], ["h1", "c001", "here"]])
    code, document, err = company.run("plan")
    assert code in {0, 3}, err
    notes = [each for each in document["notes"] if "kept active only by" in each]
    assert notes == ["1 person is kept active only by corp: user000 (off in hr); see status_conflicts"]
    told = company.run("explain", "user000")[1]
    assert told["person"]["status"]["reason"] == "kept active only by corp; disabled in hr"
    with duckdb.connect(str(company.folder / ".onefold/snapshots/latest.duckdb"), read_only=True) as con:
        rows = con.execute("SELECT user_name, active, kept_only_by, said_otherwise_by FROM status_conflicts").fetchall()
    assert rows == [("user000", True, "corp", "hr")]
