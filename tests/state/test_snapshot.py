import re
import subprocess
import sys
from datetime import timedelta

import pytest

from core.errors import RefusedError
from core.frames import PERSON_ATTRIBUTES
from state import snapshot as room
from state.control import Control
from state.snapshot import VIEWS, Snapshot, export_parquet, publish
from state.statements import statement

READER = """
import duckdb, sys
con = duckdb.connect({path!r}, read_only=True)
print(con.execute("SELECT count(*) FROM accounts").fetchall()[0][0], flush=True)
sys.stdin.read()
print(con.execute("SELECT count(*) FROM accounts").fetchall()[0][0], flush=True)
"""


def read(path):
    return subprocess.Popen(
        [sys.executable, "-c", READER.format(path=str(path))], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_readable_under_a_writer_from_another_process(store, take, landed_class, now):
    """While the state is open for writing others read the snapshot; whoever had it open keeps the old one, the next sees the new one."""
    take(landed_class("e1", {"a": "x"}))
    publish(store, now=now)
    latest = store.folder / "snapshots" / "latest.duckdb"
    early = read(latest)
    assert early.stdout.readline() == "1\n"
    take(landed_class("e2", {"a": "x", "b": "x"}, minute=1))
    publish(store, now=now + timedelta(minutes=1))
    late = read(latest)
    assert late.stdout.readline() == "2\n"
    assert early.communicate("go on")[0] == "1\n"
    assert late.communicate("go on")[0] == "2\n"
    take(landed_class("e3", {"c": "x"}, minute=2))


def test_publishing_leaves_the_lock_of_the_state(store, take, landed_class, now):
    """The kernel drops a lock when its process closes any handle of the file: publishing must not, or a second writer could come in."""
    take(landed_class("e1", {"a": "x"}))
    publish(store, now=now)
    program = f"import duckdb; duckdb.connect({str(store.folder / 'state.duckdb')!r})"
    other = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert other.returncode != 0
    assert "lock" in other.stderr


def test_every_view_answers(store, take, landed_class, people, now):
    """All documented views and both macros can be read, and written as Parquet, from an almost empty state."""
    take(landed_class("e1", {"a": "x"}, ["g"], [("g", "a")]))
    store.save_identity("r1", *people("p1"), now)
    publish(store, now=now)
    with Snapshot.open(store.folder) as snapshot:
        for view in VIEWS:
            snapshot.table(view)
        assert snapshot.table("links")["person_id"].to_list() == ["p1"]
        assert snapshot.table("memberships").select("group_id", "member_id", "person_id").rows() == [("g", "a", "p1")]
        files = export_parquet(snapshot, store.folder / "parquet")
        assert snapshot.query("SELECT count(*) FROM people_at($t)", {"t": now}).item() == 1
    assert [file.stem for file in files] == list(VIEWS)


def test_the_past_is_told(store, take, landed_class, people, now):
    """people_at and memberships_at give each run's picture back for any time after it, and nothing for before the first."""
    times = [now + timedelta(minutes=minute) for minute in range(3)]
    titles = ["x", "y", "z"]
    for minute, (at, title) in enumerate(zip(times, titles, strict=True)):
        members = [("g", "abc"[minute])]
        take(landed_class(f"e{minute}", dict.fromkeys("abc", "x"), ["g"], members, minute=minute), f"r{minute}")
        store.save_identity(f"r{minute}", *people("p1", title=title), at)
    publish(store, now=times[-1])
    with Snapshot.open(store.folder) as snapshot:
        for minute, at in enumerate(times):
            for moment in (at, at + timedelta(seconds=59)):
                assert snapshot.query("FROM people_at($t)", {"t": moment})["title"].to_list() == [titles[minute]]
                assert snapshot.query("FROM memberships_at($t)", {"t": moment})["member_id"].to_list() == [
                    "abc"[minute]
                ]
        assert snapshot.query("FROM people_at($t)", {"t": now - timedelta(days=1)}).height == 0


def test_only_so_many_are_kept(store, now):
    """The newest snapshots stay, older ones go, and a draft of a publication that died goes too."""
    (store.folder / "snapshots").mkdir(mode=0o700)
    (store.folder / "snapshots" / ".died.duckdb.draft").write_bytes(b"half")
    for minute in range(4):
        publish(store, now=now + timedelta(minutes=minute), keep=2)
    names = sorted(path.name for path in (store.folder / "snapshots").iterdir())
    assert names == ["20261102T090200000000.duckdb", "20261102T090300000000.duckdb", "latest.duckdb"]


def test_dying_while_publishing_keeps_the_last_one(store, now, monkeypatch):
    """Until the rename the previous snapshot is what readers get."""
    publish(store, now=now)

    def die(*_):
        raise OSError("died here")

    monkeypatch.setattr(room.os, "link", die)
    with pytest.raises(OSError, match="died here"):
        publish(store, now=now + timedelta(minutes=1))
    with Snapshot.open(store.folder) as snapshot:
        assert snapshot.published_at == now
        assert snapshot.age_seconds(now + timedelta(minutes=1)) == 60


def test_without_a_snapshot_one_sentence(tmp_path):
    """Reading before anything was published is refused with the remedy."""
    with pytest.raises(RefusedError, match="nothing was published yet"):
        Snapshot.open(tmp_path)


def test_runs_are_told_to_everybody(store, now):
    """A run that is begun and ended stands in the state, the control store and the next snapshot."""
    store.begin_run("r2", "sync", now, config_digest="c", inputs={"rules": "x"})
    store.begin_run("r2", "sync", now + timedelta(hours=1))
    with Control.open(store.folder) as control:
        assert control.runs()[0]["finished_at"] is None
    store.end_run("r2", now, outcome="held", exit_code=3, digest="abcd", detail="why")
    publish(store, now=now)
    with Snapshot.open(store.folder) as snapshot:
        row = snapshot.table("runs").filter(run_id="r2").row(0, named=True)
    assert (row["kind"], row["started_at"], row["exit_code"], row["detail"]) == ("sync", now, 3, "why")
    assert store.control.runs(1)[0]["outcome"] == "held"
    assert store.runs().height == 2


def test_requests_coalesce_and_lose_nothing(store, now):
    """The same request twice waits once; one that comes after the taking waits for the next run; frozen names are told."""
    control = store.control
    control.request("sync", subject="corp", asked_by="mia", now=now)
    control.request("sync", subject="corp", asked_by="leo", now=now)
    control.request("sync", asked_by="leo", now=now)
    waiting = control.waiting("sync")
    assert [(each.subject, each.asked_by) for each in waiting] == [("corp", "mia"), ("", "leo")]
    control.take(waiting, now)
    control.request("sync", subject="corp", asked_by="mia", now=now)
    assert len(control.waiting("sync")) == 1
    assert control.waiting("stop") == []
    control.freeze("jira", asked_by="mia", now=now)
    assert control.frozen() == {"jira"}
    control.thaw("jira")
    assert control.frozen() == frozenset()
    control.mirror("holds", [{"hold_id": "H1", "count": 3}], now)
    assert control.mirrored("holds") == [{"hold_id": "H1", "count": 3}]


def test_provenance_knows_the_attributes_in_their_order():
    """The view reads two bits an attribute: its list is that of the frames."""
    text = statement("view_provenance").partition("[")[2].partition("]")[0]
    assert tuple(re.findall(r"'(\w+)'", text)) == PERSON_ATTRIBUTES
