import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.frames import ACCOUNT, GROUP, MEMBERSHIP
from core.model import ExtractKind, Verdict
from state.consolidate import consolidate
from state.store import Store

DELTA, PARTIAL = ExtractKind.DELTA, Verdict.PARTIAL


def titles(store):
    return dict(store.accounts().select("native_id", "title").iter_rows())


def gone(store):
    return {key: why for key, why in store.accounts().select("native_id", "gone").iter_rows() if why}


def edges(store):
    groups = dict(store.groups().select("group_key", "native_id").iter_rows())
    members = dict(store.accounts().select("account_key", "native_id").iter_rows())
    return {
        (groups[group], groups[member] if nested else members[member])
        for group, member, nested in store.memberships().iter_rows()
    }


def test_a_full_read_becomes_the_picture(store, take, landed_class):
    """Accounts, groups and edges come out as they went in, in the promised columns, sorted by key."""
    done = take(landed_class("e1", {"a": "x", "b": None}, ["g", "h"], [("g", "a"), ("g", "b")], [("h", "g")]))
    assert (done.accepted, done.added, done.changed, done.gone) == (True, 7, 0, 0)
    assert titles(store) == {"a": "x", "b": None}
    assert edges(store) == {("g", "a"), ("g", "b"), ("h", "g")}
    assert store.accounts().schema == ACCOUNT
    assert store.groups().schema == GROUP
    assert store.memberships().schema == MEMBERSHIP
    assert store.accounts()["account_key"].is_sorted()


def test_the_same_extract_again_is_a_no_op(store, take, landed_class):
    """Replaying an extract changes nothing, not even the history."""
    extract = landed_class("e1", {"a": "x"}, ["g"], [("g", "a")])
    take(extract)
    before = store.session.con.sql("FROM raw_account_history").fetchall()
    done = take(extract, "r2")
    assert (done.accepted, done.outcome, done.added) == (True, "replayed", 0)
    assert store.session.con.sql("FROM raw_account_history").fetchall() == before


def test_equal_content_is_not_loaded(store, take, landed_class):
    """A full read with the hashes of the last one is accepted without reading its rows."""
    take(landed_class("e1", {"a": "x"}, content="same"))
    extract = landed_class("e2", {"a": "x"}, content="same", minute=1)
    done = store.consolidate(extract.manifest, lambda _: pytest.fail("was read"), "r1", extract.manifest.finished_at)
    assert (done.accepted, done.outcome) == (True, "unchanged")
    assert store.newest_extracts()["corp"].extract_id == "e2"


def test_single_accounts_amend_the_picture_and_nothing_else(store, take, landed_class):
    """Accounts asked for by id: theirs change, a tombstone takes its edges along, the rest stays; cursor and newest extract are those of before."""
    take(landed_class("e1", {"a": "x", "b": "y", "c": "z"}, ["g"], [("g", "a"), ("g", "b")], after="c1"))
    done = take(landed_class("e2", {"a": "new"}, dead=["b"], kind=ExtractKind.ONE, minute=1))
    assert (done.accepted, done.changed, done.accounts.gone) == (True, 1, 1)
    assert edges(store) == {("g", "a")}
    assert titles(store)["a"] == "new"
    assert gone(store) == {"b": "explicit"}
    assert store.cursor("corp") == "c1"
    assert store.newest_extracts()["corp"].extract_id == "e1"
    assert take(landed_class("e3", {"a": "newer"}, before="c1", after="c2", kind=DELTA, minute=2)).accepted


def test_equal_content_after_single_accounts_is_loaded(store, take, landed_class):
    """What a read of single accounts changed is put right by the next full read, though its files equal the last full one's."""
    take(landed_class("e1", {"a": "x"}, content="same"))
    take(landed_class("e2", {"a": "passing"}, kind=ExtractKind.ONE, minute=1))
    assert take(landed_class("e3", {"a": "x"}, content="same", minute=2)).outcome == "consolidated"
    assert titles(store) == {"a": "x"}


