"""`onefold plan --config OTHER --diff`: how persons and plan would differ on the same extracts, and that nothing is touched by asking."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.cli import main
from sandbox.serve import Sandbox
from state.store import Store
from tasks.installation import utc_now
from tests.company import CONFIG, Company, environment, people

NUMBERED = (
    CONFIG.replace(
        "columns: {{native_id: id, employee_number: id}}", "columns: {{native_id: id, employee_number: emp}}"
    )
    .replace("columns: {{native_id: id, active", "columns: {{native_id: id, employee_number: id, active")
    .replace("    kind: files\n", "    kind: files\n    employee_number_issuer: acme\n")
)


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """Ten people in line. HR knows c001 by number and gives a title; h2 is in HR alone."""
    with Sandbox({"jira": {}, "confluence": {}}, rate=None) as box:
        one = Company(tmp_path_factory.mktemp("preview") / "acme", box, people(10))
        one.groups = {"Jira-Devs": [f"c{place:03}" for place in range(6)], "Wiki-Eds": ["c001", "c002"]}
        one.write(NUMBERED)
        one.table(
            "hr.csv",
            ["id", "emp", "title", "display_name"],
            [["h1", "c001", "Doctor", "Hr Name"], ["h2", "n2", "Nurse", "Hanna"]],
        )
        one.adopt()
        assert one.run("sync", "--apply")[0] in {0, 3}
        one.box.reset_audit()
        yield one


def preview(company: Company, text: str) -> dict[str, Any]:
    """The document of the comparison with another config in the same folder."""
    other = company.folder / "other.yaml"
    other.write_text(text.format(jira=company.box.jira.url, confluence=company.box.confluence.url), encoding="utf-8")
    code, document, err = company.run("plan", "--config", str(other), "--diff")
    assert code == 0, err
    return document


def prints(folder: Path) -> dict[str, str]:
    """Digests of every file of the state folder that is not SQLite's shared memory."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(("-shm", "-wal"))
    }


def test_the_same_config_differs_in_nothing(company: Company):
    """A copy of the live config: no line, no person, no change."""
    document = preview(company, NUMBERED)
    assert document["config"] == []
    assert document["persons"]["before"] == document["persons"]["after"] > 0
    assert not any(document["persons"][kind] for kind in ("merge", "split", "appear", "vanish"))
    assert document["attributes"] == {}
    assert document["status"] == {"lose": [], "gain": []}
    assert document["plan"]["only_other"] == document["plan"]["only_live"] == []
    assert not any(each["lose"] or each["gain"] for each in document["access"].values())


def test_nothing_is_touched_not_even_the_lease(company: Company):
    """While another run holds the state: no request to a target, and every file of the state is byte for byte as it was."""
    company.box.reset_audit()
    with Store.open(company.folder / ".onefold", purpose="a long sync", now=utc_now):
        before = prints(company.folder / ".onefold")
        document = preview(company, NUMBERED.replace("split_part(person.email, '@', 1)", "person.email"))
        assert prints(company.folder / ".onefold") == before
    assert document["user_names"]["jira"]["count"] > 0
    assert all(not company.box.audit(name)["log"] for name in ("jira", "confluence"))


