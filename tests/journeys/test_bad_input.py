"""Bad input: one clear error or hold that names tenant, object, field and remedy; the rest goes on; nobody is removed; the exit code tells."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox.serve import Sandbox
from tests.company import CONFIG, Company, people, seed


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    """20 people, adopted and in line; from here something goes wrong."""
    with Sandbox({"jira": seed(["user001"], ["others"]), "confluence": seed(["user001"])}, rate=None) as box:
        one = Company(tmp_path / "acme", box, people(20))
        one.groups = {"Jira-Devs": [f"c{place:03}" for place in range(12)], "Wiki-Eds": ["c001"]}
        one.write()
        one.adopt()
        one.run("sync", "--apply")
        box.reset_audit()
        yield one


def edit(company: Company, old: str, new: str) -> None:
    """Another config."""
    path = company.folder / "onefold.yaml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def losses(company: Company) -> list[str]:
    """Calls that took something away from somebody."""
    lines = [line for name in ("jira", "confluence") for line in company.box.audit(name)["log"]]
    return [
        f"{line['method']} {line['path']}"
        for line in lines
        if line["method"] == "DELETE" or line["path"].endswith("/disable")
    ]


CONFIG_FAULTS: dict[str, tuple[tuple[str, str], tuple[str, ...]]] = {
    "unknown key": (("may: [attributes]", "may: [attributes]\n    mood: good"), ("tenants.hr.mood", "mood")),
    "wrong type": (
        ("min_rows: 1, columns: {native_id: id, active", "min_rows: many, columns: {native_id: id, active"),
        ("tenants.corp.accounts.min_rows",),
    ),
    "a tenant that is gone": (("precedence: [corp, hr]", "precedence: [corp]"), ("hr",)),
}


@pytest.mark.parametrize("fault", sorted(CONFIG_FAULTS))
def test_config_faults_stop_everything_with_path_and_remedy(company: Company, fault: str):
    """Exit 2, every problem with its path and remedy; nothing is read or written."""
    (old, new), words = CONFIG_FAULTS[fault]
    edit(company, old, new)
    if fault == "a tenant that is gone":
        text = (company.folder / "onefold.yaml").read_text(encoding="utf-8")
        start, end = text.index("  hr:\n"), text.index("targets:\n")
        (company.folder / "onefold.yaml").write_text(text[:start] + text[end:], encoding="utf-8")
    code, document, err = company.run("sync", "--apply")
    assert code == 2, (document, err)
    assert all(word in err for word in words), err
    assert document["problems"]
    assert all(each["remedy"] for each in document["problems"])
    assert not losses(company)


def stale(company: Company) -> None:
    """Yesterday's export, and the day before's."""
    old = time.time() - 48 * 3600
    os.utime(company.folder / "hr.csv", (old, old))


def half(company: Company) -> None:
    """Half of the people are missing from the export."""
    company.people = company.people[:10]
    company.write()


def keyless(company: Company) -> None:
    """The column that the ids come from has another name."""
    text = (company.folder / "corp.csv").read_text(encoding="utf-8")
    (company.folder / "corp.csv").write_text(text.replace("id,user_name", "ident,user_name", 1), encoding="utf-8")


def nameless(company: Company) -> None:
    """A row without an id."""
    with (company.folder / "corp.csv").open("a", encoding="utf-8") as file:
        file.write(",nobody,nobody@corp.example,Nobody,yes\n")


def twins(company: Company) -> None:
    """Two rows with one id."""
    with (company.folder / "corp.csv").open("a", encoding="utf-8") as file:
        file.write("c001,user001b,other@corp.example,Other,yes\n")


def gone(company: Company) -> None:
    """No file at all."""
    (company.folder / "corp.csv").unlink()


def empty(company: Company) -> None:
    """A file with a header alone."""
    text = (company.folder / "corp.csv").read_text(encoding="utf-8")
    (company.folder / "corp.csv").write_text(text.splitlines()[0] + "\n", encoding="utf-8")


def page(company: Company) -> None:
    """A login page where the export should be."""
    (company.folder / "corp.csv").write_text("<!doctype html><html><title>Sign in</title></html>", encoding="utf-8")


READS: dict[str, tuple[Callable[[Company], None], str, tuple[str, ...]]] = {
    "yesterday's file": (stale, "hr", ("old",)),
    "half the rows": (half, "corp", ("10",)),
    "no key column": (keyless, "corp", ("id",)),
    "a row without an id": (nameless, "corp", ()),
    "two rows with one id": (twins, "corp", ("c001",)),
    "no file": (gone, "corp", ("corp.csv",)),
    "an empty file": (empty, "corp", ()),
    "a web page": (page, "corp", ()),
}


@pytest.mark.parametrize("fault", sorted(READS))
def test_a_bad_read_removes_nobody_and_says_why(company: Company, fault: str):
    """Exit 3; the tenant's line names the reason; nothing is taken from anybody on its word; the next good read goes on."""
    spoil, tenant, words = READS[fault]
    before = company.holds()
    spoil(company)
    code, document, err = company.run("sync", "--apply")
    line = next(each for each in document["extracts"] if each["tenant"] == tenant)
    assert code == 3, (document, err)
    assert line["verdict"] != "complete", line
    said = " ".join(line["reasons"])
    assert said
    assert all(word in said for word in words), said
    assert not losses(company)
    assert company.holds() == before
    company.people = people(20)
    company.write()
    code, document, _ = company.run("sync", "--apply")
    assert code == 0, document["extracts"]
    assert company.holds() == before