def test_single_accounts_that_come_too_late_or_first_are_set_aside(store, take, landed_class):
    """Read before the newest extract, or of a tenant that was never read as a whole: superseded, nothing changes."""
    assert take(landed_class("e1", {"a": "first"}, kind=ExtractKind.ONE)).outcome == "superseded"
    take(landed_class("e2", {"a": "x"}, minute=5))
    assert take(landed_class("e3", {"a": "late"}, kind=ExtractKind.ONE, minute=4)).outcome == "superseded"
    assert titles(store) == {"a": "x"}


def test_equal_content_after_a_delta_is_loaded(store, take, landed_class):
    """What a delta changed in between is put right by a full read, though its files equal the last full one's."""
    take(landed_class("e1", {"a": "x"}, after="c1", content="same"))
    take(landed_class("e2", {"a": "y"}, kind=DELTA, before="c1", after="c2", minute=1))
    take(landed_class("e3", {"a": "x"}, content="same", minute=2))
    assert titles(store) == {"a": "x"}


def test_missing_from_a_complete_read_is_absent_and_comes_back(store, take, landed_class, now):
    """Absence from a complete read is evidence `absent` with its time; its edges end; the returned keeps its key."""
    take(landed_class("e1", {"a": "x", "b": "x"}, ["g"], [("g", "a"), ("g", "b")]))
    key = store.accounts().filter(pl.col("native_id") == "b")["account_key"].item()
    done = take(landed_class("e2", {"a": "x"}, ["g"], [("g", "a"), ("g", "b")], minute=1))
    assert (done.accounts.gone, done.aside) == (1, 1)
    assert gone(store) == {"b": "absent"}
    assert edges(store) == {("g", "a")}
    since = store.session.con.sql("SELECT gone_since FROM raw_account WHERE native_id = 'b'").fetchall()[0][0]
    assert since == now + timedelta(minutes=1)
    done = take(landed_class("e3", {"a": "x", "b": "x"}, ["g"], [("g", "a"), ("g", "b")], minute=2))
    assert (done.accounts.returned, gone(store)) == (1, {})
    assert store.accounts().filter(pl.col("native_id") == "b")["account_key"].item() == key
    assert edges(store) == {("g", "a"), ("g", "b")}


@pytest.mark.parametrize("verdict", [Verdict.PARTIAL, Verdict.SUSPECT])
def test_an_untrusted_read_removes_nobody(store, take, landed_class, verdict):
    """Rows of a partial or suspect read are merged; nothing that it lacks goes, no account and no edge."""
    take(landed_class("e1", {"a": "x", "b": "x"}, ["g"], [("g", "a"), ("g", "b")]))
    take(landed_class("e2", {"a": "y"}, ["g"], [], verdict=verdict, minute=1))
    assert titles(store) == {"a": "y", "b": "x"}
    assert gone(store) == {}
    assert edges(store) == {("g", "a"), ("g", "b")}


def test_a_complete_read_after_an_untrusted_one_of_equal_content_is_loaded(store, take, landed_class):
    """The hashes of a partial read never stand for a complete one."""
    take(landed_class("e1", {"a": "x", "b": "x"}))
    take(landed_class("e2", {"a": "x"}, verdict=PARTIAL, content="same", minute=1))
    take(landed_class("e3", {"a": "x"}, content="same", minute=2))
    assert gone(store) == {"b": "absent"}


def test_a_tombstone_is_explicit_and_keeps_what_was_known(store, take, landed_class):
    """A tombstone says nothing but that the object is gone; one of nobody we know is ignored."""
    take(landed_class("e1", {"a": "x", "b": "x"}, ["g"], [("g", "a"), ("g", "b")], after="c1"))
    take(landed_class("e2", dead=["b", "stranger"], kind=DELTA, before="c1", after="c2", minute=1))
    assert gone(store) == {"b": "explicit"}
    assert titles(store) == {"a": "x", "b": "x"}
    assert edges(store) == {("g", "a")}


def test_a_failed_read_is_reported_and_changes_nothing(store, take, landed_class):
    """A failed extract is not consolidated and does not become the newest."""
    take(landed_class("e1", {"a": "x"}))
    done = take(landed_class("e2", verdict=Verdict.FAILED, minute=1))
    assert (done.accepted, done.outcome, done.reason) == (False, "failed", "told")
    assert store.newest_extracts()["corp"].extract_id == "e1"
    assert gone(store) == {}