def test_persons_that_would_merge(company: Company):
    """The other way round: by a second issuer's numbers h2 and c003 would be one; told with the edge."""
    company.table(
        "hr.csv",
        ["id", "emp", "badge", "title", "display_name"],
        [["h1", "c001", "", "Doctor", "Hr Name"], ["h2", "n2", "c003", "Nurse", "Hanna"]],
    )
    company.run("plan")
    document = preview(company, NUMBERED.replace("employee_number: emp", "employee_number: 'coalesce(badge, emp)'"))
    assert (
        document["persons"]["merge"] == []
    )  # columns are read anew only by an extract: the same extracts are compared
    company.table(
        "hr.csv",
        ["id", "emp", "title", "display_name"],
        [["h1", "c001", "Doctor", "Hr Name"], ["h2", "c003", "Nurse", "Hanna"]],
    )
    apart = NUMBERED + "match: {{keys: [verified_email]}}\n"
    company.write(apart)
    company.table(
        "hr.csv",
        ["id", "emp", "title", "display_name"],
        [["h1", "c001", "Doctor", "Hr Name"], ["h2", "c003", "Nurse", "Hanna"]],
    )
    company.run("plan")
    document = preview(company, NUMBERED)
    merge = next(each for each in document["persons"]["merge"] if each["name"] == "User003")
    assert {each["name"] for each in merge["parts"]} == {"User003", "Hanna"}
    assert any(each["rule"] == "employee_number" for each in merge["edges"])
    company.write(NUMBERED)
    company.table(
        "hr.csv",
        ["id", "emp", "title", "display_name"],
        [["h1", "c001", "Doctor", "Hr Name"], ["h2", "n2", "Nurse", "Hanna"]],
    )
    company.run("plan")


def test_everyone_who_would_lose_access_is_named(company: Company, capsys: pytest.CaptureFixture[str]):
    """A scope that leaves out two: both are named in both targets with the reason, the held deactivations stand in the matrix after, the line of the config is told."""
    scoped = NUMBERED + "scope: \"person.user_name not in ('user004', 'user005')\"\n"
    document = preview(company, scoped)
    for target in ("jira", "confluence"):
        assert [each["name"] for each in document["access"][target]["lose"]] == ["User004", "User005"]
        assert {each["reason"] for each in document["access"][target]["lose"]} == {"out of scope"}
        assert document["plan"]["after"]["counts"][target]["held"]["deactivate_user"] == 2
        assert document["plan"]["before"]["counts"].get(target, {}).get("held", {}).get("deactivate_user", 0) == 0
    (line,) = document["config"]
    assert (line["path"], line["before"], line["line_before"]) == ("scope", None, None)
    assert line["line_after"] == scoped.count("\n")
    devs = next(each for each in document["groups"]["jira"] if each["group"] == "jira-devs")
    assert (devs["members_before"], devs["members_after"], devs["joins"], devs["leaves"]) == (6, 4, 0, 2)
    assert {(each["verb"], each["object"]) for each in document["plan"]["only_other"]} == {
        ("deactivate_user", "user004"),
        ("deactivate_user", "user005"),
    }
    assert any(each["guard"] == "limit" for each in document["plan"]["after"]["holds"])
    with environment(company.environment):
        assert main(["plan", "--config", str(company.folder / "other.yaml"), "--diff"]) == 0
    out = capsys.readouterr().out
    for words in (
        "JIRA  2 would LOSE ACCESS (in full)",
        "User004 (",
        "jira held: deactivate_user 0 -> 2",
        "jira-devs  6 -> 4 (+0 -2)",
    ):
        assert words in out, out


def test_status_and_attributes(company: Company):
    """Another precedence for the display name: counted and shown; a tenant that is retired: everyone of it named."""
    document = preview(company, NUMBERED + "attributes: {{display_name: {{prefer: [hr]}}}}\n")
    assert document["attributes"]["display_name"]["count"] == 1
    assert document["attributes"]["display_name"]["first"][0]["before"] == "User001"
    assert document["attributes"]["display_name"]["first"][0]["after"] == "Hr Name"
    document = preview(company, NUMBERED.replace("  corp:\n", "  corp:\n    retired: true\n"))
    assert len(document["status"]["lose"]) == 9 + 1
    assert all("retired" in each["reason"] for each in document["status"]["lose"])


