import os
import stat
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import RefusedError
from core.frames import LANDED, conform
from core.model import ExtractKind, Manifest, Verdict
from state.landing import MANIFEST, LandingWriter, manifest, manifests, read_part
from state.staging import ARRIVAL, Staging

NOW = datetime.fromisoformat("2026-11-24T09:00")


def accounts(*ids):
    frame = pl.DataFrame(
        {"native_id": list(ids), "email": [f"{each}@x" for each in ids], "aliases": [[each] for each in ids]}
    )
    return conform(frame, LANDED["accounts"])


def finished(writer, number=0, **more):
    given = {
        "extract_id": writer.extract_id,
        "tenant": writer.tenant,
        "kind": ExtractKind.FULL,
        "cursor_before": None,
        "cursor_after": "c1",
        "started_at": NOW,
        "finished_at": NOW + timedelta(minutes=number),
        "accounts": 2,
        "groups": 0,
        "memberships": 0,
        "rejected": 0,
        "claimed": {"accounts": 2},
        "parts": tuple(writer.parts),
        "verdict": Verdict.SUSPECT,
        "reasons": ("because",),
    }
    return Manifest(**given | more)


def landed(root, extract_id="e1", ids=("b", "a"), number=0, tenant="corp"):
    writer = LandingWriter(root, tenant, extract_id)
    writer.write("accounts", accounts(*ids))
    found = finished(writer, number)
    writer.commit(found)
    return found


@pytest.fixture(params=["folder", "url"])
def root(request, tmp_path):
    """A landing root: a local folder, and an fsspec URL."""
    if request.param == "folder":
        return tmp_path / "landing"
    pytest.importorskip("fsspec", reason="fsspec is not installed")
    return f"memory://landing-{tmp_path.name}-{id(request)}"


def test_what_was_landed_is_read(root):
    """Manifest and rows come back as they were given, rows in the order of their keys, other objects empty."""
    written = landed(root)
    assert manifests(root, "corp") == [written]
    assert manifest(root, "e1") == written
    assert read_part(root, written, "accounts").equals(accounts("a", "b"))
    assert read_part(root, written, "groups").schema == LANDED["groups"]


def test_the_newest_is_last(root):
    """Manifests are in the order in which their reads ended, whatever they are called, and of one tenant only."""
    landed(root, "zz", number=1)
    landed(root, "aa", number=2)
    landed(root, "other", number=3, tenant="plant")
    assert [each.extract_id for each in manifests(root, "corp")] == ["zz", "aa"]
    assert manifests(root, "nobody") == []


def test_without_a_manifest_there_is_no_extract(root):
    """Parts alone count for nothing: a read that died is no read."""
    writer = LandingWriter(root, "corp", "e1")
    writer.write("accounts", accounts("a"))
    assert manifests(root, "corp") == []
    with pytest.raises(RefusedError, match="there is no extract e1"):
        manifest(root, "e1")


def test_an_extract_is_landed_once(root):
    """A committed extract is never written again."""
    landed(root)
    with pytest.raises(RefusedError, match="landed before"):
        LandingWriter(root, "corp", "e1")


def test_several_parts_are_one_frame(root):
    """Parts are numbered by object and read together."""
    writer = LandingWriter(root, "corp", "e1")
    names = [writer.write("accounts", accounts(*ids)).file for ids in (("a", "b"), ("c",))]
    writer.commit(finished(writer))
    assert names == ["accounts-0000.parquet", "accounts-0001.parquet"]
    assert read_part(root, finished(writer), "accounts")["native_id"].to_list() == ["a", "b", "c"]


def test_the_manifest_lists_every_part(root):
    """A manifest that leaves a part out is a bug and is refused."""
    writer = LandingWriter(root, "corp", "e1")
    writer.write("accounts", accounts("a"))
    with pytest.raises(ValueError, match="does not list"):
        writer.commit(finished(writer, parts=()))


def test_a_damaged_part_is_refused_by_name(tmp_path):
    """One changed byte, or a missing file, is noticed and named, with what to do."""
    written = landed(tmp_path)
    path = tmp_path / "corp/e1/accounts-0000.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(RefusedError, match=r"corp/e1/accounts-0000\.parquet is not what was landed.*Restore"):
        read_part(tmp_path, written, "accounts")
    path.unlink()
    with pytest.raises(RefusedError, match=r"corp/e1/accounts-0000\.parquet is missing"):
        read_part(tmp_path, written, "accounts")


def test_a_damaged_manifest_is_refused_by_name(tmp_path):
    """A manifest that is cut short is named, and not taken for an extract that never was."""
    landed(tmp_path)
    path = tmp_path / "corp/e1" / MANIFEST
    path.write_text(path.read_text()[:40])
    with pytest.raises(RefusedError, match=r"corp/e1/manifest\.json is damaged"):
        manifests(tmp_path, "corp")