def test_a_delta_that_starts_elsewhere_is_superseded(store, take, landed_class):
    """A delta is taken only from the committed cursor; else it is reported, and its cursor is not committed."""
    take(landed_class("e1", {"a": "x"}, after="c1"))
    done = take(landed_class("e2", {"a": "y"}, kind=DELTA, before="c0", after="c9", minute=1))
    assert (done.accepted, done.outcome) == (False, "superseded")
    assert (titles(store), store.cursor("corp")) == ({"a": "x"}, "c1")
    assert take(landed_class("e3", {"a": "y"}, kind=DELTA, before="c1", after="c2", minute=2)).accepted
    assert (titles(store), store.cursor("corp")) == ({"a": "y"}, "c2")
    assert store.control.cursor(store.folder, "corp") == "c2"


def test_a_full_read_is_held_against_what_deltas_built(store, take, landed_class):
    """The reason tells how many rows differ, and nothing when they agree or when there were no deltas."""
    first = take(landed_class("e1", {"a": "A", "b": "B"}, after="c1"))
    assert first.reason == ""
    take(landed_class("e2", {"a": "A2"}, kind=ExtractKind.DELTA, before="c1", after="c2", minute=1))
    agreeing = take(landed_class("e3", {"a": "A2", "b": "B"}, after="c3", minute=2))
    assert (agreeing.accepted, agreeing.reason) == (True, "")
    differing = take(landed_class("e4", {"a": "A3", "c": "C"}, after="c4", minute=3))
    assert "1 added, 1 changed, 1 gone" in differing.reason


def test_what_was_gone_already_did_not_change(store, take, landed_class):
    """A second tombstone that tells more of somebody who is gone is no change of anybody who is there."""
    take(landed_class("e1", {"a": "A", "b": "B"}, after="c1"))
    take(landed_class("e2", dead=["b"], kind=ExtractKind.DELTA, before="c1", after="c2", minute=1))
    again = take(
        landed_class("e3", {"b": "other"}, dead=["b"], kind=ExtractKind.DELTA, before="c2", after="c3", minute=2)
    )
    assert (again.added, again.changed, again.gone) == (0, 0, 0)


def test_a_delta_never_starts_a_tenant(store, take, landed_class):
    """Without a committed cursor even a delta without one is superseded."""
    assert not take(landed_class("e1", {"a": "x"}, kind=DELTA)).accepted


def test_a_full_read_that_was_overtaken_is_superseded(store, take, landed_class):
    """A full read that began before the consolidated one does not turn time back."""
    take(landed_class("late", {"a": "new"}, minute=5))
    assert take(landed_class("early", {"a": "old"}, minute=1)).outcome == "superseded"
    assert titles(store) == {"a": "new"}


def test_a_delta_keeps_what_it_does_not_speak_of(store, take, landed_class):
    """An attribute left out keeps its value, one sent as null is cleared."""
    take(landed_class("e1", {"a": "x", "b": "x"}, after="c1"))
    delta = landed_class("e2", {"b": None}, kind=DELTA, before="c1", after="c2", minute=1)
    silent = delta.read("accounts").with_columns(native_id=pl.lit("a"), present=pl.lit(0, pl.UInt64), active=None)
    rows = pl.concat([delta.read("accounts"), silent])
    store.consolidate(
        delta.manifest, lambda name: rows if name == "accounts" else delta.read(name), "r1", delta.manifest.finished_at
    )
    assert titles(store) == {"a": "x", "b": None}
    assert store.accounts()["active"].to_list() == [True, True]


def test_delta_edges_come_go_and_are_replaced(store, take, landed_class):
    """Removed edges end, added ones start, and a group with all its members in the delta has those and no others."""
    take(
        landed_class(
            "e1", dict.fromkeys("abc", "x"), ["g", "h"], [("g", "a"), ("g", "b"), ("h", "a"), ("h", "b")], after="1"
        )
    )
    take(
        landed_class(
            "e2",
            {},
            ["h"],
            [("g", "c"), ("h", "c")],
            removed=[("g", "a")],
            listed=["h"],
            kind=DELTA,
            before="1",
            minute=1,
        )
    )
    assert edges(store) == {("g", "b"), ("g", "c"), ("h", "c")}


