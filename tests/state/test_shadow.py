from datetime import timedelta

import polars as pl
import pytest

from core.errors import RefusedError
from core.frames import EXISTING_GROUP, EXISTING_MEMBERSHIP, EXISTING_USER, KNOWN
from core.model import Outcome, Receipt, Verb
from state.ledger import Intent


def users(**names):
    return pl.DataFrame({"remote_id": list(names), "user_name": list(names.values()), "active": [True] * len(names)})


def groups(*names):
    return pl.DataFrame(
        {"remote_id": list(names), "name": list(names)}, schema={"remote_id": pl.String, "name": pl.String}
    )


def edges(*pairs):
    return pl.DataFrame(pairs, schema={"group_id": pl.String, "user_id": pl.String}, orient="row")


@pytest.fixture
def see(store, now):
    def observe(people, teams=None, pairs=None, *, complete=True, at=now):
        return store.observe(
            "jira", people, groups() if teams is None else teams, edges() if pairs is None else pairs,
            complete=complete, run_id="r1", now=at,
        )  # fmt: skip

    return observe


@pytest.fixture
def did(store, now):
    """Calls as an apply makes them: intent, receipt."""

    def write(*intents, outcome=Outcome.APPLIED, remote_id=None):
        ids = store.ledger.intend("r1", "abcd", intents, now)
        store.ledger.receive("r1", [(each, Receipt(outcome, remote_id)) for each in ids], now)

    return write


def by_id(store):
    return {row["remote_id"]: row for row in store.existing("jira").users.iter_rows(named=True)}


def owned_edges(store):
    found = store.existing("jira")
    names = dict(found.groups.select("group_key", "name").iter_rows())
    ids = dict(found.users.select("user_key", "remote_id").iter_rows())
    return {(names[group], ids[user]): owned for group, user, owned in found.memberships.iter_rows()}


def test_an_unseen_target_is_empty_and_unadopted(store):
    """Before anything was read the shadow is empty with the right columns, and it is first contact."""
    found = store.existing("jira")
    assert (found.users.schema, found.groups.schema, found.memberships.schema) == (
        EXISTING_USER,
        EXISTING_GROUP,
        EXISTING_MEMBERSHIP,
    )
    assert store.first_contact("jira")


def test_adoption_ends_first_contact(store, now):
    """Once adopted, never first contact again; other targets are not touched."""
    store.mark_adopted("jira", "r1", now)
    assert not store.first_contact("jira")
    assert store.first_contact("confluence")


def test_keys_stay_and_vanished_ones_are_not_present(store, see):
    """A second complete reading keeps keys, marks what it lacks as not present, and what returns is present again."""
    see(users(J1="ada", J2="bob"), groups("devs"), edges(("devs", "J1"), ("devs", "J2")))
    key = by_id(store)["J2"]["user_key"]
    done = see(users(J1="ada"), groups("devs"), edges(("devs", "J1")))
    assert (done.users_vanished, done.edges_removed, by_id(store)["J2"]["present"]) == (1, 1, False)
    see(users(J1="ada", J2="bob"), groups("devs"), edges(("devs", "J1")))
    assert (by_id(store)["J2"]["present"], by_id(store)["J2"]["user_key"]) == (True, key)


def test_an_incomplete_reading_proves_no_absence(store, see):
    """Without a complete listing nothing vanishes, neither users nor groups nor edges."""
    see(users(J1="ada", J2="bob"), groups("devs"), edges(("devs", "J1")))
    see(users(J1="ada lovelace"), groups("devs"), edges(("devs", "J2")), complete=False)
    assert {key: row["present"] for key, row in by_id(store).items()} == {"J1": True, "J2": True}
    assert by_id(store)["J1"]["user_name"] == "ada lovelace"
    assert owned_edges(store) == {("devs", "J1"): False, ("devs", "J2"): False}


def test_what_an_answer_lacks_keeps_its_value(store, see):
    """An attribute outside the answer keeps what was read before; `known` grows and never shrinks."""
    see(users(J1="ada").with_columns(email=pl.lit("ada@corp.example")))
    see(users(J1="countess"))
    row = by_id(store)["J1"]
    assert (row["user_name"], row["email"]) == ("countess", "ada@corp.example")
    assert row["known"] == KNOWN["user_name"] | KNOWN["email"]


