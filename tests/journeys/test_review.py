"""`onefold review`: a human's word on doubtful pairs, from the list to the plan and back."""

import csv
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from flows.cli import main
from sandbox.serve import Sandbox
from state.control import Control, Decision
from state.snapshot import Snapshot
from tests.company import CONFIG, ROOT, Company, environment, people

THREE = CONFIG.replace("precedence: [corp, hr]", "precedence: [corp, acq, hr]").replace(
    "targets:\n",
    """\
  acq:
    kind: files
    mode: live
    may: [create, update, deactivate, groups, attributes]
    verified_domains: [acq.example]
    accounts: {{glob: acq.csv, min_rows: 1, columns: {{native_id: id, aliases: "string_split(also, ';')"}}}}
targets:
""",
    1,
)
ACQUIRED = [
    ["a1", "ada", "ada@acq.example", "user001@corp.example", "Ada Acquired"],
    ["a2", "ben", "ben@acq.example", "user002@corp.example", "User002"],
    ["a3", "cyd", "cyd@acq.example", "", "Cyd"],
]


@pytest.fixture(scope="module")
def adopted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """Four people at corp, three at acq, all in both targets; two of acq claim an address of corp that is not theirs to verify."""
    with Sandbox({"jira": {}, "confluence": {}}, rate=None) as box:
        one = Company(Path(tmp_path_factory.mktemp("review")) / "acme", box, people(4))
        one.groups = {"Jira-Devs": ["c001", "c002"]}
        one.write(THREE)
        acquired(one, ACQUIRED)
        one.adopt()
        one.run("sync", "--apply")
        yield one


@pytest.fixture
def company(adopted: Company, tmp_path: Path) -> Company:
    """A copy of it of one's own: nothing here writes to targets."""
    shutil.copytree(adopted.folder, tmp_path / "acme")
    return Company(tmp_path / "acme", adopted.box, adopted.people, adopted.groups)


def acquired(company, rows):
    company.table("acq.csv", ["id", "user_name", "email", "also", "display_name"], rows)


def ok(company, *words, code=0):
    found, document, err = company.run(*words)
    assert found == code, (found, document, err)
    return document


def planned(company, *words):
    """A plan, whether anything waits or not."""
    code, document, err = company.run("plan", *words)
    assert code in {0, 3}, err
    return document


def links(company):
    with Snapshot.open(company.folder / ".onefold") as snapshot:
        rows = snapshot.table("links").select("tenant", "native_id", "person_id", "rule", "evidence").rows()
    return {(tenant, native): rest for tenant, native, *rest in rows}


def persons(company):
    return {account: rest[0] for account, rest in links(company).items()}


def item_of(company, native):
    items = ok(company, "review", "list")["items"]
    return next(each["item"] for each in items if native in {each["a"]["native_id"], each["b"]["native_id"]})


def test_list_accept_plan_undo(company: Company):
    """A doubt is listed, accepted, merged by the next plan; undone, both persons are back, ids and all, and so is the plan."""
    before, quiet = links(company), planned(company)
    document = ok(company, "review", "list")
    assert document["open"] == 2
    assert [each["rule"] for each in document["items"]] == ["unverified_address"] * 2
    first = document["items"][0]
    assert (first["a"]["tenant"], first["a"]["native_id"], first["b"]["native_id"]) == ("acq", "a1", "c001")
    assert "user001@corp.example is claimed by acq" in first["reason"]
    assert first["if_accepted"][0].startswith("confluence: user001 stays in line; ada is only deactivated")
    done = ok(company, "review", "accept", first["item"][:8], "--why", "asked her")
    assert done["recorded"][0]["decision"] == "same"
    foreseen = {each["person_id"]: each for each in done["persons"]}
    ends = before["acq", "a1"][0]
    assert foreseen[ends]["ends"]
    assert foreseen[before["corp", "c001"][0]]["gains"][0]["native_id"] == "a1"
    assert links(company) == before  # nothing moves before the next run
    planned(company)
    merged = persons(company)
    assert merged["acq", "a1"] == merged["corp", "c001"] == before["corp", "c001"][0]
    assert ok(company, "explain", "ada@acq.example")["decisions"][0]["why"] == "asked her"
    undone = ok(company, "review", "undo", first["item"][:8], "--why", "two Adas")
    assert {each["person_id"]: each["begins"] for each in undone["persons"]}[ends]
    again = planned(company)
    assert links(company) == before
    assert again["changes"] == quiet["changes"]
    with Snapshot.open(company.folder / ".onefold") as snapshot:
        told = snapshot.table("lineage").filter(reason="a decision was taken back").get_column("person_to").to_list()
    assert told == [ends]
    assert ok(company, "review", "list")["open"] == 2


