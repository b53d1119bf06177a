"""`onefold explain`: every value of a person leads back to its account, its rule and its run."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.serve import Sandbox
from tests.company import CONFIG, ROOT, Company, people

HR = (
    CONFIG.replace(
        "columns: {{native_id: id, employee_number: id}}", "columns: {{native_id: id, employee_number: emp}}"
    )
    .replace("columns: {{native_id: id, active", "columns: {{native_id: id, employee_number: id, active")
    .replace("    kind: files\n", "    kind: files\n    employee_number_issuer: acme\n")
    .replace("adopt:", "attributes: {{title: {{prefer: [hr]}}}}\nadopt:")
)


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """Six people in line; c001 is in a nested group, in HR too, was renamed, and c003 and HR's Twin share a display name."""
    with Sandbox({"jira": {}, "confluence": {}}, rate=None) as box:
        one = Company(Path(tmp_path_factory.mktemp("explain")) / "acme", box, people(6))
        one.groups = {"Jira-Devs": ["c000", "group:Team"], "Team": ["c001", "c002"]}
        one.change("c003", display="Twin")
        one.change("c004", display="Twin")
        one.write(HR)
        hr = [["h1", "c001", "Doctor", "Hr Name"]]
        one.table("hr.csv", ["id", "emp", "title", "display_name"], hr)
        one.adopt()
        one.run("sync", "--apply")
        one.change("c001", name="married001")
        one.write(HR)
        hr = [["h1", "c001", "Doctor", "Hr Name"]]
        one.table("hr.csv", ["id", "emp", "title", "display_name"], hr)
        one.run("plan")
        yield one


def told(company: Company, who: str, *words: str) -> dict:
    code, document, err = company.run("explain", who, *words)
    assert code == 0, err
    return document


def test_everything_leads_back_to_its_account(company: Company):
    """Both accounts with the edge that joined them, and each attribute's winner and loser with the reason."""
    document = told(company, "married001@corp.example")
    assert {(each["tenant"], each["native_id"]) for each in document["accounts"]} == {("corp", "c001"), ("hr", "h1")}
    joined = next(each for each in document["accounts"] if each["tenant"] == "hr")
    assert joined["rule"] == "employee_number"
    assert joined["evidence"] == "employee number acme/c001"
    told_of = {each["name"]: each for each in document["attributes"]}
    assert told_of["title"]["winner"]["reason"] == "attributes.title prefers hr"
    assert told_of["display_name"]["winner"]["tenant"] == "corp"
    assert told_of["display_name"]["losers"] == [
        {"tenant": "hr", "native_id": "h1", "value": "Hr Name", "reason": "corp ranks higher"}
    ]


def test_groups_path_by_path_and_targets(company: Company):
    """Nested membership with its way; what Jira holds and should hold, with the rule; the rename that waits, with its hold."""
    document = told(company, "c001")
    paths = {each["group"]: each["path"] for each in document["groups"]}
    assert paths == {"Team": ["Team"], "Jira-Devs": ["Team", "Jira-Devs"]}
    jira = next(each for each in document["targets"] if each["target"] == "jira")
    assert jira["existing"]["user_name"] == "user001"
    assert {"group": "jira-devs", "ours": True} in jira["existing"]["groups"]
    assert jira["desired"]["user_name"] == "married001"
    assert [(each["group"], each["rule"]) for each in jira["desired"]["groups"]] == [("jira-devs", "groups.0")]
    rename = next(each for each in document["pending"] if each["verb"] == "rename_user" and each["target"] == "jira")
    assert set(rename["held_by"]) <= {each["id"] for each in document["holds"]}
    assert rename["held_by"]
    done = [each["what"] for each in document["history"]]
    assert done.count("create_user") == 2
    assert "add_member" in done
    assert "person changed" in done


@pytest.mark.parametrize("who", ["married001", "USER001@corp.example", "user001", "h1", "c001"])
def test_one_person_has_many_names(company: Company, who: str):
    """User name, former address in any case, former user name, and each tenant's id mean the same person."""
    assert told(company, who)["person"]["user_name"] == "married001"
    assert told(company, told(company, who)["person_id"])["person"]["user_name"] == "married001"


def test_the_past_is_told_as_it_was(company: Company):
    """At the time of the first sync she had her old name; before everything nobody was known."""
    first = company.run("history")[1]["runs"][-1]
    when = str(first["finished_at"])
    document = told(company, "c001", "--at", when)
    assert document["person"]["user_name"] == "user001"
    assert document["pending"] == []
    assert company.run("explain", "c001", "--at", "2001-01-01")[0] == 5


def test_several_are_listed_and_nobody_is_an_error(company: Company):
    """A display name of two people: both ids and exit 2. Nobody: exit 2 with a remedy."""
    code, document, _ = company.run("explain", "Twin")
    assert code == 2
    assert len(document["problems"]) == 3
    ids = [each["path"] for each in document["problems"][1:]]
    assert {told(company, each)["person"]["user_name"] for each in ids} == {"user003", "user004"}
    code, document, _ = company.run("explain", "no such person")
    assert code == 2
    assert "nobody is called" in str(document)


def test_it_is_readable_and_never_loads_prefect(company: Company):
    """On a terminal each part has its heading; Prefect is not imported."""
    script = (
        "import sys; from flows.cli import main; code = main(['explain', 'c001']);"
        "assert 'prefect' not in sys.modules; assert 'scipy' not in sys.modules; sys.exit(code)"
    )
    import os

    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={**os.environ, **company.environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for heading in ("PERSON", "ACCOUNTS", "ATTRIBUTES", "GROUPS", "TARGET jira", "PENDING", "HISTORY"):
        assert heading in done.stdout
    assert "attributes.title prefers hr" in done.stdout
