"""Guards hold whole classes, say why, release only what was approved, and never let a dependent slip through."""

from __future__ import annotations

import polars as pl
import pytest

from core.diff import Difference
from core.draft import DRAFT, VALUE
from core.frames import APPROVAL, WINDOW, conform
from core.guard import guard, waits
from core.guard_facts import POPULATION, GuardFacts
from core.plan import order
from core.settings import BUILT_IN_PROTECTION, Limits


def drafts(*rows: dict[str, object]) -> Difference:
    """Drafts from a few words each: verb, who, group, evidence, caution."""
    full = []
    for place, row in enumerate(rows):
        who, group = row.get("who"), row.get("group")
        full.append(
            {
                "row": place,
                "target": row.get("target", "jira"),
                "verb": row["verb"],
                "object_id": f"{group}|{who}" if group and who is not None else group or f"r{who}",
                "user_name": row.get("name", f"u{who}") if who is not None else None,
                "group_name": group,
                "person_key": who,
                "person_id": f"p{who}",
                "user_key": who,
                "evidence": row.get("evidence", "grant"),
                "evidence_tenant": row.get("tenant", 1),
                "caution": row.get("caution"),
            }
        )
    frame = conform(pl.DataFrame(full, infer_schema_length=None), DRAFT)
    return Difference(frame, pl.DataFrame(schema=VALUE))


def facts(**more: object) -> GuardFacts:
    """Facts of a settled target with 1,000 active persons of tenant 1."""
    plain: dict[str, object] = {
        "limits": Limits(),
        "protect": BUILT_IN_PROTECTION,
        "tenant_names": {1: "corp", 2: "acquired"},
        "first_contact": frozenset(),
        "population": pl.DataFrame([("jira", 1, 1000)], schema=POPULATION, orient="row"),
        "group_sizes": pl.DataFrame(
            [("jira", "devs", 100)],
            schema={"target": pl.String(), "group_name": pl.String(), "members": pl.Int64()},
            orient="row",
        ),
        "protected_users": pl.DataFrame(
            schema={"target": pl.String(), "user_key": pl.Int32(), "protected": pl.String()}
        ),
        "protected_groups": pl.DataFrame(schema={"target": pl.String(), "group_name": pl.String()}),
        "doubtful": pl.Series("person_key", [], dtype=pl.Int32),
    }
    return GuardFacts(**{**plain, **more})  # type: ignore[arg-type]  # a test's shorthand


def approvals(fingerprints: list[str]) -> pl.DataFrame:
    """APPROVAL rows for these."""
    return conform(pl.DataFrame({"fingerprint": fingerprints}, schema={"fingerprint": pl.String()}), APPROVAL)


def leavers(number: int, evidence: str = "absent") -> Difference:
    """So many deactivations on one tenant's word."""
    return drafts(*({"verb": "deactivate_user", "who": who, "evidence": evidence} for who in range(number)))


@pytest.mark.parametrize(
    ("evidence", "number", "held"),
    [
        ("absent", 3, 0),
        ("absent", 4, 4),
        ("explicit", 10, 0),
        ("explicit", 11, 11),
        ("out_of_scope", 1, 1),
        ("retired", 1, 1),
    ],
)
def test_a_tripped_limit_holds_its_whole_class(evidence, number, held):
    """max(floor, percent) by evidence kind: at the limit all flow, one more and all wait, never an arbitrary rest."""
    done = guard(order([leavers(number, evidence)]), facts())
    assert done.changes.filter(pl.col("held_by").is_not_null()).height == held
    assert [each.count for each in done.holds] == ([held] if held else [])


def test_a_limit_grows_with_the_tenant():
    """0.1 % of 10,000 active persons is 10."""
    many = pl.DataFrame([("jira", 1, 10_000)], schema=POPULATION, orient="row")
    assert not guard(order([leavers(10)]), facts(population=many)).holds
    assert guard(order([leavers(11)]), facts(population=many)).holds[0].count == 11


def test_one_person_is_no_mass():
    """A plan of one person passes the limits that measure a mass and the window of days; a limit of nought holds it all the same."""
    full = pl.DataFrame([("jira", "deactivate_user", "absent", 1, 999)], schema=WINDOW, orient="row")
    removals = [
        {"verb": "remove_member", "who": 1, "group": f"tiny{place}", "evidence": "explicit"} for place in range(3)
    ]
    mine = drafts(*({"verb": "deactivate_user", "who": who, "evidence": "absent"} for who in range(4)), *removals)
    assert guard(order([mine]), facts(window=full)).holds
    assert not guard(order([mine]), facts(window=full, alone=True)).holds
    named = drafts({"verb": "rename_user", "who": 1})
    assert [each.guard for each in guard(order([named]), facts(alone=True)).holds] == ["limit"]