def test_reject_is_remembered_for_ever(company: Company):
    """A rejected pair is not asked again, not even after every tenant was read anew or a strong key came to join it."""
    item = item_of(company, "a2")
    before = persons(company)
    ok(company, "review", "reject", item, "--why", "another Ben")
    planned(company, "--full")
    assert [each["item"] for each in ok(company, "review", "list")["items"]] == [item_of(company, "a1")]
    header = ["id", "user_name", "email", "also", "display_name", "employee_number"]
    company.table("acq.csv", header, [[*row, {"a2": "c002", "a3": "c003"}.get(row[0], "")] for row in ACQUIRED])
    company.write(
        THREE.replace(
            '{{native_id: id, active: "active', '{{native_id: id, employee_number: id, active: "active'
        ).replace("    kind: files\n", "    kind: files\n    employee_number_issuer: acme\n")
    )
    planned(company, "--full")
    assert persons(company)["acq", "a3"] == persons(company)["corp", "c003"]
    assert persons(company)["acq", "a2"] == before["acq", "a2"]
    decided = ok(company, "review", "list", "--decided")["decisions"]
    assert [(each["item"], each["decision"], each["why"]) for each in decided] == [(item, "different", "another Ben")]
    assert decided[0]["decided_by"]


def test_decisions_outlive_a_lost_state(company: Company):
    """The state's file is lost, the control store is not: read anew, the accepted pair is one person and the other is not."""
    ok(company, "review", "accept", item_of(company, "a1"), "--why", "x")
    planned(company)
    for path in (company.folder / ".onefold").glob("state.duckdb*"):
        path.unlink()
    company.run("plan", "--full")
    found = persons(company)
    assert found["acq", "a1"] == found["corp", "c001"]
    assert found["acq", "a2"] != found["corp", "c002"]
    assert ok(company, "review", "list", "--decided")["decisions"][0]["why"] == "x"


def test_pin_and_split(company: Company):
    """Any two accounts become one person; split parts one account again and keeps the others together."""
    before = links(company)
    done = ok(company, "review", "pin", "acq:CYD", "corp/c003", "--why", "told by HR")
    assert done["recorded"][0] | {"item": ""} == {
        "item": "",
        "tenant_a": "acq",
        "native_id_a": "a3",
        "tenant_b": "corp",
        "native_id_b": "c003",
        "decision": "same",
        "why": "told by HR",
        "decided_by": done["recorded"][0]["decided_by"],
    }
    ok(company, "review", "pin", "acq/a2", "acq/a3", "--why", "one more")
    planned(company)
    found = persons(company)
    assert found["acq", "a3"] == found["corp", "c003"] == found["acq", "a2"]
    parted = ok(company, "review", "split", "user003", "--account", "corp/c003", "--why", "no")
    assert {(each["native_id_a"], each["native_id_b"], each["decision"]) for each in parted["recorded"]} == {
        ("a2", "c003", "different"),
        ("a3", "c003", "different"),
    }
    planned(company)
    found = persons(company)
    assert found["acq", "a3"] == found["acq", "a2"] != found["corp", "c003"]
    decided = ok(company, "review", "list", "--decided")["decisions"]
    ok(company, "review", "undo", *(each["item"] for each in decided), "--why", "all of it")
    planned(company)
    assert links(company) == before