def test_an_edge_waits_for_its_member(store, take, landed_class):
    """An edge whose member is unknown is counted, kept aside, and stands as soon as the member appears."""
    done = take(landed_class("e1", {"a": "x"}, ["g"], [("g", "a"), ("g", "late")], after="c1"))
    assert (done.aside, edges(store)) == (1, {("g", "a")})
    done = take(landed_class("e2", {"late": "x"}, kind=DELTA, before="c1", after="c2", minute=1))
    assert (done.aside, edges(store)) == (0, {("g", "a"), ("g", "late")})


def test_a_delta_removes_an_edge_that_waits(store, take, landed_class):
    """An edge kept aside that the tenant removes does not come to life later."""
    take(landed_class("e1", {"a": "x"}, ["g"], [("g", "late")], after="c1"))
    take(landed_class("e2", removed=[("g", "late")], kind=DELTA, before="c1", after="c2", minute=1))
    take(landed_class("e3", {"late": "x"}, kind=DELTA, before="c2", after="c3", minute=2))
    assert edges(store) == set()


def test_tenants_do_not_mix(store, take, landed_class):
    """The same native ids in two tenants are two accounts; a read of one leaves the other alone."""
    take(landed_class("e1", {"a": "corp"}, ["g"], [("g", "a")]))
    take(landed_class("e2", {"a": "acq"}, ["g"], [("g", "a")], tenant="acq"))
    take(landed_class("e3", {}, tenant="acq", minute=1))
    assert store.accounts().select("tenant_key", "title", "gone").rows() == [(1, "corp", None), (2, "acq", "absent")]
    assert store.memberships().height == 1


def test_a_renamed_tenant_keeps_its_accounts(store, take, landed_class):
    """After a rename the next read meets the same keys."""
    take(landed_class("e1", {"a": "x"}))
    store.rename_tenant("corp", "group")
    store.rename_tenant("corp", "group")
    take(landed_class("e2", {"a": "y"}, tenant="group", minute=1))
    assert store.tenant_keys() == {"group": 1}
    assert titles(store) == {"a": "y"}
    assert store.control.known_tenants(store.folder) == {"group": 1}


DYING = """
import os, signal, sys
sys.path[:0] = [{tests!r}, {root!r}]
import conftest
from pathlib import Path
from state import consolidate as room
from state.store import Store
extract = conftest.Landed("e2", {{"a": "new", "b": "x"}}, ["g"], [("g", "b")], kind=conftest.ExtractKind.DELTA, before="c1", after="c2", minute=1)
real = room.commit_tenant
def die(*arguments):
    real(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)
room.commit_tenant = die
store = Store.open(Path({folder!r}), purpose="dying", now=lambda: conftest.NOW)
store.consolidate(extract.manifest, extract.read, "r2", conftest.NOW)
"""


def test_killed_before_commit_nothing_happened(tmp_path, landed_class, now):
    """SIGKILL after rows and cursor were written, before they were committed: all of it is undone, and the replay does it."""
    folder = tmp_path / "state"
    first = landed_class("e1", {"a": "old"}, after="c1")
    with Store.open(folder, purpose="test", now=lambda: now) as store:
        store.consolidate(first.manifest, first.read, "r1", now)
    here = Path(__file__).parent
    program = DYING.format(tests=str(here), root=str(here.parent.parent), folder=str(folder))
    ended = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    again = landed_class(
        "e2", {"a": "new", "b": "x"}, ["g"], [("g", "b")], kind=DELTA, before="c1", after="c2", minute=1
    )
    with Store.open(folder, purpose="test", now=lambda: now) as store:
        assert (titles(store), store.cursor("corp")) == ({"a": "old"}, "c1")
        assert store.memberships().height == 0
        done = store.consolidate(again.manifest, again.read, "r2", now)
        assert (done.outcome, titles(store), store.cursor("corp")) == ("consolidated", {"a": "new", "b": "x"}, "c2")