def test_the_rest_goes_on(company: Company):
    """While hr cannot be read, a leaver of corp loses access."""
    (company.folder / "hr.csv").unlink()
    company.change("c002", active=False)
    text = company.folder / "hr.csv"
    company.write()
    text.unlink()
    code, document, _ = company.run("sync", "--apply")
    assert code == 3
    assert document["apply"]["failed"] == 0
    assert company.holds()["jira"]["users"]["user002"]["active"] is False


def test_a_group_that_contains_itself_is_told(company: Company):
    """A cycle is a note; its members are the union; nobody is removed."""
    company.groups["Jira-Devs"].append("group:Jira-Ring")
    company.groups["Jira-Ring"] = ["group:Jira-Devs"]
    company.write()
    _, document, _ = company.run("sync", "--apply")
    assert any("cycle" in note for note in document["notes"]), document["notes"]
    assert not losses(company)


def test_a_user_name_that_confluence_refuses(company: Company):
    """The person and the reason are named; Jira gets her, Confluence gets everybody else."""
    edit(company, "split_part(person.email, '@', 1)", "person.display_name")
    company.people += [people(21)[20]]
    company.change("c020", display="Ada Lovelace")
    company.table(
        "corp.csv",
        ["id", "user_name", "email", "display_name", "active"],
        [[each.id, each.name, each.email, each.display or each.name.title(), "yes"] for each in company.people],
    )
    code, document, _ = company.run("sync", "--apply")
    told = [each for each in document["holds"] if each["target"] == "confluence" and "Ada Lovelace" in each["reason"]]
    assert code == 0 or document["holds"], document
    assert told, document["holds"]
    assert "refuses" in told[0]["reason"]
    assert "Ada Lovelace" in company.holds()["jira"]["users"]
    assert not losses(company)


def test_two_groups_that_differ_only_in_case(company: Company):
    """Neither is pushed, both are named, their members stay as they are."""
    company.groups["JIRA-devs"] = ["c019"]
    edit(company, 'name: "Jira-*"', "where: \"lower(group_name) LIKE 'jira-%'\"")
    company.table("groups.csv", ["id", "name"], [[f"g{place}", name] for place, name in enumerate(company.groups)])
    company.table(
        "members.csv",
        ["group_id", "member_id", "member_kind"],
        [[f"g{place}", member, "user"] for place, members in enumerate(company.groups.values()) for member in members],
    )
    before = company.holds()["jira"]["edges"]
    _, document, _ = company.run("sync", "--apply")
    told = [each for each in document["holds"] if each["guard"] == "group_name"]
    assert told, document["holds"]
    assert "JIRA-devs" in told[0]["reason"]
    assert company.holds()["jira"]["edges"] == before


def test_an_expression_that_fails(company: Company):
    """It excludes nobody, and says which, where and how to mend it."""
    edit(company, "map: {", 'scope: "CAST(person.display_name AS INTEGER) > 3"\nmap: {')
    before = company.holds()
    _, document, _ = company.run("sync", "--apply")
    told = [each for each in document["holds"] if each["guard"] == "expression"]
    assert told, document["holds"]
    assert told[0]["line"]
    assert "scope" in told[0]["reason"]
    assert company.holds() == before


def test_a_missing_secret_names_its_reference(company: Company, monkeypatch: pytest.MonkeyPatch):
    """The target whose token is missing is told; nothing else stops."""
    edit(company, "env:COMPANY_JIRA", "env:COMPANY_NOTHING")
    monkeypatch.delenv("COMPANY_NOTHING", raising=False)
    company.change("c003", active=False)
    company.table(
        "corp.csv",
        ["id", "user_name", "email", "display_name", "active"],
        [[e.id, e.name, e.email, e.display or e.name.title(), "yes" if e.active else "no"] for e in company.people],
    )
    code, document, _ = company.run("plan")
    told = [each for each in document["holds"] if each["guard"] == "unreachable"]
    assert code == 3
    assert "COMPANY_NOTHING" in told[0]["reason"]
    assert document["counts"]["confluence"]["ready"] == {"deactivate_user": 1}


def test_a_wrong_token_at_a_target_is_refused(company: Company):
    """Nothing is written, the other target goes on, the exit code says that something did not happen."""
    company.box.jira.tokens.clear()
    company.change("c003", active=False)
    company.write()
    code, document, err = company.run("sync", "--apply")
    assert code in {4, 5}, (document, err)
    assert "jira" in document["apply"]["stopped"], document["apply"]
    assert company.holds()["confluence"]["users"]["user003"]["active"] is False
    assert company.holds()["jira"]["users"]["user003"]["active"] is True


def test_an_unreachable_target_leaves_the_other(company: Company):
    """A target that is down is named; its share waits for the next run."""
    edit(company, company.box.jira.url, "http://127.0.0.1:9/jira")
    company.change("c003", active=False)
    config = CONFIG.replace("{jira}", "http://127.0.0.1:9/jira")
    company.write(config)
    company.box.faults([])
    code, document, err = company.run("sync", "--apply")
    assert code != 0, err
    assert "jira" in document["apply"]["stopped"]
    assert company.holds()["confluence"]["users"]["user003"]["active"] is False
