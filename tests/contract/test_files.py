import contextlib
import csv
import io
import json
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors.source import SourceContext
from connectors.sources import files as module
from connectors.sources.files import Files, FilesSettings, name_date
from connectors.tables import UnreadableError, batches
from core.frames import BIT
from core.model import Verdict
from state.landing import read_part
from tasks.extract import extract

NOW = datetime.fromisoformat("2026-11-24T09:00")
CANNOT = {
    "repeated_page": "a file has no pages; a repeated row is tested below",
    "unauthorised": "a file has no credential; an unreadable file is tested below",
    "revoked": "a file has no credential",
    "token_ends": "a file has no credential",
    "timeout": "a file is there or not",
    "slow_once": "a file is there or not",
    "empty_page": "a file has no pages",
    "throttled": "nobody throttles a file",
}


def rig(world, folder, fault):
    """Three CSV exports of the world. A page that never comes is a file cut in half, seen by `min_rows`."""
    users = [(u.id, u.user_name, u.email, u.display_name, u.employee_number, u.active) for u in world.users]
    users += [(u.id, u.user_name, u.email, u.display_name, u.employee_number, u.active) for u in world.twins]
    users += [("", "nameless@corp.example", None, "Nameless", "", True)] * world.nameless
    if fault == "dropped_page":
        users = users[:5]
    if fault == "changed_order":
        users = users[::-1]
    header = ("native_id", "user_name", "email", "display_name", "employee_number", "active")
    text = table(header, users)
    if fault == "truncated":
        text = text[: len(text) - len(text) // 3] + '"'
    if fault == "html":
        text = "<!DOCTYPE html>\n<title>Sign in</title>\n"
    write(folder / "users.csv", text)
    write(folder / "groups.csv", table(("native_id", "name"), world.groups))
    write(folder / "edges.csv", table(("group_id", "member_id", "member_kind"), world.edges))
    settings = {
        "accounts": {"glob": "none.csv" if fault == "gone" else "users.csv", "min_rows": 17 if fault else 0},
        "groups": {"glob": "groups.csv"},
        "memberships": {"glob": "edges.csv"},
    }
    return opened(folder, **settings)


def table(header, rows):
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerows([header, *rows])
    return buffer.getvalue()


def write(path, text, encoding="utf-8", age=timedelta(hours=1)):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))
    made = (NOW - age).replace(tzinfo=UTC).timestamp()
    os.utime(path, (made, made))
    return path


def opened(folder, **settings):
    return Files(FilesSettings.model_validate(settings), SourceContext("hr", NOW, base=folder))


def read(folder, landing=None, previous=None, **settings):
    landing = landing or folder / "landing"
    manifest = extract(
        opened(folder, **settings),
        tenant="hr",
        root=landing,
        extract_id=f"e{time.monotonic_ns()}",
        cursor_before=None,
        full=True,
        now=lambda: NOW,
        previous=previous,
    )
    return manifest, read_part(landing, manifest, "accounts")


def test_the_interface_example_is_read(tmp_path):
    """Columns are mapped by name or by SQL; leading zeros stay, empty cells are null, other columns are absent."""
    text = "emp_no;mail;proxies;state\n000017;a@x;a1@x,a2@x;A\n18;;;X\n"
    write(tmp_path / "hr/staff.csv", text)
    columns = {
        "native_id": "emp_no",
        "employee_number": "emp_no",
        "email": "mail",
        "aliases": "string_split(proxies, ',')",
        "active": "state = 'A'",
    }
    manifest, accounts = read(tmp_path, accounts={"glob": "hr/*.csv", "max_age": "36h", "min_rows": 2}, columns=columns)
    assert (manifest.verdict, manifest.reasons) == (Verdict.COMPLETE, ())
    shown = accounts.select("native_id", "employee_number", "email", "aliases", "active").rows()
    assert shown == [("000017", "000017", "a@x", ["a1@x", "a2@x"], True), ("18", "18", None, None, False)]
    said = sum(BIT[name] for name in columns if name in BIT)
    assert accounts["present"].to_list() == [said, said]