IDS = st.sampled_from("abcd")
GROUPS = st.sampled_from("gh")
READS = st.lists(
    st.tuples(
        st.dictionaries(IDS, st.sampled_from(["x", "y", None])),
        st.sets(GROUPS),
        st.sets(st.tuples(GROUPS, IDS)),
        st.sets(st.tuples(GROUPS, GROUPS)),
        st.sampled_from(["complete", "partial", "delta"]),
        st.sets(IDS),
        st.sets(st.tuples(GROUPS, IDS)),
    ),
    min_size=1,
    max_size=5,
)


def picture(session, run_no=None):
    """Accounts and edges that are valid: as the tables say, or as the history says of a run."""
    if run_no is None:
        suffix, valid = "", "TRUE"
    else:
        suffix, valid = "_history", f"valid_from_run <= {run_no} AND (valid_to_run IS NULL OR valid_to_run > {run_no})"
    accounts = session.con.sql(
        f"SELECT native_id, title, gone FROM raw_account{suffix} WHERE {valid} ORDER BY ALL"
    ).fetchall()
    members = session.con.sql(
        f"SELECT group_key, member_key, nested FROM raw_membership{suffix} WHERE {valid} ORDER BY ALL"
    ).fetchall()
    return accounts, members


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(reads=READS)
def test_history_knows_every_past_run(memory_session, landed_class, reads):
    """Whatever is read, the history's rows that are valid in a run are the picture which that run left; and open rows are unique."""
    session = memory_session()
    seen = {}
    for place, (accounts, groups, members, nested, how, dead, removed) in enumerate(reads):
        extract = landed_class(
            f"e{place}",
            accounts,
            sorted(groups),
            sorted(members),
            sorted(nested),
            removed=sorted(removed) if how == "delta" else (),
            dead=sorted(dead - set(accounts)) if how == "delta" else (),
            kind=DELTA if how == "delta" else ExtractKind.FULL,
            verdict=PARTIAL if how == "partial" else Verdict.COMPLETE,
            before=f"c{place - 1}",
            after=f"c{place}",
            minute=place,
        )
        done = consolidate(session, extract.manifest, extract.read, f"r{place}", extract.manifest.finished_at)
        assert done.accepted is (how != "delta" or place > 0)
        if not done.accepted:
            break
        if how == "complete":
            there = {key for key, _, why in picture(session)[0] if why is None}
            assert there == set(accounts)
            assert len(picture(session)[1]) == sum(g in groups and m in accounts for g, m in members) + sum(
                {g, m} <= groups for g, m in nested
            )
        run_no = session.run_no(f"r{place}", extract.manifest.finished_at)
        seen[run_no] = picture(session)
        assert len(set(seen[run_no][1])) == len(seen[run_no][1])
    for run_no, then in seen.items():
        assert picture(session, run_no) == then
    session.con.close()


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(before=st.dictionaries(IDS, st.sampled_from(["x", None])), after=st.dictionaries(IDS, st.sampled_from(["x", "y", None])),
       edges=st.tuples(st.sets(st.tuples(GROUPS, IDS)), st.sets(st.tuples(GROUPS, IDS))))  # fmt: skip
def test_a_delta_leads_where_a_full_read_leads(memory_session, landed_class, before, after, edges):
    """Full then delta leaves what two full reads leave, for everything that is there."""
    start, end = edges
    start, end = {pair for pair in start if pair[1] in before}, {pair for pair in end if pair[1] in after}
    first = landed_class("e1", before, "gh", sorted(start), after="c1")
    full = landed_class("e2", after, "gh", sorted(end), after="c2", minute=1)
    delta = landed_class(
        "e2", after, "gh", sorted(end - start), removed=sorted(start - end), dead=sorted(set(before) - set(after)),
        kind=DELTA, before="c1", after="c2", minute=1,
    )  # fmt: skip
    there = []
    for second in (full, delta):
        session = memory_session()
        for extract in (first, second):
            consolidate(session, extract.manifest, extract.read, extract.extract_id, extract.manifest.finished_at)
        accounts, _ = picture(session)
        members = session.con.sql(
            "SELECT g.native_id, a.native_id FROM raw_membership JOIN raw_group g USING (group_key) "
            "JOIN raw_account a ON account_key = member_key ORDER BY ALL"
        ).fetchall()
        there.append(([row for row in accounts if row[2] is None], members))
        session.con.close()
    assert there[0] == there[1]
