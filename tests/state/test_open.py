import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from core import frames
from core.errors import RefusedError
from state import identity, migrate, statements
from state.control import Control
from state.ledger import Ledger
from state.snapshot import publish
from state.store import Store

ROOT = Path(__file__).parent.parent.parent


def clock(now):
    return lambda: now


def test_everything_written_is_private(store, take, landed_class, now):
    """Folders are 0700 and files 0600, logs of open databases and snapshots included."""
    take(landed_class("e1", {"a": "x"}))
    publish(store, now=now)
    paths = [store.folder, *store.folder.rglob("*")]
    assert len(paths) > 6
    wrong = {str(path): oct(path.stat().st_mode) for path in paths if path.stat().st_mode & 0o077}
    assert wrong == {}


def test_a_folder_that_was_open_to_others_is_narrowed(tmp_path, now):
    """A state folder made by hand with 0755 becomes 0700."""
    folder = tmp_path / "state"
    folder.mkdir(mode=0o755)
    Store.open(folder, purpose="test", now=clock(now)).close()
    assert folder.stat().st_mode & 0o777 == 0o700


def test_tables_have_the_columns_of_the_frames(store):
    """What the frames promise, the tables hold: a new attribute without a migration fails here."""
    expected = {
        "raw_account": frames.ACCOUNT,
        "raw_group": frames.GROUP,
        "raw_membership": frames.MEMBERSHIP,
        "core_link": frames.LINK,
        "core_lineage": frames.LINEAGE,
        "core_person_id": frames.PERSON_ID,
        "core_person": frames.PERSON,
        "core_doubt": frames.REVIEW,
        "core_decided": frames.DECIDED,
        "core_undone": frames.UNDONE,
        "target_user": frames.EXISTING_USER,
        "target_group": frames.EXISTING_GROUP,
        "target_membership": frames.EXISTING_MEMBERSHIP,
        "plan_change": frames.CHANGE,
        "plan_value": frames.CHANGE_VALUE,
    }
    for table, schema in expected.items():
        columns = {row[0] for row in store.session.con.execute(f"DESCRIBE {table}").fetchall()}
        assert set(schema) <= columns, table


def test_every_statement_says_its_question():
    """One statement a file; its first line is a comment that asks."""
    for path in sorted((ROOT / "state" / "sql").glob("*.sql")):
        lines = path.read_text(encoding="utf-8").splitlines()
        assert lines[0].startswith("-- "), path.name
        assert "?" in lines[0], path.name
        assert ";" not in "\n".join(lines), path.name


def test_every_statement_is_used():
    """No SQL file without a caller."""
    asking = (*(ROOT / "state").glob("*.py"), *(ROOT / "tasks").glob("*.py"))  # steps may ask a snapshot
    code = "\n".join(path.read_text(encoding="utf-8") for path in asking)
    patterns = ("_of_tenant", "_rows", "_forget", "_seen")
    for path in sorted((ROOT / "state" / "sql").glob("*.sql")):
        named = f'"{path.stem}"' in code or path.stem.startswith("view_")
        assert named or path.stem.endswith(patterns), path.name


def more(monkeypatch, text):
    """One migration beyond the known ones."""
    known = statements.migrations()
    monkeypatch.setattr(migrate, "migrations", lambda: (*known, (len(known) + 1, "next", text)))


def test_a_migration_keeps_the_rows(tmp_path, landed_class, now, monkeypatch):
    """An older state is brought to the next shape and keeps what it held."""
    extract = landed_class("e1", {"a": "x"})
    with Store.open(tmp_path, purpose="test", now=clock(now)) as store:
        store.consolidate(extract.manifest, extract.read, "r1", now)
    more(monkeypatch, "CREATE TABLE fresh (a INTEGER); INSERT INTO fresh SELECT account_key FROM raw_account;")
    with Store.open(tmp_path, purpose="test", now=clock(now)) as store:
        assert store.session.con.execute("FROM fresh").fetchall() == [(1,)]
        assert store.accounts().height == 1
    assert not list(tmp_path.glob("*migrating*"))