def test_sides_that_only_one_config_has_are_named(company: Company):
    """A new tenant that was never read, a target that is gone, groups by another rule."""
    more = (
        NUMBERED.replace(
            "targets:\n",
            "  plant: {{kind: files, mode: live, accounts: {{glob: plant.csv}}}}\ntargets:\n",
            1,
        )
        .replace("  confluence: {{kind: confluence_dc", "  wiki: {{kind: confluence_dc")
        .replace("targets: [confluence]", "targets: [wiki]")
        .replace(
            'to: "lower(group_name)", members: exact, targets: [jira]',
            'to: "upper(group_name)", members: exact, targets: [jira]',
        )
    )
    document = preview(company, more)
    assert document["tenants"] == {"only_live": [], "only_other": ["plant"], "never_read": ["plant"]}
    assert document["targets"] == {"only_live": ["confluence"], "only_other": ["wiki"]}
    assert list(document["access"]) == ["jira"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("directory: [", "is not YAML"),
        (NUMBERED.replace("precedence", "presedence"), "presedence"),
        (NUMBERED[: NUMBERED.index("  hr:")] + NUMBERED[NUMBERED.index("targets:") :].replace(", hr]", "]"), "hr"),
    ],
    ids=["no yaml", "unknown setting", "a tenant vanished"],
)
def test_a_bad_other_config_is_an_error(company: Company, text: str, words: str):
    """Exit 2 with path and remedy, as a run with it would end."""
    other = company.folder / "bad.yaml"
    other.write_text(
        text.format(jira="http://127.0.0.1:9", confluence="http://127.0.0.1:9") if "{{" in text else text,
        encoding="utf-8",
    )
    code, _, err = company.run("plan", "--config", str(other), "--diff")
    assert code == 2
    assert words in err


def test_usage(company: Company):
    """--diff without another config, with the live one, or with options of a real plan: exit 2."""
    live = str(company.folder / "onefold.yaml")
    other = company.folder / "other.yaml"
    other.write_text("directory: acme\n", encoding="utf-8")
    assert company.run("plan", "--diff")[0] == 2
    assert company.run("plan", "--diff", "--config", live)[0] == 2
    assert company.run("plan", "--diff", "--config", str(other), "--full")[0] == 2
    assert company.run("plan", "--diff", "--config", str(company.folder / "missing.yaml"))[0] == 2


def test_persons_that_would_split(company: Company, capsys: pytest.CaptureFixture[str]):
    """One issuer for both numbers is a veto: who was joined by an immutable id is told as several, with the edge, also on a terminal; keys that vanish split nobody, and who is then held by a former link alone is told."""
    apart = (
        NUMBERED.replace("  hr:\n    kind: files\n    employee_number_issuer: acme\n", "  hr:\n    kind: files\n")
        .replace("native_id: id, employee_number: id", "native_id: id, immutable_id: id, employee_number: id")
        .replace("native_id: id, employee_number: emp", "native_id: id, immutable_id: oid, employee_number: emp")
    )
    company.write(apart)
    company.table("hr.csv", ["id", "emp", "oid", "display_name"], [["h3", "n6", "c006", "Hr Six"]])
    company.run("plan")
    one_issuer = apart.replace("  hr:\n    kind: files\n", "  hr:\n    kind: files\n    employee_number_issuer: acme\n")
    document = preview(company, one_issuer)
    assert [each["path"] for each in document["config"]] == ["tenants.hr.employee_number_issuer"]
    (split,) = document["persons"]["split"]
    assert split["name"] == "User006"
    assert {each["name"] for each in split["parts"]} == {"User006", "Hr Six"}
    edge = next(each for each in split["edges"] if each["tenant"] == "hr")
    assert (edge["native_id"], edge["rule"], edge["evidence"]) == ("h3", "immutable_id", "immutable id 63303036")
    assert document["persons"]["after"] == document["persons"]["before"] + 1
    with environment(company.environment):
        assert main(["plan", "--config", str(company.folder / "other.yaml"), "--diff"]) == 0
    out = capsys.readouterr().out
    for words in (
        "CONFIG  settings that differ: 1",
        "tenants.hr.employee_number_issuer",
        "would be several: User006 -> ",
        "hr h3: immutable_id immutable id 63303036",
    ):
        assert words in out, out
    document = preview(company, apart + "match: {{keys: [employee_number]}}\n")
    assert document["persons"]["split"] == []
    assert [(each["tenant"], each["native_id"], each["rule"]) for each in document["persons"]["kept"]["first"]] == [
        ("hr", "h3", "immutable_id")
    ]