def test_yesterdays_file_is_suspect(tmp_path):
    """A file older than max_age is read and removes nobody; the reason says how old it is."""
    write(tmp_path / "staff.csv", "native_id\n1\n", age=timedelta(hours=50))
    manifest, accounts = read(tmp_path, accounts={"glob": "*.csv", "max_age": "36h"})
    assert manifest.verdict is Verdict.SUSPECT
    assert manifest.reasons == ("staff.csv is 50 hours old, and max_age is 36 hours",)
    assert accounts.height == 1


def test_too_few_rows_are_suspect(tmp_path):
    """Fewer rows than min_rows: suspected, with both numbers."""
    write(tmp_path / "staff.csv", "native_id\n1\n2\n")
    manifest, _ = read(tmp_path, accounts={"glob": "*.csv", "min_rows": 3})
    assert (manifest.verdict, manifest.reasons) == (
        Verdict.SUSPECT,
        ("staff.csv holds 2 rows, fewer than min_rows 3",),
    )


def test_a_missing_key_column_fails_with_one_error(tmp_path):
    """Without its key column nothing of the file is believed; one error names tenant, field, file, columns and remedy."""
    write(tmp_path / "staff.csv", "emp_no,mail\n1,a@x\n")
    manifest, _ = read(tmp_path, accounts={"glob": "*.csv"})
    assert manifest.verdict is Verdict.FAILED
    (reason,) = manifest.reasons
    assert reason == (
        "tenant hr, field columns.native_id: staff.csv has no column native_id. "
        "Map it with `columns: {native_id: …}` to one of emp_no, mail"
    )


def test_a_missing_other_column_is_suspect_and_unsaid(tmp_path):
    """A mapped column that the file lacks makes the read suspect, and its values are absent, not cleared."""
    write(tmp_path / "staff.csv", "native_id,mail\n1,a@x\n")
    manifest, accounts = read(tmp_path, accounts={"glob": "*.csv", "columns": {"title": "job_name"}})
    assert manifest.verdict is Verdict.SUSPECT
    assert "columns.title" in manifest.reasons[0]
    assert "job_name" in manifest.reasons[0]
    assert accounts["present"].to_list() == [0]


def test_an_expression_that_fails_for_a_row_leaves_it_unsaid(tmp_path):
    """A row for which an expression fails keeps its other values; the failed one is absent, and the read suspect."""
    write(tmp_path / "staff.csv", "native_id,since\n1,2026-01-02\n2,soon\n")
    manifest, accounts = read(tmp_path, accounts={"glob": "*.csv", "columns": {"starts_on": "CAST(since AS DATE)"}})
    assert manifest.verdict is Verdict.SUSPECT
    assert "columns.starts_on failed for 1 rows" in manifest.reasons[0]
    assert [mask > 0 for mask in accounts["present"]] == [True, False]


def test_values_of_the_wrong_kind_set_the_row_aside(tmp_path):
    """A date that is none sets its row aside with the payload; the other rows are read."""
    write(tmp_path / "staff.csv", "native_id,ends_on\n1,2026-12-31\n2,31.12.2026\n")
    manifest, accounts = read(tmp_path, accounts={"glob": "*.csv"})
    assert (manifest.verdict, accounts["native_id"].to_list()) == (Verdict.SUSPECT, ["1"])
    assert manifest.reasons == ("1 account was set aside (account 2): ends_on is no date of the form 2026-12-31",)


def test_broken_lines_are_set_aside(tmp_path):
    """Lines with too many or too few cells are kept aside as they came; they might be anybody, so: partial."""
    write(tmp_path / "staff.csv", "native_id,mail\n1,a@x\n2\n3,c@x,more\n4,d@x\n")
    manifest, accounts = read(tmp_path, accounts={"glob": "*.csv"})
    assert (manifest.verdict, accounts["native_id"].to_list()) == (Verdict.PARTIAL, ["1", "4"])
    aside = read_part(tmp_path / "landing", manifest, "rejected")
    assert sorted(json.loads(raw) for raw in aside["raw"]) == ["2", "3,c@x,more"]


def test_a_repeated_row_is_never_complete(tmp_path):
    """A row that stands twice is landed once, and the file is not taken for complete."""
    write(tmp_path / "staff.csv", "native_id,email\n1,a@x\n2,b@x\n1,a@x\n")
    manifest, accounts = read(tmp_path, accounts={"glob": "*.csv"})
    assert (manifest.verdict, accounts.height) == (Verdict.PARTIAL, 2)