def test_other_tenants_and_verbs_go_on():
    """One tenant's vanished people hold nobody else's changes."""
    both = drafts(
        *({"verb": "deactivate_user", "who": who, "evidence": "absent"} for who in range(5)),
        {"verb": "deactivate_user", "who": 50, "evidence": "absent", "tenant": 2},
        {"verb": "create_user", "who": 60},
    )
    done = guard(order([both]), facts())
    assert done.changes.filter(pl.col("held_by").is_null()).get_column("person_key").sort().to_list() == [50, 60]
    assert "corp" in done.holds[0].reason


def test_the_window_counts_what_was_done_before():
    """Slow bleeding trips too: 20 in the last days and 6 now are more than 25."""
    before = pl.DataFrame([("jira", "deactivate_user", "explicit", 1, 20)], schema=WINDOW, orient="row")
    ordered = order([leavers(6, "explicit")])
    assert guard(ordered, facts()).holds == ()
    held = guard(ordered, facts(window=before)).holds
    assert [each.guard for each in held] == ["window"]


def test_an_approval_releases_its_fingerprint_and_no_other():
    """38 approved; one more of the same kind is counted alone."""
    ordered = order([leavers(8)])
    given = ordered.changes.get_column("fingerprint").head(7).to_list()
    done = guard(ordered, facts(approvals=approvals(given)))
    assert done.changes.filter(pl.col("held_by").is_null()).height == 8  # the eighth alone is below the limit of 3
    given = given[:4]
    done = guard(ordered, facts(approvals=approvals(given)))
    ready = done.changes.filter(pl.col("held_by").is_null()).get_column("fingerprint").to_list()
    assert sorted(ready) == sorted(given)


def test_first_contact_waits_and_reduces_nothing():
    """Everything waits; what takes access away is not released by any approval."""
    rows = drafts(
        {"verb": "adopt_user", "who": 1, "caution": "adopt"},
        {"verb": "create_user", "who": 2},
        {"verb": "deactivate_user", "who": 3, "evidence": "explicit"},
        {"verb": "rename_user", "who": 1},
    )
    ordered = order([rows])
    first = facts(first_contact=frozenset({"jira"}))
    done = guard(ordered, first)
    assert done.changes.get_column("held_by").null_count() == 0
    everything = approvals(ordered.changes.get_column("fingerprint").to_list())
    after = guard(ordered, GuardFacts(**{**first.__dict__, "approvals": everything}))
    ready = after.changes.filter(pl.col("held_by").is_null()).get_column("verb").cast(pl.String).to_list()
    assert sorted(ready) == ["adopt_user", "create_user"]


def test_protected_objects_are_out_of_reach():
    """Administrators, break-glass names and admin groups stay, approved or not."""
    rows = drafts(
        {"verb": "deactivate_user", "who": 1, "evidence": "explicit"},
        {"verb": "create_user", "who": 2, "name": "BreakGlass-1"},
        {"verb": "add_member", "who": 3, "group": "jira-administrators"},
        {"verb": "add_member", "who": 3, "group": "ops"},
        {"verb": "add_member", "who": 3, "group": "devs"},
    )
    ordered = order([rows])
    shut = pl.DataFrame(
        [("jira", 1, "administrator")],
        schema={"target": pl.String(), "user_key": pl.Int32(), "protected": pl.String()},
        orient="row",
    )
    admin = pl.DataFrame([("jira", "ops")], schema={"target": pl.String(), "group_name": pl.String()}, orient="row")
    everything = approvals(ordered.changes.get_column("fingerprint").to_list())
    done = guard(ordered, facts(protected_users=shut, protected_groups=admin, approvals=everything))
    ready = done.changes.filter(pl.col("held_by").is_null())
    assert ready.get_column("group_name").to_list() == ["devs"]