def test_an_attribute_read_as_null_is_known_to_be_null(store, see):
    """Contained and null is knowledge, not absence."""
    see(users(J1="ada").with_columns(email=pl.lit("ada@corp.example")))
    see(users(J1="ada").with_columns(email=pl.lit(None, pl.String)))
    assert by_id(store)["J1"]["email"] is None


def test_two_rows_of_one_remote_id_are_refused(see):
    """A repeated page is no reading."""
    with pytest.raises(RefusedError, match="two users with one remote id"):
        see(pl.concat([users(J1="ada"), users(J1="ada")]))


def test_strays_are_counted(store, see):
    """An edge of a user that the target does not show is counted and left out."""
    assert see(users(J1="ada"), groups("devs"), edges(("devs", "ghost"))).strays == 1
    assert owned_edges(store) == {}


def test_an_unchanged_reading_writes_no_history(store, see, now):
    """Reading the same again moves the time of observation and nothing else."""
    see(users(J1="ada"), groups("devs"), edges(("devs", "J1")))
    see(users(J1="ada"), groups("devs"), edges(("devs", "J1")), at=now + timedelta(hours=1))
    for table in ("target_user", "target_group", "target_membership"):
        assert store.session.con.execute(f"SELECT count(*) FROM {table}_past").fetchall() == [(0,)]
    assert store.session.con.execute("SELECT observed_at FROM target_user").fetchall() == [(now + timedelta(hours=1),)]


def test_receipts_become_knowledge(store, see, did, now):
    """Create, update, rename, deactivate, in this order on one user: the last word stands, it is ours, and belongs to its person."""
    see(users(J1="ada"))
    who = {"person_key": 7, "person_id": "p-7"}
    did(
        Intent(0, "jira", Verb.CREATE_USER, "person:p-7", "a", after={"user_name": "bob", "title": "x"}, **who),
        remote_id="J2",
    )
    did(Intent(1, "jira", Verb.UPDATE_USER, "J2", "b", remote_id="J2", after={"title": "y", "email": None}))
    did(Intent(2, "jira", Verb.RENAME_USER, "J2", "c", remote_id="J2", after={"user_name": "robert"}))
    did(
        Intent(
            3,
            "jira",
            Verb.DEACTIVATE_USER,
            "J2",
            "d",
            remote_id="J2",
            before={"active": "true"},
            after={"active": "false"},
        )
    )
    did(Intent(4, "jira", Verb.UPDATE_USER, "J1", "e", remote_id="J1", after={"title": "lost"}), outcome=Outcome.FAILED)
    assert store.record_receipts("r1", now) == 5
    row = by_id(store)["J2"]
    assert (row["user_name"], row["title"], row["active"], row["owned"], row["person_key"]) == (
        "robert",
        "y",
        False,
        True,
        7,
    )
    assert row["known"] == KNOWN["user_name"] | KNOWN["title"] | KNOWN["email"]
    assert by_id(store)["J1"]["title"] is None


def test_receipts_count_once(store, did, now):
    """Recording again, also after reopening the state, does nothing."""
    did(Intent(0, "jira", Verb.CREATE_USER, "person:p", "a", after={"user_name": "bob"}), remote_id="J2")
    assert store.record_receipts("r1", now) == 1
    assert store.record_receipts("r1", now) == 0
    assert len(by_id(store)) == 1


def test_a_ledger_that_lost_receipts_is_refused(store, did, now):
    """A state never takes the first receipts of another ledger for the ones that it knows."""
    did(Intent(0, "jira", Verb.CREATE_USER, "person:p", "a", after={"user_name": "bob"}), remote_id="J2")
    store.record_receipts("r1", now)
    store.ledger._con.execute("DELETE FROM receipt")
    with pytest.raises(RefusedError, match="it is not its ledger"):
        store.existing("jira")


def test_an_apply_that_died_is_caught_up(store, did):
    """Receipts that nobody recorded are in what `existing` gives."""
    did(Intent(0, "jira", Verb.CREATE_USER, "person:p", "a", after={"user_name": "bob"}), remote_id="J2")
    assert list(by_id(store)) == ["J2"]