def test_accept_whole_speaks_of_all_accounts_of_both(company: Company):
    """A word on one pair leaves a veto between the rest of the two persons standing; `--whole` waives it, and is undone whole."""
    ok(company, "review", "pin", "acq/a1", "corp/c003", "--why", "told by HR")
    planned(company)
    item = item_of(company, "c001")
    ok(company, "review", "accept", item[:8], "--why", "one pair")
    planned(company)
    found = persons(company)
    assert found["corp", "c001"] != found["corp", "c003"]  # two enabled accounts of one tenant
    ok(company, "review", "undo", item[:8], "--why", "say more")
    planned(company)
    done = ok(company, "review", "accept", item[:8], "--whole", "--why", "she has two accounts there")
    assert {(each["native_id_a"], each["native_id_b"]) for each in done["recorded"]} == {
        ("a1", "c001"),
        ("c001", "c003"),
    }
    planned(company)
    found = persons(company)
    assert found["acq", "a1"] == found["corp", "c001"] == found["corp", "c003"]
    ok(company, "review", "undo", *(each["item"] for each in done["recorded"]), "--why", "no")
    planned(company)
    assert persons(company)["corp", "c001"] != persons(company)["corp", "c003"]


def test_split_says_which_accounts_there_are(company: Company):
    """An account of somebody else, all accounts of a person, and an unknown one are usage errors that name what is there."""
    for words, text in (
        (["--account", "corp/c001"], "Theirs: corp/c002"),
        (["--account", "corp/c002"], "nobody would be left"),
        (["--account", "corp/none"], "corp has no account of that id"),
        (["--account", "nowhere"], "tenants are acq, corp, hr"),
    ):
        document = ok(company, "review", "split", "user002", *words, "--why", "x", code=2)
        assert text in str(document), document


def test_preview_records_nothing(company: Company):
    """With --preview the consequences are told and nobody has said anything; --no-preview records and foresees nothing."""
    item = item_of(company, "a1")
    told = ok(company, "review", "accept", item, "--why", "x", "--preview")
    assert told["recorded"] == []
    assert told["would_record"][0]["item"] == item
    assert len(told["persons"]) == 2
    assert ok(company, "review", "list", "--decided")["decisions"] == []
    done = ok(company, "review", "accept", item, "--why", "x", "--no-preview")
    assert done["persons"] is None
    assert len(done["recorded"]) == 1
    again = ok(company, "review", "accept", item, "--why", "again")
    assert (again["recorded"], len(again["unchanged"])) == ([], 1)


def test_what_others_said_meanwhile_is_not_told_as_mine(company: Company):
    """Two decisions before the next run: each tells its own consequences alone; taken back before a run, nothing happens."""
    mine, other = item_of(company, "a1"), item_of(company, "a2")
    first = ok(company, "review", "accept", mine, "--why", "x")
    second = ok(company, "review", "accept", other, "--why", "y")
    ids = [{each["person_id"] for each in done["persons"]} for done in (first, second)]
    assert [len(each) for each in ids] == [2, 2]
    assert not ids[0] & ids[1]
    assert [each["ends"] for each in first["persons"]] == [True, False]
    back = ok(company, "review", "undo", mine, "--why", "z")
    assert {each["person_id"] for each in back["persons"]} == ids[0]
    before = persons(company)
    planned(company)
    after = persons(company)
    assert after["acq", "a1"] == before["acq", "a1"]
    assert after["acq", "a2"] == after["corp", "c002"]