def test_an_open_quotation_mark_is_refused(tmp_path):
    """A quotation mark that is never closed would swallow the rows behind it: nothing of the file is believed."""
    write(tmp_path / "staff.csv", 'native_id,name\n1,"a\n2,b\n')
    manifest, _ = read(tmp_path, accounts={"glob": "*.csv"})
    assert manifest.verdict is Verdict.FAILED
    assert "quotation mark" in manifest.reasons[0]


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16"])
def test_other_encodings_are_refused_with_the_remedy(tmp_path, encoding):
    """A file that is not UTF-8 is refused and the remedy is a setting; with the setting it is read."""
    write(tmp_path / "staff.csv", "native_id,given_name\n1,Zoë\n", encoding)
    manifest, _ = read(tmp_path, accounts={"glob": "*.csv"})
    assert manifest.verdict is Verdict.FAILED
    assert "Write `encoding: " in manifest.reasons[0]
    manifest, accounts = read(tmp_path, accounts={"glob": "*.csv"}, encoding=encoding)
    assert (manifest.verdict, accounts["given_name"].to_list()) == (Verdict.COMPLETE, ["Zoë"])


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path):
    """Excel's UTF-8 mark before the header does not hide the first column."""
    write(tmp_path / "staff.csv", "\ufeffnative_id,given_name\n1,Zoë\n")
    assert read(tmp_path, accounts={"glob": "*.csv"})[0].verdict is Verdict.COMPLETE


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(tmp_path, delimiter):
    """Comma, semicolon, tabulator and bar are found in the header, also beside a quoted other one."""
    write(
        tmp_path / "staff.csv", delimiter.join(("native_id", '"a,b;c"', "email")) + "\n" + delimiter.join("1xy") + "\n"
    )
    _, accounts = read(tmp_path, accounts={"glob": "*.csv"})
    assert accounts.select("native_id", "email").rows() == [("1", "y")]


def test_a_set_delimiter_is_believed(tmp_path):
    """A delimiter that is set is used, whatever the header looks like."""
    write(tmp_path / "staff.csv", "native_id^email,x\n1^a@x\n")
    _, accounts = read(tmp_path, accounts={"glob": "*.csv"}, delimiter="^")
    assert accounts["native_id"].to_list() == ["1"]


def test_two_columns_of_one_name_are_refused(tmp_path):
    """Which of two columns named alike is meant nobody knows."""
    write(tmp_path / "staff.csv", "native_id,mail,mail\n1,a,b\n")
    manifest, _ = read(tmp_path, accounts={"glob": "*.csv"})
    assert "two columns named 'mail'" in manifest.reasons[0]


def test_jsonl_keeps_the_three_states(tmp_path):
    """In JSONL a key that is left out is absent, null is null; a broken line is set aside."""
    lines = ['{"native_id": "1", "email": null, "aliases": ["a@x"]}', '{"native_id": 2, "active": true}', "nonsense"]
    write(tmp_path / "staff.jsonl", "\n".join(lines))
    manifest, accounts = read(tmp_path, accounts={"glob": "*.jsonl"})
    assert (manifest.verdict, manifest.rejected) == (Verdict.PARTIAL, 1)
    assert accounts["native_id"].to_list() == ["1", "2"]
    assert accounts["present"].to_list() == [BIT["email"] | BIT["aliases"], BIT["active"]]


def test_parquet_numbers_become_text(tmp_path):
    """Numbers of staff that a program stored as floats come as plain digits; times with a zone come in UTC."""
    made = pl.Series([datetime.fromisoformat("2026-01-02T03:00")]).dt.replace_time_zone("Europe/Berlin").to_list()
    frame = pl.DataFrame({"native_id": [17], "employee_number": [42.0], "created_at": made, "aliases": [["a@x"]]})
    frame.write_parquet(tmp_path / "staff.parquet")
    manifest, accounts = read(tmp_path, accounts={"glob": "*.parquet"})
    assert manifest.verdict is Verdict.COMPLETE
    shown = accounts.select("native_id", "employee_number", "created_at", "aliases").rows()
    assert shown == [("17", "42", datetime.fromisoformat("2026-01-02T02:00"), ["a@x"])]


