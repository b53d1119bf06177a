"""What happened to a person, oldest first: accounts that came and went, values that changed, calls that were sent."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import polars as pl

from core.frames import PERSON_ATTRIBUTES
from core.survive import rule_at
from state.snapshot import Snapshot
from tasks.who import Moment

Row = dict[str, Any]


def history(
    snapshot: Snapshot,
    person_id: str,
    links: pl.DataFrame,
    when: Moment,
    names: dict[int, str],
) -> list[Row]:
    """What happened to the person, oldest first: accounts that came and went, values that changed, calls that were sent."""
    told = _movements(links, when) + _versions(snapshot, person_id, when, names) + _lineage(snapshot, person_id, when)
    sent = snapshot.ask("explain_written", {"person_id": person_id, "at": when.at})
    values = snapshot.ask("explain_written_values", {"person_id": person_id}).to_dicts()
    for row in sent.iter_rows(named=True):
        mine = [each for each in values if each["intent_id"] == row["intent_id"]]
        told.append(
            {
                "at": row["received_at"],
                "run_id": row["run_id"],
                "what": row["verb"],
                "target": row["target"],
                "object": row["group_name"] or row["user_name"],
                "outcome": row["outcome"],
                "evidence": row["evidence"],
                "reason": row["reason"] or row["detail"] or None,
                "values": [{name: each[name] for name in ("attribute", "before", "after")} for each in mine],
            }
        )
    return sorted(told, key=lambda each: str(each["at"] or ""))


def became(snapshot: Snapshot, person_id: str, when: Moment) -> dict[str, Row]:
    """Attribute → since when, and by which run, it has its value from its account by its rule (`since`, `since_run`)."""
    rows = snapshot.ask("explain_versions", {"person_id": person_id, "run_no": when.run_no}).to_dicts()
    found: dict[str, Row] = {}
    before: Row = {}
    for row in rows:
        for name in PERSON_ATTRIBUTES:
            made = (row[name], row[f"from_{name}"], rule_at(row["rules"] or 0, name))
            if name not in found or made != before[name]:
                found[name] = {"since": row["began_at"], "since_run": row["run_id"]}
            before[name] = made
    return found


def _movements(links: pl.DataFrame, when: Moment) -> list[Row]:
    told = []
    for row in links.iter_rows(named=True):
        account = {"account": f"{row['tenant']} {row['native_id']}"}
        why = " ".join(word for word in (row["rule"], row["evidence"]) if word)
        told.append(
            {"at": row["since"], "run_id": row["since_run"], "what": "account joined", "reason": why, **account}
        )
        if row["valid_to_run"] is not None and row["valid_to_run"] <= when.run_no:
            told.append(
                {"at": row["until"], "run_id": row["until_run"], "what": "account or its edge moved", **account}
            )
    return told


def _lineage(snapshot: Snapshot, person_id: str, when: Moment) -> list[Row]:
    """Which persons this one came from and went into, and which id continued."""
    rows = snapshot.ask("explain_lineage", {"person_id": person_id, "run_no": when.run_no})
    return [
        {
            "at": row["began_at"],
            "run_id": row["run_id"],
            "what": f"person {row['event']}",
            "object": None
            if row["person_from"] is None
            else f"{row['person_from']} -> {row['person_to']}, {row['accounts']} accounts, {row['continues']} continues",
            "reason": ": ".join(word for word in (row["reason"], row["edge"]) if word),
            **{name: row[name] for name in ("event", "person_from", "person_to", "accounts", "continues", "edge")},
        }
        for row in rows.iter_rows(named=True)
    ]


def _versions(snapshot: Snapshot, person_id: str, when: Moment, names: dict[int, str]) -> list[Row]:
    rows = snapshot.ask("explain_versions", {"person_id": person_id, "run_no": when.run_no}).to_dicts()
    told = []
    for before, after in pairwise(rows):
        values = [
            {"attribute": name, "before": before[name], "after": after[name]}
            for name in (*PERSON_ATTRIBUTES, "doubtful")
            if before[name] != after[name]
        ]
        if before["home_tenant"] != after["home_tenant"]:
            homes = names.get(before["home_tenant"]), names.get(after["home_tenant"])
            values.append({"attribute": "home_tenant", "before": homes[0], "after": homes[1]})
        if values:
            told.append(
                {
                    "at": after["began_at"],
                    "run_id": after["run_id"],
                    "what": "person changed",
                    "reason": after["status_reason"],
                    "values": values,
                }
            )
    return told