def test_edges_wait_for_their_user_and_group():
    """A held creation holds the edges that require it, a held adoption of a group too; others flow."""
    rows = drafts(
        {"verb": "create_user", "who": 1, "caution": "foreign_delete"},
        {"verb": "adopt_group", "group": "ops", "who": None, "caution": "adopt"},
        {"verb": "add_member", "who": 1, "group": "devs"},
        {"verb": "add_member", "who": 2, "group": "OPS"},
        {"verb": "add_member", "who": 2, "group": "devs"},
    )
    done = guard(order([rows]), facts())
    ready = done.changes.filter(pl.col("held_by").is_null()).select("person_key", "group_name").rows()
    assert ready == [(2, "devs")]


def test_a_hold_on_one_change_holds_its_unit_but_not_a_leavers():
    """A person's update waits with his held reactivation; somebody else's deactivation does not."""
    rows = drafts(
        *({"verb": "reactivate_user", "who": who} for who in range(11)),
        {"verb": "update_user", "who": 3},
        {"verb": "update_user", "who": 99},
        {"verb": "deactivate_user", "who": 98, "evidence": "explicit"},
    )
    done = guard(order([rows]), facts())
    ready = done.changes.filter(pl.col("held_by").is_null()).get_column("person_key").sort().to_list()
    assert ready == [98, 99]


def test_names_that_stay_by_config_ask_nobody():
    """Renames while `rename` is false are shown as held, hold no update of the same person, and wait for nobody."""
    rows = drafts(
        {"verb": "rename_user", "who": 1, "caution": "rename_off"},
        {"verb": "update_user", "who": 1},
    )
    done = guard(order([rows]), facts())
    held = done.changes.filter(pl.col("held_by").is_not_null())
    assert held.get_column("verb").cast(pl.String).to_list() == ["rename_user"]
    assert waits(done.changes, done.holds) == 0


def test_removals_that_come_with_a_changed_config_wait_and_go_on_waiting():
    """A scheduled second run does not release what the first one held for the config."""
    rows = drafts(
        {"verb": "remove_member", "who": 1, "group": "devs", "evidence": "absent"},
        {"verb": "deactivate_user", "who": 2, "evidence": "explicit"},
    )
    ordered = order([rows])
    first = guard(ordered, facts(config_changed=True))
    held = first.changes.filter(pl.col("held_by").is_not_null())
    assert held.get_column("person_key").to_list() == [1]
    second = guard(ordered, facts(held_before=held.get_column("fingerprint")))
    assert second.changes.filter(pl.col("held_by").is_not_null()).get_column("person_key").to_list() == [1]
    assert guard(ordered, facts()).holds == ()


def test_doubtful_persons_neither_gain_nor_lose():
    """Until somebody decides whose accounts these are, grants and removals wait; an update of a phone number does not."""
    rows = drafts(
        {"verb": "create_user", "who": 1},
        {"verb": "deactivate_user", "who": 2, "evidence": "explicit"},
        {"verb": "update_user", "who": 3},
    )
    done = guard(order([rows]), facts(doubtful=pl.Series("person_key", [1, 2, 3], dtype=pl.Int32)))
    assert done.changes.filter(pl.col("held_by").is_null()).get_column("person_key").to_list() == [3]


def test_more_users_than_seats_hold_all_of_them():
    """Not the first that fit."""
    rows = drafts(
        {"verb": "create_user", "who": 1}, {"verb": "create_user", "who": 2}, {"verb": "update_user", "who": 3}
    )
    done = guard(order([rows]), facts(seats={"jira": 1}))
    assert done.changes.filter(pl.col("held_by").is_null()).get_column("person_key").to_list() == [3]
    assert not done.holds[0].releasable


def test_many_leaving_one_group_hold_that_group_alone():
    """11 of 100 is more than 10 %."""
    rows = drafts(
        *({"verb": "remove_member", "who": who, "group": "devs", "evidence": "absent"} for who in range(11)),
        {"verb": "remove_member", "who": 1, "group": "ops", "evidence": "absent"},
    )
    done = guard(order([rows]), facts())
    assert done.changes.filter(pl.col("held_by").is_null()).get_column("group_name").to_list() == ["ops"]


def test_outside_the_rollout_nothing_is_written():
    """Persons outside wait, and nobody is asked about it."""
    out = pl.DataFrame([("jira", 2)], schema={"target": pl.String(), "person_key": pl.Int32()}, orient="row")
    rows = drafts({"verb": "create_user", "who": 1}, {"verb": "create_user", "who": 2})
    done = guard(order([rows]), facts(outside=out))
    assert done.changes.filter(pl.col("held_by").is_null()).get_column("person_key").to_list() == [1]
    assert waits(done.changes, done.holds) == 0