def test_contradictions_are_refused_and_listed(company: Company):
    """A same B, B same C, then A different C: refused with the decisions named. One that got in another way is listed, parted, undone."""
    ok(company, "review", "pin", "acq/a1", "corp/c001", "--why", "x")
    ok(company, "review", "pin", "corp/c001", "acq/a3", "--why", "y")
    ok(company, "review", "pin", "acq/a2", "corp/c002", "--why", "z")
    rival = ok(company, "review", "pin", "acq/a1", "acq/a3", "--why", "x", "--preview")["would_record"][0]["item"]
    company.table(
        "bad.csv",
        ["tenant_a", "native_id_a", "tenant_b", "native_id_b", "decision"],
        [["acq", "a1", "acq", "a3", "reject"]],
    )
    document = ok(company, "review", "import", str(company.folder / "bad.csv"), code=2)
    assert "acq a1 and corp c001 are same" in document["problem"]
    assert "acq a3 and corp c001 are same" in document["problem"]
    with Control.open(company.folder / ".onefold") as control:
        control.decide(
            [Decision("acq", "a1", "acq", "a3", "different", "elsewhere", why="said on another host")],
            control.words()[-1].decided_at,
        )
    planned(company)
    document = ok(company, "review", "list")
    assert document["contradictions"][0]["different"]["item"] == rival
    assert "are different (item" in document["contradictions"][0]["problem"]
    assert len(document["not_honoured"]) == 1
    assert "decided to be different people" in document["not_honoured"][0]["reason"]
    found = persons(company)
    assert found["acq", "a1"] != found["acq", "a3"]
    code, document, err = company.run("review", "accept", rival, "--why", "x")
    assert (code, len(document["recorded"])) == (0, 1), err  # turning the word round ends it
    code, document, err = company.run("review", "reject", rival, "--why", "x")
    assert code == 5
    assert "contradict each other" in err
    assert "onefold review undo" in err


def test_export_and_import_come_back(company: Company):
    """The open items as CSV by the contract; filled in and imported they are decisions; exported as YAML and CSV and
    imported again nothing is added, and into an empty installation they come back with who and when."""
    out = company.folder / "open.csv"
    assert ok(company, "review", "export", str(out))["rows"] == 2
    with out.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["tenant_a", "native_id_a", "tenant_b", "native_id_b", "score", "reason"]
    assert rows[1][:4] == ["acq", "a1", "corp", "c001"]
    company.table(
        "back.csv", [*rows[0], "decision", "why", "who"], [[*rows[1], "accept", "asked", "mia"], [*rows[2], "", "", ""]]
    )
    done = ok(company, "review", "import", str(company.folder / "back.csv"))
    assert (len(done["recorded"]), done["undecided"], done["waiting"]) == (1, 1, [])
    assert done["recorded"][0]["decided_by"] == "mia"
    assert ok(company, "review", "import", str(company.folder / "back.csv"))["recorded"] == []
    kept = [company.folder / "kept.yaml", company.folder / "kept.csv"]
    for path in kept:
        ok(company, "review", "export", str(path), "--decisions")
        assert ok(company, "review", "import", str(path))["recorded"] == []
    assert yaml.safe_load(kept[0].read_text())["decisions"][0]["why"] == "asked"
    words = ok(company, "review", "list", "--decided")["decisions"]
    for path in kept:
        for lost in (company.folder / ".onefold").glob("[cs]*.*"):
            if lost.is_file():
                lost.unlink()
        for lost in (company.folder / ".onefold" / "snapshots").iterdir():
            lost.unlink()
        done = ok(company, "review", "import", str(path))
        assert len(done["waiting"]) == 1
        company.run("plan", "--full")
        found = persons(company)
        assert found["acq", "a1"] == found["corp", "c001"]
        told = ok(company, "review", "list", "--decided")["decisions"]
        assert [(each["decided_by"], each["decided_at"], each["why"]) for each in told] == [
            (each["decided_by"], each["decided_at"], each["why"]) for each in words
        ]


def test_a_bad_import_is_refused_whole(company: Company):
    """Every bad row is named with its line, all at once, exit 2, and the good rows are not taken either."""
    header = ["tenant_a", "native_id_a", "tenant_b", "native_id_b", "decision", "why"]
    rows = [
        ["corp", "c000", "acq", "a1", "accept", "good"],
        ["corp", "c000", "nowhere", "a1", "accept", ""],
        ["corp", "", "acq", "a1", "accept", ""],
        ["corp", "c001", "acq", "a1", "perhaps", ""],
        ["corp", "c001", "corp", "c001", "same", ""],
        ["acq", "a1", "corp", "c000", "reject", ""],
    ]
    company.table("bad.csv", header, rows)
    document = ok(company, "review", "import", str(company.folder / "bad.csv"), code=2)
    assert [each["line"] for each in document["problems"]] == [3, 4, 5, 6, 7]
    assert "Known: acq, corp, hr" in document["problems"][0]["remedy"]
    assert "line 2 says same" in document["problems"][4]["problem"]
    assert ok(company, "review", "list", "--decided")["decisions"] == []
    (company.folder / "bad.yaml").write_text(
        "decisions:\n- {tenant_a: corp, native_id_a: 007, tenant_b: acq, native_id_b: a1, decision: same}\n"
    )
    document = ok(company, "review", "import", str(company.folder / "bad.yaml"), code=2)
    assert (document["problems"][0]["line"], document["problems"][0]["remedy"]) == (
        2,
        "Put it in quotes: an id is text",
    )
    for name, text in (
        ("x.txt", ""),
        ("none.csv", None),
        ("empty.csv", ""),
        ("odd.yaml", "decisions: 1"),
        ("cut.csv", 'tenant_a,native_id_a,tenant_b,native_id_b,decision\n"a'),
    ):
        if text is not None:
            (company.folder / name).write_text(text)
        ok(company, "review", "import", str(company.folder / name), code=2)