def test_persons_of_before_keep_their_history(tmp_path, people, now, monkeypatch):
    """An older state gains the columns of provenance without a new row of history for anybody."""
    links, minted, persons = people("p1", "p2")
    plain = persons.with_columns(rules=pl.lit(0, pl.UInt64))
    mine = next(number for number, name, _ in statements.migrations() if name.endswith("provenance"))
    with monkeypatch.context() as patch:
        patch.setattr(migrate, "migrations", lambda: statements.migrations()[: mine - 1])
        patch.setitem(identity.TABLES, "core_person", {
            name: kind for name, kind in frames.PERSON.items() if name not in {"rules", "kept_by", "against"}
        })  # fmt: skip
        with Store.open(tmp_path, purpose="test", now=clock(now)) as store:
            assert store.save_identity("r1", links, minted, plain, now).added == 6
    with Store.open(tmp_path, purpose="test", now=clock(now)) as store:
        assert store.persons().equals(plain)
        done = store.save_identity("r2", links, minted, plain, now)
        assert (done.added, done.changed, done.ended) == (0, 0, 0)


def test_what_groups_were_made_of_is_kept_by_target(store):
    """Remembered per target, replaced as a whole, and empty where nothing was said."""
    memory = pl.DataFrame([("devs", 1), ("devs", 2), ("ops", 3)], schema=frames.GROUP_MEMORY, orient="row")
    assert store.group_memory("jira").is_empty()
    store.remember_groups("jira", memory)
    store.remember_groups("wiki", memory.head(1))
    assert store.group_memory("jira").equals(memory)
    store.remember_groups("jira", memory.tail(1))
    assert store.group_memory("jira").rows() == [("ops", 3)]
    assert store.group_memory("wiki").height == 1


def test_a_migration_that_fails_leaves_the_state_as_it_was(tmp_path, now, monkeypatch):
    """Migrating works on a copy: dying or failing in it costs nothing, and the remains of the copy do no harm."""
    Store.open(tmp_path, purpose="test", now=clock(now)).close()
    before = (tmp_path / "state.duckdb").read_bytes()
    with monkeypatch.context() as patch:
        more(patch, "CREATE TABLE fresh (a INTEGER); SELECT error('died here');")
        with pytest.raises(Exception, match="died here"):
            Store.open(tmp_path, purpose="test", now=clock(now))
    assert (tmp_path / "state.duckdb").read_bytes() == before
    (tmp_path / "state.duckdb.migrating").write_bytes(b"half a copy")
    more(monkeypatch, "CREATE TABLE fresh (a INTEGER);")
    with Store.open(tmp_path, purpose="test", now=clock(now)) as store:
        assert store.session.con.execute("FROM fresh").fetchall() == []


def test_an_older_program_refuses_a_newer_state(tmp_path, now, monkeypatch):
    """In one sentence, and leaves the lease free."""
    with monkeypatch.context() as patch:
        more(patch, "CREATE TABLE fresh (a INTEGER);")
        Store.open(tmp_path, purpose="test", now=clock(now)).close()
    known = len(statements.migrations())
    words = rf"written by a newer Onefold \(its shape is {known + 1}, this program knows {known}\)"
    with pytest.raises(RefusedError, match=words):
        Store.open(tmp_path, purpose="test", now=clock(now))
    with Control.open(tmp_path) as control:
        assert control.holder() is None


@pytest.mark.parametrize("opener", [Control, Ledger])
def test_an_older_program_refuses_newer_files_beside_the_state(tmp_path, opener):
    """The control store and the ledger say the same."""
    opened = opener.open(tmp_path)
    opened._con.execute("PRAGMA user_version=99")
    opened.close()
    with pytest.raises(RefusedError, match="newer Onefold"):
        opener.open(tmp_path)


def test_a_foreign_process_that_has_the_file_open_is_named(tmp_path, now):
    """Somebody who opened state.duckdb past us makes one clear refusal, not a traceback."""
    Store.open(tmp_path, purpose="test", now=clock(now)).close()
    program = f"import duckdb, sys; con = duckdb.connect({str(tmp_path / 'state.duckdb')!r}); print('open', flush=True); sys.stdin.read()"
    other = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout.readline() == "open\n"
        with pytest.raises(RefusedError, match=f"is open in process {other.pid}"):
            Store.open(tmp_path, purpose="test", now=clock(now))
    finally:
        other.communicate()
    Store.open(tmp_path, purpose="test", now=clock(now)).close()


def test_looking_creates_nothing(tmp_path):
    """Asking for tenants or a cursor where there is no state gives nothing and leaves no file."""
    assert Control.known_tenants(tmp_path) == {}
    assert Control.cursor(tmp_path, "corp") is None
    assert list(tmp_path.iterdir()) == []
