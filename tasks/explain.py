"""Everything that is known of one person, from the newest snapshot: whose word made what, what targets hold and should hold, and since when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import polars as pl

from connectors.target import target_class
from core.config import Config
from core.desired import Picture, TargetSpec, desire
from core.errors import RefusedError
from core.existing import nothing
from core.explain import Attribute, Voice, attributes
from core.frames import ACCOUNT, EXISTING_GROUP, GROUP, GROUP_MEMORY, LINK, PERSON, PUSHED, conform
from core.group_renames import settle
from core.model import TenantFacts
from core.survive import MADE_BY, rule_at
from state.snapshot import Snapshot
from tasks.explain_history import became, history
from tasks.facts import tenant_facts
from tasks.installation import Installation
from tasks.override import said_of
from tasks.who import Moment, moment, the_one

Row = dict[str, Any]


def explain(inst: Installation, snapshot: Snapshot, who: str, at: datetime | None = None) -> Row:
    """The document of `onefold explain`. `at` in UTC; None: now. ConfigError when `who` is nobody or several."""
    when = moment(snapshot, at)
    person_id = str(the_one(snapshot, who, when)["person_id"])
    found = snapshot.ask("explain_person", {"person_id": person_id, "run_no": when.run_no})
    if found.is_empty():
        raise RefusedError(
            f"{person_id} was not known yet at that time", remedy="Leave `--at` out, or ask for a later time"
        )
    person = found.row(0, named=True)
    facts = tenant_facts(inst, snapshot)
    links = snapshot.ask("explain_links", {"person_key": person["person_key"], "run_no": when.run_no})
    valid = pl.col("valid_to_run").is_null() | (pl.col("valid_to_run") > when.run_no)
    held = links.filter(valid)
    keys = held.get_column("account_key").to_list()
    accounts = snapshot.ask("explain_accounts", {"accounts": keys, "run_no": when.run_no}, ACCOUNT).sort("account_key")
    mine = [each for each in facts if each.tenant_key in set(accounts.get_column("tenant_key"))]
    told = attributes(accounts, conform(held, LINK), mine, inst.config.settings.attributes, today=inst.today())
    names = {each.tenant_key: each.name for each in facts}
    since = became(snapshot, person_id, when)
    groups = snapshot.ask("explain_group_rows", {"run_no": when.run_no})
    paths = snapshot.ask("explain_groups", {"accounts": keys, "run_no": when.run_no})
    targets = _existing(snapshot, person["person_key"], when)
    if at is None:
        picture = _picture(found, accounts, conform(held, LINK), groups, paths, facts)
        _add_desired(inst, snapshot, targets, picture)
    pending, holds = _pending(snapshot, person_id) if at is None else ([], [])
    return {
        "person_id": person_id,
        "at": at,
        "snapshot_published_at": snapshot.published_at,
        "person": _person(person, names),
        "accounts": _accounts(accounts, held, names),
        "overrides": [
            each for each in said_of(inst, snapshot, person_id) if when.at is None or each["said_at"] <= when.at
        ],
        "decisions": snapshot.ask("explain_decisions", {"accounts": keys}).to_dicts(),
        "doubts": snapshot.ask("explain_doubts", {"accounts": keys, "run_no": when.run_no}).to_dicts(),
        "attributes": [_attribute(each, person, since) for each in told],
        "groups": _paths(paths, groups, accounts, names),
        "targets": targets,
        "pending": pending,
        "holds": holds,
        "history": history(snapshot, person_id, links, when, names),
    }


def _person(person: Row, names: dict[int, str]) -> Row:
    return {
        "person_id": person["person_id"],
        "active": person["active"],
        "status": {
            "evidence": person["status_evidence"],
            "tenant": names.get(person["status_tenant"]),
            "reason": person["status_reason"],
            "decided_by_account": person["from_active"],
        },
        "class": person["person_class"],
        "home_tenant": names.get(person["home_tenant"]),
        "doubtful": person["doubtful"],
        "since": person["since"],
        "since_run": person["since_run"],
        **{name: person[name] for name in ("user_name", "email", "display_name")},
    }


def _accounts(accounts: pl.DataFrame, held: pl.DataFrame, names: dict[int, str]) -> list[Row]:
    """The accounts, and the edge that made each the person's."""
    edges = {row["account_key"]: row for row in held.iter_rows(named=True)}
    shown = (
        "native_id",
        "user_name",
        "email",
        "aliases",
        "user_type",
        "active",
        "status",
        "gone",
        "starts_on",
        "ends_on",
    )
    return [
        {
            "account_key": row["account_key"],
            "tenant": names.get(row["tenant_key"]),
            **{name: row[name] for name in shown},
            **{name: edges[row["account_key"]][name] for name in ("class", "rule", "evidence", "since", "since_run")},
        }
        for row in accounts.iter_rows(named=True)
    ]


def _voice(voice: Voice) -> Row:
    return {"tenant": voice.tenant, "native_id": voice.native_id, "value": voice.value, "reason": voice.reason}


def _attribute(attribute: Attribute, person: Row, since: Mapping[str, Row]) -> Row:
    """Beside what the rules of today say stands what the state holds: they differ where a config changed since."""
    return {
        "name": attribute.name,
        "value": person[attribute.name],
        "account_key": person[f"from_{attribute.name}"],
        "made_by": MADE_BY[rule_at(person["rules"] or 0, attribute.name)],
        **since.get(attribute.name, {}),
        "rule": attribute.rule,
        "winner": _voice(attribute.winner) if attribute.winner else None,
        "also": [_voice(each) for each in attribute.also],
        "losers": [_voice(each) for each in attribute.losers],
    }