def test_a_word_waits_for_its_account(company: Company):
    """A decision on an account that nobody read yet is kept and reported; it counts as soon as the account comes."""
    company.table(
        "early.csv",
        ["tenant_a", "native_id_a", "tenant_b", "native_id_b", "decision"],
        [["corp", "c000", "acq", "a9", "same"]],
    )
    done = ok(company, "review", "import", str(company.folder / "early.csv"))
    assert done["waiting"][0]["native_id_a"] == "a9"
    assert ok(company, "review", "show", done["waiting"][0]["item"])["waiting"]
    planned(company)
    assert len(ok(company, "review", "list")["waiting"]) == 1
    acquired(company, [*ACQUIRED, ["a9", "late", "late@acq.example", "", "Late"]])
    planned(company)
    assert persons(company)["acq", "a9"] == persons(company)["corp", "c000"]
    assert ok(company, "review", "list")["waiting"] == []


def test_show_tells_all_of_one_item(company: Company):
    """Both accounts attribute by attribute, both persons with accounts and users, the words said so far."""
    item = item_of(company, "a2")
    document = ok(company, "review", "show", item[:6])
    assert document["item"] == item
    agrees = {each["name"]: each["agrees"] for each in document["attributes"]}
    assert agrees["display_name"] is True
    assert agrees["email"] is False
    assert agrees["aliases"] is None
    assert [len(each["accounts"]) for each in document["persons"]] == [1, 1]
    assert {each["target"] for each in document["persons"][0]["users"]} == {"jira", "confluence"}
    ok(company, "review", "accept", item, "--why", "one")
    assert [each["decision"] for each in ok(company, "review", "show", item)["decisions"]] == ["same"]
    planned(company)
    after = ok(company, "review", "show", item)
    assert len(after["persons"]) == 1
    assert after["if_accepted"] == ["they are one person already"]


def test_filters_and_unknown_items(company: Company):
    """By tenant, rule, score and number; an id of nothing, and one too short, are usage errors."""
    assert ok(company, "review", "list", "--tenant", "hr")["items"] == []
    assert (
        len(
            ok(company, "review", "list", "--tenant", "acq", "--rule", "unverified_address", "--min-score", "0.5")[
                "items"
            ]
        )
        == 2
    )
    assert ok(company, "review", "list", "--min-score", "0.6")["items"] == []
    short = ok(company, "review", "list", "--limit", "1")
    assert (len(short["items"]), short["open"]) == (1, 2)
    ok(company, "review", "show", "ffff0000", code=2)
    ok(company, "review", "show", short["items"][0]["item"][:3], code=2)
    ok(company, "review", "undo", short["items"][0]["item"], "--why", "x", code=5)
    ok(company, "review", "accept", short["items"][0]["item"], "--why", " ", code=2)
    ok(company, "review", "accept", short["items"][0]["item"], code=2)


def test_a_snapshot_of_an_older_program_is_one_sentence(company: Company):
    """Before the first plan of this program there are no doubts to read: refused with the remedy, not a traceback."""
    import duckdb

    with duckdb.connect(str(company.folder / ".onefold" / "snapshots" / "latest.duckdb")) as con:
        con.execute("DROP VIEW doubts")
    assert "Run `onefold plan` once" in str(ok(company, "review", "list", code=5))