@pytest.mark.parametrize("name", ["staff.parquet", "staff.csv", "staff.jsonl", "staff.xlsx"])
def test_files_that_are_none_fail_clearly(tmp_path, name):
    """Garbage, whatever its suffix, fails with one reason that names the file."""
    (tmp_path / name).write_bytes(b"\x00\xff\x00garbage")
    manifest, _ = read(tmp_path, accounts={"glob": "staff.*"})
    assert manifest.verdict is Verdict.FAILED
    assert name in manifest.reasons[0]


def test_the_newest_file_is_picked(tmp_path):
    """By time of change; by the date in the name; or all of them together."""
    write(tmp_path / "staff-2026-11-23.csv", "native_id\nmonday\n", age=timedelta(hours=1))
    write(tmp_path / "staff-2026-11-24.csv", "native_id\ntuesday\n", age=timedelta(hours=30))

    def picked(pick, **more):
        manifest, accounts = read(tmp_path, accounts={"glob": "*.csv", "pick": pick} | more)
        return accounts["native_id"].to_list(), manifest.verdict

    assert picked("newest") == (["monday"], Verdict.COMPLETE)
    assert picked("name_date") == (["tuesday"], Verdict.COMPLETE)
    assert picked("all") == (["monday", "tuesday"], Verdict.COMPLETE)
    assert picked("all", max_age="24h")[1] is Verdict.SUSPECT
    assert picked("name_date", max_age="24h")[1] is Verdict.COMPLETE


@pytest.mark.parametrize(
    ("name", "day"),
    [
        ("a-2026-11-24.csv", "2026-11-24"),
        ("a20261124_2.csv", "2026-11-24"),
        ("2026_02_30.csv", "None"),
        ("a.csv", "None"),
    ],
)
def test_dates_in_names(name, day):
    """The usual spellings are dates; what no calendar knows is none."""
    assert str(name_date(name)) == day


def test_a_file_that_changes_while_it_is_read_is_suspect(tmp_path, monkeypatch):
    """A file that grows, or is replaced, while we read it is not taken for whole."""
    path = write(tmp_path / "staff.csv", "native_id\n1\n")

    def growing(*args, **kwargs):
        yield from batches(*args, **kwargs)
        path.write_text("native_id\n1\n2\n")

    monkeypatch.setattr(module, "batches", growing)
    manifest, _ = read(tmp_path, accounts={"glob": "*.csv"})
    assert (manifest.verdict, manifest.reasons) == (Verdict.SUSPECT, ("staff.csv changed while it was read",))


@pytest.mark.parametrize("glob", ["/etc/*", "../*.csv", "a/../../b.csv"])
def test_paths_stay_inside(glob):
    """A glob that leaves the folder is a fault of the config."""
    with pytest.raises(ValidationError, match="leaves the folder"):
        FilesSettings.model_validate({"accounts": {"glob": glob}})


def test_links_stay_inside(tmp_path):
    """A link that leads out of the folder is refused."""
    write(tmp_path / "outside.csv", "native_id\n1\n")
    (tmp_path / "in").mkdir()
    (tmp_path / "in/staff.csv").symlink_to(tmp_path / "outside.csv")
    manifest, _ = read(tmp_path / "in", landing=tmp_path / "landing", accounts={"glob": "*.csv"})
    assert manifest.verdict is Verdict.FAILED
    assert "leads out" in manifest.reasons[0]


def test_an_unreadable_file_fails_clearly(tmp_path, monkeypatch):
    """A file without the right to read it fails with the remedy."""
    write(tmp_path / "staff.csv", "native_id\n1\n")

    def forbidden(*_args, **_kwargs):
        raise PermissionError(13, "Permission denied")
        yield

    monkeypatch.setattr(module, "batches", forbidden)
    manifest, _ = read(tmp_path, accounts={"glob": "*.csv"})
    assert "staff.csv cannot be read: Permission denied" in manifest.reasons[0]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"accounts": {"glob": "a"}, "columns": {"emial": "x"}}, "write email"),
        ({"accounts": {"glob": "a", "columns": {"email": "x"}}, "columns": {"email": "y"}}, "both map email"),
        ({"accounts": {"glob": "a"}, "groups": {"glob": "b", "columns": {"email": "x"}}}, "columns of groups"),
        ({"accounts": {"glob": "a"}, "columns": {"present": "1"}}, "does not exist"),
    ],
)
def test_faults_of_the_mapping_are_faults_of_the_config(settings, words):
    """A canonical column that does not exist, or is mapped twice, is found before anything is read."""
    with pytest.raises(ValidationError, match=words):
        FilesSettings.model_validate(settings)