def _paths(paths: pl.DataFrame, groups: pl.DataFrame, accounts: pl.DataFrame, names: dict[int, str]) -> list[Row]:
    called = {row["group_key"]: row for row in groups.iter_rows(named=True)}
    ids = {
        row["account_key"]: row
        for row in accounts.select("account_key", "tenant_key", "native_id").iter_rows(named=True)
    }
    told = []
    for row in paths.iter_rows(named=True):
        group = called.get(row["group_key"])
        if group is None or group["gone"] is not None:
            continue
        told.append(
            {
                "tenant": group["tenant"],
                "group": group["name"],
                "native_id": group["native_id"],
                "account": ids[row["account_key"]]["native_id"],
                "account_tenant": names.get(ids[row["account_key"]]["tenant_key"]),
                "direct": len(row["steps"]) == 1,
                "path": [called[step]["name"] for step in row["steps"] if step in called],
            }
        )
    return sorted(told, key=lambda each: (each["tenant"], each["group"], len(each["path"]), each["path"]))


def _existing(snapshot: Snapshot, person_key: int, when: Moment) -> list[Row]:
    users = snapshot.ask("explain_existing", {"person_key": person_key, "run_no": when.run_no})
    keys = users.get_column("user_key").to_list()
    edges = snapshot.ask("explain_existing_groups", {"users": keys, "run_no": when.run_no})
    return [
        {
            "target": user["target"],
            "existing": {
                "remote_id": user["remote_id"],
                **{name: user[name] for name in PUSHED if user[name] is not None},
                "active": user["active"],
                "owned": user["owned"],
                "present": user["present"],
                "observed_at": user["observed_at"],
                "written_at": user["written_at"],
                "groups": [
                    {"group": name, "ours": owned}
                    for _, key, name, owned in edges.iter_rows()
                    if key == user["user_key"]
                ],
            },
            "desired": None,
        }
        for user in users.iter_rows(named=True)
    ]


def _picture(  # noqa: PLR0917 - a picture has these parts
    person: pl.DataFrame,
    accounts: pl.DataFrame,
    links: pl.DataFrame,
    groups: pl.DataFrame,
    paths: pl.DataFrame,
    facts: tuple[TenantFacts, ...],
) -> Picture:
    """The directory with this person alone, and all groups: their names must not clash."""
    effective = paths.select("group_key", "account_key").unique().sort("group_key", "account_key")
    return Picture(
        conform(person, PERSON), accounts, links, conform(groups, GROUP),
        effective.cast({"group_key": pl.Int32, "account_key": pl.Int32}), facts,
    )  # fmt: skip


def _add_desired(inst: Installation, snapshot: Snapshot, targets: list[Row], picture: Picture) -> None:
    """What each target of the config should hold of this person by the rules of today; a target without a user is added."""
    for name, chosen in sorted(inst.config.targets.items()):
        kind = target_class(chosen.common.kind)
        spec = TargetSpec(name, tuple(kind.attributes), frozenset(map(str, kind.verbs)), include=chosen.common.include)
        desired = desire(spec, picture, inst.config, today=inst.today())
        there = snapshot.ask("explain_target_groups", {"target": name}, EXISTING_GROUP)
        memory = snapshot.ask("target_group_source_rows", {"target": name}, GROUP_MEMORY)
        desired = settle(name, desired, replace(nothing(), groups=there), memory, inst.config).desired
        mine = [each for each in targets if each["target"] == name]
        if not mine:
            mine = [{"target": name, "existing": None, "desired": None}]
            targets += mine
        users = desired.users.to_dicts()
        wanted = _wanted(users[0], spec, desired.groups, desired.memberships, inst.config) if users else None
        inside = {each["group"] for each in wanted["groups"]} if wanted else set()
        for each in mine:
            each["desired"] = wanted
            each["troubles"] = [
                str(trouble) for trouble in desired.troubles if trouble.persons or inside & set(trouble.groups)
            ]
    targets.sort(key=lambda each: str(each["target"]))


def _wanted(user: Row, spec: TargetSpec, groups: pl.DataFrame, memberships: pl.DataFrame, config: Config) -> Row:
    rules = groups.join(memberships, on="group_no", how="semi").sort("name")
    return {
        **{name: user[name] for name in spec.attributes},
        "active": user["active"],
        "in_scope": user["in_scope"],
        "evidence": user["evidence"],
        "reason": user["reason"],
        "may": [name.removeprefix("may_") for name in ("may_create", "may_update", "may_deactivate") if user[name]],
        "groups": [
            {
                "group": row["name"],
                "members": row["policy"],
                "rule": f"groups.{row['rule']}",
                "line": row["line"],
                "combine": config.settings.groups[row["rule"]].combine,
            }
            for row in rules.iter_rows(named=True)
        ],
        "from": {name: f"map.{name}" for name in spec.attributes if getattr(config.settings.map, name, None)},
    }


def _pending(snapshot: Snapshot, person_id: str) -> tuple[list[Row], list[Row]]:
    """What the newest plan asks for this person, and the holds that keep any of it."""
    header = snapshot.newest_header()
    if header is None:
        return [], []
    params = {"digest": header.digest, "person_id": person_id}
    rows = snapshot.ask("explain_pending", params).to_dicts()
    values = snapshot.ask("explain_pending_values", params).to_dicts()
    for row in rows:
        row["digest"] = header.digest
        row["held_by"] = list(row["held_by"] or ())
        row["values"] = [
            {name: each[name] for name in ("attribute", "before", "after")}
            for each in values
            if each["seq"] == row["seq"]
        ]
    named = {hold for row in rows for hold in row["held_by"]}
    return rows, [
        {"id": each.hold_id, "guard": each.guard, "reason": each.reason, "release": each.release}
        for each in header.holds
        if each.hold_id in named
    ]