def test_what_is_said_on_a_terminal(company: Company, capsys):
    """Recorded words, persons that end and change, whose user stays in line, contradictions, files: all in words."""
    item = item_of(company, "a1")

    def said(*words):
        with environment(company.environment):
            code = main(["review", *words])
        return code, capsys.readouterr().out

    code, text = said("accept", item, "--why", "asked")
    assert code == 0
    assert f"Recorded {item[:8]}: acq/a1 and corp/c001 are same" in text
    assert "ENDS" in text
    assert "gains acq/a1 ada, from" in text
    assert "stays in line" in text
    assert text.endswith("Next: onefold plan\n")
    assert "1 say what stands already" in said("accept", item, "--why", "asked")[1]
    said("pin", "acq/a1", "acq/a3", "--why", "y")
    planned(company)
    company.table(
        "no.csv",
        ["tenant_a", "native_id_a", "tenant_b", "native_id_b", "decision"],
        [["corp", "x", "acq", "a3", "same"]],
    )
    assert "Waits until its account is read" in said("import", str(company.folder / "no.csv"))[1]
    text = said("list", "--decided")[1]
    assert "same, waits" in text
    assert "asked" in text
    waiting = next(line.split()[0] for line in text.splitlines() if "waits" in line)
    assert "one of them was never read" in said("show", waiting)[1]
    assert "DECIDED same by" in said("show", item)[1]
    with Control.open(company.folder / ".onefold") as control:
        at = control.words()[-1].decided_at
        control.decide([Decision("corp", "c001", "acq", "a3", "different", "elsewhere")], at)
    planned(company)
    text = said("list")[1]
    assert "CONTRADICTION  acq a3 and corp c001 are different" in text
    assert "NOT HONOURED" in text
    assert "1 open, 1 shown, 4 decided" in text
    assert "1 decisions wait" in text


def test_reading_is_quick_readable_and_never_loads_prefect(company: Company):
    """On a terminal `list` and `show` print words; neither loads Prefect nor the matcher; before the first run one sentence."""
    item = item_of(company, "a1")
    for words, parts in (
        (["list"], ["if accepted:", "acq/a1", "2 open, 2 shown, 0 decided"]),
        (["show", item], ["ITEM", "attribute", "PERSON", "IF ACCEPTED"]),
        (["list", "--decided"], ["Nothing is decided."]),
    ):
        script = (
            f"import sys; from flows.cli import main; code = main({['review', *words]!r});"
            "assert not {'prefect', 'scipy'} & set(sys.modules); sys.exit(code)"
        )
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=ROOT,
            env={**os.environ, **company.environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert time.perf_counter() - began < 5  # a machine under load: the figure is in docs/review.md
        for part in parts:
            assert part in done.stdout


def test_what_an_accepted_pair_wrote_is_taken_back_when_it_is_undone(company: Company):
    """Merged and applied, a user gets the other's values and groups; undone and applied, both targets hold what they held."""
    before = company.holds()
    item = item_of(company, "a1")
    ok(company, "review", "accept", item, "--why", "same")
    company.run("sync", "--apply")
    assert company.holds() != before
    ok(company, "review", "undo", item, "--why", "not the same")
    company.run("sync", "--apply")
    assert company.holds() == before


def test_explain_shows_what_keeps_accounts_apart(company: Company):
    """Edges that join nobody stand in `explain` from both sides, with the other account, its person, the rule and the reason."""
    mine = ok(company, "explain", "c001")
    (doubt,) = mine["doubts"]
    assert (doubt["tenant"], doubt["native_id"]) == ("corp", "c001")
    assert (doubt["other_tenant"], doubt["other_native_id"]) == ("acq", "a1")
    assert "not verified" in doubt["reason"]
    theirs = ok(company, "explain", "a1")
    assert doubt["other_person"] == theirs["person_id"] != mine["person_id"]
    assert [each["other_native_id"] for each in theirs["doubts"]] == ["c001"]
    assert ok(company, "explain", "c000")["doubts"] == []
