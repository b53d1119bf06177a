"""Values and status from the tenants' files to the plan: the rule and the run behind each, and people who come back."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from sandbox.serve import Sandbox
from tests.company import CONFIG, Company, people

HEADER = ["id", "user_name", "email", "display_name", "active", "emp", "aliases", "given_name", "family_name", "created_at", "disabled_at"]  # fmt: skip
RULES = """\
attributes:
  title: {{prefer: [hr], only: true}}
  department: {{nulls: skip}}
  display_name: {{fallback: ["trim(concat_ws(' ', person.given_name, person.family_name))"]}}
"""
COLUMNS = "native_id: id, employee_number: emp, aliases: \"string_split(aliases, ';')\", display_name: \"nullif(display_name, '')\""
TEXT = (
    CONFIG.replace("columns: {{native_id: id, employee_number: id}}", "columns: {{" + COLUMNS.rpartition(", display_name")[0] + "}}")
    .replace("columns: {{native_id: id, active", "columns: {{" + COLUMNS.rpartition(", display_name")[0] + ", active")
    .replace("    kind: files\n", "    kind: files\n    employee_number_issuer: acme\n")
    .replace("adopt:", RULES + "adopt:")
)  # fmt: skip


def row(
    key: str, name: str, emp: str, *, active: str = "yes", aliases: str = "", created: str = "", off: str = ""
) -> list[str]:
    return [key, name, f"{name}@corp.example", f"{name} C", active, emp, aliases, "Ada", "Lovelace", created, off]


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    """Two accounts of corp, one of them in HR too, in line with both targets."""
    with Sandbox({"jira": {}, "confluence": {}}, rate=None) as box:
        one = Company(tmp_path / "acme", box, people(2))
        one.write(TEXT)
        one.table("corp.csv", HEADER, [row("c0", "user0", "42", aliases="a@corp.example"), row("c1", "user1", "43")])
        hr = [["h0", "42", "A@corp.example;b@corp.example", "Countess", "Engines"]]
        one.table("hr.csv", ["id", "emp", "aliases", "title", "department"], hr)
        one.adopt()
        one.run("sync", "--apply")
        yield one


def told(company: Company, who: str) -> dict:
    code, document, err = company.run("explain", who)
    assert code == 0, err
    return document


def test_each_value_has_its_rule_and_its_run(company: Company):
    """Preference, union and precedence are told with who gave what, the setting, and the run that made it so."""
    document = told(company, "user0")
    values = {each["name"]: each for each in document["attributes"]}
    assert (values["title"]["value"], values["title"]["rule"], values["title"]["made_by"]) == (
        "Countess", "attributes.title.prefer", "preference",
    )  # fmt: skip
    assert values["aliases"]["value"] == ["a@corp.example", "b@corp.example"]
    assert values["aliases"]["made_by"] == "union"
    assert [each["tenant"] for each in values["aliases"]["also"]] == ["hr"]
    assert values["department"]["value"] == "Engines"
    with duckdb.connect(str(company.folder / ".onefold/snapshots/latest.duckdb"), read_only=True) as con:
        rows = con.execute(
            "SELECT attribute, value, tenant, native_id, rule FROM provenance WHERE person_id = ? "
            "AND attribute IN ('title', 'aliases', 'email', 'active')",
            [document["person_id"]],
        ).fetchall()
    assert rows == [
        ("active", "true", "corp", "c0", "status"),
        ("aliases", "[a@corp.example, b@corp.example]", "corp", "c0", "union"),
        ("email", "user0@corp.example", "corp", "c0", "precedence"),
        ("title", "Countess", "hr", "h0", "preference"),
    ]
    first = values["department"]["since_run"]
    hr = [["h0", "42", "b@corp.example", "Countess", "Ops"]]
    company.table("hr.csv", ["id", "emp", "aliases", "title", "department"], hr)
    company.run("plan")
    values = {each["name"]: each for each in told(company, "user0")["attributes"]}
    assert values["department"]["value"] == "Ops"
    assert values["department"]["since_run"] != first
    assert values["title"]["since_run"] == first


def test_who_comes_back_is_the_same_person(company: Company):
    """The account of c1 is disabled, later another one with the same HR number begins: same person, active, and it is told."""
    before = told(company, "user1")["person_id"]
    gone = row("c1", "user1", "43", active="no", off="2026-01-31 00:00:00")
    company.table("corp.csv", HEADER, [row("c0", "user0", "42"), gone])
    company.run("sync", "--apply")
    assert told(company, "user1")["person"]["active"] is False
    back = row("c9", "user1b", "43", created="2026-03-01 00:00:00")
    company.table("corp.csv", HEADER, [row("c0", "user0", "42"), gone, back])
    _, plan, err = company.run("plan")
    document = told(company, "c9")
    assert document["person_id"] == before, err
    assert document["person"]["active"] is True
    assert document["person"]["status"]["reason"] == (
        "rehired on 2026-03-01 in corp; the account before is over in corp since 2026-01-31"
    )
    verbs = {each["verb"] for each in plan["changes"] if each["person_id"] == before}
    assert "reactivate_user" in verbs
    assert "create_user" not in verbs