@pytest.mark.parametrize("name", ["../evil", "a/b", "", ".hidden"])
def test_names_stay_inside(tmp_path, name):
    """An extract id that would leave its folder is refused."""
    with pytest.raises(RefusedError):
        LandingWriter(tmp_path, "corp", name)


def test_files_are_private(tmp_path):
    """Folders are 0700 and files 0600, whatever the umask was."""
    before = os.umask(0)
    try:
        writer = LandingWriter(tmp_path / "landing", "corp", "e1")
        writer.write("accounts", accounts("a"))
        os.umask(0)  # somebody else's library put it back
        writer.write("accounts", accounts("b"))
        writer.commit(finished(writer))
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "landing").rglob("*")}
    files = dict.fromkeys(("accounts-0000.parquet", "accounts-0001.parquet", MANIFEST), 0o600)
    assert modes == {"corp": 0o700, "e1": 0o700, **files}


def test_no_half_manifest_after_a_kill(tmp_path):
    """Killed between writing and renaming the manifest, nothing is there; the survivor reads the tenant again."""
    code = (
        "import os, sys; from pathlib import Path\n"
        "from tests_landing import NOW, landed\n"
        "Path.replace = lambda self, to: os._exit(9) if to.name == 'manifest.json' else os.replace(self, to)\n"
        "landed(Path(sys.argv[1]))\n"
    )
    (tmp_path / "tests_landing.py").write_text(Path(__file__).read_text())
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])}
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "landing")], env=env, check=False)
    assert done.returncode == 9
    assert list((tmp_path / "landing/corp/e1").glob("*.parquet"))
    assert manifests(tmp_path / "landing", "corp") == []


@given(st.permutations(list("abcdefgh")), st.lists(st.integers(1, 3), max_size=8))
def test_equal_rows_give_equal_bytes(tmp_path_factory, order, cuts):
    """Rows in any order, in any chunks, give the same sha256."""
    folder = tmp_path_factory.mktemp("landing")
    pieces, rest = [], list(order)
    for cut in cuts:
        pieces.append(accounts(*rest[:cut]))
        rest = rest[cut:]
    frame = pl.concat([*pieces, accounts(*rest)], rechunk=False)
    part = LandingWriter(folder, "corp", "e1").write("accounts", frame)
    plain = LandingWriter(folder, "corp", "e2").write("accounts", accounts(*"abcdefgh"))
    assert (part.sha256, part.rows) == (plain.sha256, 8)


def test_one_other_value_gives_other_bytes(tmp_path):
    """Any column that differs, null against empty included, gives another sha256."""
    writer = LandingWriter(tmp_path, "corp", "e1")
    plain = accounts("a", "b")
    others = [
        plain.with_columns(email=pl.lit("z")),
        plain.with_columns(email=pl.lit(None, pl.String)),
        plain.with_columns(email=pl.lit("")),
        plain.with_columns(present=pl.lit(1, pl.UInt64)),
        plain.with_columns(aliases=pl.lit([], pl.List(pl.String))),
        plain.with_columns(tombstone=pl.lit(value=True)),
    ]
    sums = [writer.write("accounts", frame).sha256 for frame in (plain, *others)]
    assert len(set(sums)) == len(sums)


EDGE = st.tuples(st.sampled_from("abcdef"), st.sampled_from("uvwxyz"))


@given(st.lists(EDGE, max_size=40), st.integers(1, 10), st.integers(1, 5))
def test_staging_gives_back_what_it_took(tmp_path_factory, edges, limit, cut):
    """However many rows fit in memory, all come back, in order, and no key's rows are torn apart."""
    folder = tmp_path_factory.mktemp("landing")
    rows = [(group, member, "user", False) for group, member in edges]
    with pytest.MonkeyPatch.context() as patch, Staging(folder, rows_in_memory=limit) as staging:
        patch.setattr("state.staging.ROWS_OF_A_PART", {})
        for start in range(0, len(rows), cut):
            staging.add("memberships", pl.DataFrame(rows[start : start + cut], LANDED["memberships"], orient="row"))
        frames = list(staging.ranges("memberships"))
        assert staging.rows("memberships") == len(rows)
    found = [row for frame in frames for row in frame.drop(ARRIVAL).rows()]
    assert found == sorted(rows)
    firsts = [set(frame["group_id"]) for frame in frames]
    assert sum(map(len, firsts)) == len(set().union(*firsts))
    assert list(folder.iterdir()) == []


def test_staging_spills_and_cuts_into_ranges(tmp_path):
    """Many rows leave memory, and come back in several ranges, each about as long as a part."""
    with Staging(tmp_path, rows_in_memory=10) as staging:
        for start in range(0, 95, 5):
            staging.add("accounts", accounts(*(f"{(place * 37) % 95:03}" for place in range(start, start + 5))))
        assert list(tmp_path.glob(".reading-*/accounts-*.parquet"))
        frames = list(staging.ranges("accounts"))
    assert [frame.height for frame in frames] == [10] * 9 + [5]
    assert [each for frame in frames for each in frame["native_id"]] == [f"{place:03}" for place in range(95)]