def test_adopted_users_become_ours_and_nothing_else_changes(store, see, did):
    """Adopting names the owner; no value and no time of writing moves."""
    see(users(J1="ada"))
    did(Intent(0, "jira", Verb.ADOPT_USER, "J1", "a", person_key=7, user_key=1), outcome=Outcome.ALREADY)
    row = by_id(store)["J1"]
    assert (row["owned"], row["person_key"], row["user_name"], row["active"]) == (True, 7, "ada", True)
    assert store.session.con.execute("SELECT written_at FROM target_user").fetchall() == [(None,)]


def test_edges_we_add_are_ours(store, see, did):
    """An added edge is owned, a removed one is gone, a foreign one stays foreign; added and removed in one run leaves none."""
    see(users(J1="ada", J2="bob"), groups("devs", "ops"), edges(("devs", "J1"), ("ops", "J1")))
    add = {"verb": Verb.ADD_MEMBER, "object_id": "x", "fingerprint": "a", "target": "jira"}
    did(Intent(0, group_name="Devs", remote_id="J2", **add), Intent(1, group_name="ops", remote_id="J2", **add))
    did(Intent(2, "jira", Verb.REMOVE_MEMBER, "x", "b", group_name="ops", remote_id="J2"))
    did(Intent(3, "jira", Verb.REMOVE_MEMBER, "x", "c", group_name="ops", remote_id="J1"))
    assert owned_edges(store) == {("devs", "J1"): False, ("devs", "J2"): True}


def test_members_of_a_group_made_in_the_same_run(store, see, did):
    """A group and a user created in a run, and their edge, are all known and ours, before any of it was read."""
    see(users(J1="ada"))
    did(Intent(0, "jira", Verb.CREATE_USER, "person:p", "a", after={"user_name": "bob"}), remote_id="J2")
    did(Intent(1, "jira", Verb.CREATE_GROUP, "group:new", "b", group_name="new"), remote_id="new")
    did(Intent(2, "jira", Verb.ADD_MEMBER, "new|J2", "c", group_name="new", remote_id="J2"))
    assert owned_edges(store) == {("new", "J2"): True}
    assert store.existing("jira").groups["owned"].to_list() == [True]


def test_an_exact_group_is_adopted_with_its_members(store, see, did):
    """Edges of a group adopted as exact are ours; of one adopted as add_only they stay foreign."""
    see(users(J1="ada"), groups("a", "b"), edges(("a", "J1"), ("b", "J1")))
    did(Intent(0, "jira", Verb.ADOPT_GROUP, "a", "f", group_name="a", after={"policy": "exact"}))
    did(Intent(1, "jira", Verb.ADOPT_GROUP, "b", "g", group_name="b", after={"policy": "add_only"}))
    assert owned_edges(store) == {("a", "J1"): True, ("b", "J1"): False}
    assert store.existing("jira").groups["owned"].to_list() == [True, True]


def test_deleted_objects_are_not_present_and_lose_their_edges(store, see, did):
    """Deleting a group or a user ends its edges; the rows stay, not present."""
    see(users(J1="ada", J2="bob"), groups("a", "b"), edges(("a", "J1"), ("b", "J1"), ("b", "J2")))
    did(Intent(0, "jira", Verb.DELETE_GROUP, "a", "f", group_name="a"))
    did(Intent(1, "jira", Verb.DELETE_USER, "J2", "g", remote_id="J2"))
    assert owned_edges(store) == {("b", "J1"): False}
    assert by_id(store)["J2"]["present"] is False
    assert store.existing("jira").groups["present"].to_list() == [False, True]


def test_the_default_groups_of_a_created_user_are_known(store, see, did):
    """The target puts a user it creates into its default groups; the shadow knows, and does not call the edge ours."""
    see(users(), groups("g1", "g2").with_columns(implicit=pl.Series([True, False])))
    did(
        Intent(0, "jira", Verb.CREATE_USER, "person:p1", "f1", person_key=1, after={"user_name": "ada"}), remote_id="u1"
    )
    assert owned_edges(store) == {("g1", "u1"): False}
