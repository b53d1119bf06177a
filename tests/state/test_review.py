from datetime import timedelta

import polars as pl
import pytest

from core.frames import DECIDED, LINK, REVIEW, UNDONE, conform, empty
from core.review import item_id
from state import sqlite as files
from state.control import Control, Decision
from state.snapshot import Snapshot, publish


def doubts(*rows):
    return conform(
        pl.DataFrame(rows, schema=["account_a", "account_b", "rule", "reason", "score"], orient="row"), REVIEW
    )


def count(store, table):
    return store.session.con.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0]


def test_doubts_are_kept_with_history_and_written_only_when_they_differ(store, now):
    """The same doubts again cost nothing; a changed score closes one row, a doubt that ends another."""
    rows = [(1, 2, "two_members", "why", 0.8), (1, 3, "unverified_address", "why", 0.5)]
    assert store.save_review("r1", doubts(*rows), empty(DECIDED), empty(UNDONE), now).added == 2
    assert store.save_review("r2", doubts(*rows[::-1]), empty(DECIDED), empty(UNDONE), now).added == 0
    moved = [(1, 2, "two_members", "why", 0.9)]
    done = store.save_review("r3", doubts(*moved), empty(DECIDED), empty(UNDONE), now)
    assert (done.added, done.changed, done.ended) == (0, 1, 1)
    assert count(store, "core_doubt_past") == 2
    assert store.doubts().equals(doubts(*moved))


def test_a_decision_counts_from_the_run_that_first_obeyed_it(store, now):
    """`since_run` is given once and stays; links as of before that run can be asked for."""
    links = conform(pl.DataFrame({"account_key": [1, 2], "person_key": [1, 2], "rule": "founding"}), LINK)
    merged = links.with_columns(person_key=pl.lit(1, pl.Int32))
    from core.frames import PERSON, PERSON_ID

    store.save_identity("r1", links, empty(PERSON_ID), empty(PERSON), now)
    fresh = pl.DataFrame([(1, 2, "same", None)], schema=DECIDED, orient="row")
    undone = pl.DataFrame([(1, 1, None)], schema=UNDONE, orient="row")
    store.save_identity("r2", merged, empty(PERSON_ID), empty(PERSON), now)
    store.save_review("r2", empty(REVIEW), fresh, undone, now)
    known = store.decided()
    since = known.item(0, "since_run")
    history = store.link_history()
    then = history.filter(pl.col("valid_to_run") == since).select(list(LINK))
    assert then.equals(links.filter(pl.col("account_key") == 2))
    assert history.filter(pl.col("valid_to_run").is_null()).select(list(LINK)).equals(merged)
    store.save_review("r3", empty(REVIEW), known, store.undone(), now)
    assert store.decided().equals(known)
    assert store.undone().rows() == [(1, 1, since)]
    assert store.decided_history().rows() == [(1, 2, since, None)]


def test_the_snapshot_shows_doubts_and_decisions(store, take, landed_class, now):
    """`doubts`: both accounts in a fixed order under a stable id; `decisions`: who, when, why, and which word stands."""
    take(landed_class("e1", {"b": "x", "a": "x"}))
    store.save_review("r1", doubts((1, 2, "two_members", "why", 0.8)), empty(DECIDED), empty(UNDONE), now)
    pair = {"tenant_a": "corp", "native_id_a": "b", "tenant_b": "corp", "native_id_b": "a"}
    said = Decision(**pair, decision="same", decided_by="mia", why="asked her")
    store.control.decide([said], now)
    store.control.decide([Decision(**pair, decision="different", decided_by="leo", why="wrong", verified=True)], now)
    store.control.import_into(store)
    publish(store, now=now)
    with Snapshot.open(store.folder) as snapshot:
        doubt = snapshot.table("doubts").row(0, named=True)
        decisions = snapshot.table("decisions").to_dicts()
    assert (doubt["native_id_a"], doubt["native_id_b"]) == ("a", "b")
    assert doubt["item"] == item_id(("corp", "b"), ("corp", "a"))
    assert [(each["decision"], each["why"], each["verified"], each["stands"]) for each in decisions] == [
        ("different", "wrong", True, True),
        ("same", "asked her", False, False),
    ]


def test_a_word_keeps_its_time_and_follows_a_rename(store, now):
    """A decision may bring its own time; a renamed tenant is renamed in the control store too, where a lost state finds it."""
    earlier = now - timedelta(days=9)
    said = Decision("corp", "a", "hr", "b", "same", "mia", why="x", decided_at=earlier)
    store.ensure_tenants(["corp", "hr"])
    store.control.decide([said], now)
    store.rename_tenant("corp", "group")
    (word,) = store.control.words()
    assert (word.tenant_a, word.tenant_b, word.decided_at, word.why) == ("group", "hr", earlier, "x")


def test_an_older_control_store_learns_to_say_why(tmp_path, monkeypatch, now):
    """Decisions made before there was a `why` are kept, with an empty one."""
    every = files.migrations
    with monkeypatch.context() as patch:
        patch.setattr(files, "migrations", lambda prefix: every(prefix)[:1])
        con = files.connect(tmp_path / "control.sqlite", "control_")
        con.execute(
            "INSERT INTO decision VALUES (1, 'd', 'corp', 'a', 'hr', 'b', 'same', 'mia', '2026-11-02 09:00:00.000000')"
        )
        con.close()
    with Control.open(tmp_path) as control:
        (word,) = control.words()
        assert (word.decided_by, word.decided_at, word.why, word.verified) == ("mia", now, "", False)


@pytest.mark.parametrize("one", [("a", "ß/1"), ("a", "\x1f")])
def test_ids_of_pairs_are_blind_to_order_and_tell_pairs_apart(one):
    """Either way round the same; 32 hex digits; another account another id."""
    other = ("b", "1")
    assert item_id(one, other) == item_id(other, one)
    assert len(item_id(one, other)) == 32
    assert item_id(one, other) != item_id(one, ("b", "2"))