def test_groups_and_memberships_have_their_own_columns(tmp_path):
    """Groups may be without a name of their own, and a member's kind is found out by its id."""
    write(tmp_path / "u.csv", "native_id\n1\n")
    write(tmp_path / "g.csv", "grp\nteam\nall\n")
    write(tmp_path / "m.csv", "grp,who\nteam,1\nall,team\n")
    manifest, _ = read(
        tmp_path,
        accounts={"glob": "u.csv"},
        groups={"glob": "g.csv", "columns": {"native_id": "grp"}},
        memberships={"glob": "m.csv", "columns": {"group_id": "grp", "member_id": "who"}},
    )
    assert manifest.verdict is Verdict.COMPLETE
    landing = tmp_path / "landing"
    assert read_part(landing, manifest, "groups").select("native_id", "name").rows() == [
        ("all", "all"),
        ("team", "team"),
    ]
    edges = read_part(landing, manifest, "memberships").select("group_id", "member_id", "member_kind").rows()
    assert edges == [("all", "team", "group"), ("team", "1", "user")]


def test_check_tells_which_file_would_be_read(tmp_path):
    """`check` names the file and its age, and what is missing."""
    write(tmp_path / "staff.csv", "native_id\n1\n", age=timedelta(hours=50))
    source = opened(tmp_path, accounts={"glob": "*.csv", "max_age": "1d"}, groups={"glob": "g.csv"})
    assert [(each.level, each.subject.split()[-1]) for each in source.check()] == [
        ("warning", "accounts"),
        ("error", "groups"),
    ]


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8)


@given(st.tuples(CELLS, CELLS).filter(lambda two: two[0] != two[1]), st.lists(st.tuples(CELLS, CELLS), max_size=8))
def test_csv_is_read_as_python_reads_it(tmp_path_factory, header, rows):
    """Whatever text a cell holds, our reader and Python's csv agree; only an empty cell becomes null."""
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([header, *rows])
    found = [
        row for batch in batches(path, format="csv", delimiter=",", encoding="utf-8") for row in batch.frame.rows()
    ]
    assert found == [tuple(cell or None for cell in row) for row in rows]


@given(st.binary(max_size=60), st.sampled_from(["csv", "jsonl", "parquet"]))
def test_garbage_is_unreadable_and_nothing_worse(tmp_path_factory, content, shape):
    """Whatever bytes a file holds, it is read or refused, and never an unexpected error."""
    path = tmp_path_factory.mktemp("garbage") / "t"
    path.write_bytes(content)
    with contextlib.suppress(UnreadableError):
        assert all(
            batch.frame.height <= len(content)
            for batch in batches(path, format=shape, delimiter=None, encoding="utf-8")
        )


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_a_hundred_thousand_rows_a_second(tmp_path, suffix):
    """Each format, with an expression and landing included, is read at 100,000 rows per CPU second or more."""
    many = 60_000
    frame = pl.DataFrame(
        {
            "emp": [f"{place:07}" for place in range(many)],
            "mail": [f"user{place}@corp.example" for place in range(many)],
            "proxies": [f"a{place}@x;b{place}@x" for place in range(many)],
        }
    )
    path = tmp_path / f"staff.{suffix}"
    {"csv": frame.write_csv, "jsonl": frame.write_ndjson, "parquet": frame.write_parquet}[suffix](path)
    columns = {"native_id": "emp", "email": "mail", "aliases": "string_split(proxies, ';')"}
    best = min(_cpu_seconds(tmp_path, path, columns, many) for _ in range(2))
    assert many / best >= 100_000


def _cpu_seconds(folder: Path, path: Path, columns: dict[str, str], many: int) -> float:
    began = time.process_time()
    manifest, _ = read(folder, accounts={"glob": path.name, "columns": columns})
    assert (manifest.verdict, manifest.accounts) == (Verdict.COMPLETE, many)
    return time.process_time() - began
