"""`onefold explain WHO`: everything that is known of one person, now or on a past date. Reads the newest snapshot, never Prefect."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from flows.cli import ConfigOption, JsonOption, app, command
from flows.console import emit, table
from flows.exits import Exit
from flows.open import open_installation

WhoArgument = Annotated[
    str,
    typer.Argument(
        metavar="WHO", help="User name, address (also a former one), display name, person id or a tenant's id."
    ),
]
Row = dict[str, Any]


@app.command("explain")
@command
def explain(
    who: WhoArgument,
    at: Annotated[datetime | None, typer.Option("--at", help="As of then, in the directory's time zone.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> Exit:
    """Why a person is as it is: accounts, winners and losers, groups, targets, pending changes, holds, history."""
    from state.snapshot import Snapshot
    from tasks.explain import explain as work_out

    inst = open_installation(config)
    when = at.replace(tzinfo=inst.config.zone).astimezone(UTC).replace(tzinfo=None) if at else None
    with Snapshot.open(inst.state) as newest:
        document = work_out(inst, newest, who, when)
        document["snapshot_age_seconds"] = int(newest.age_seconds(inst.clock()))
    emit(document, _text(document), as_json=as_json)
    return Exit.DONE


def _shown(value: object) -> str:
    from core.render import plain

    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    return plain(", ".join(map(str, value)) if isinstance(value, list) else value)


def _text(document: Row) -> str:
    person = document["person"]
    status = person["status"]
    state = "active" if person["active"] else f"inactive ({status['evidence']})"
    head = f"PERSON {_shown(person['display_name'] or person['user_name'])}  {document['person_id']}  {state}"
    lines = [head + (f"  as of {_shown(document['at'])} UTC" if document["at"] else "")]
    lines.append(
        f"  home {_shown(person['home_tenant'])}; so since {_shown(person['since'])} (run {person['since_run']})"
    )
    if status["reason"]:
        lines.append(f"  {_shown(status['reason'])}")
    if person["doubtful"]:
        lines.append("  DOUBTFUL: a veto keeps apart what shared keys would join; see `onefold review list`")
    lines += [f"  {line}" for line in map(_override, document["overrides"])]
    lines += ["ACCOUNTS", _accounts(document["accounts"])]
    lines += [
        f"  decided by {_shown(each['decided_by'])} on {_shown(each['decided_at'])}: {each['tenant_a']} {_shown(each['native_id_a'])} "
        f"and {each['tenant_b']} {_shown(each['native_id_b'])} are {each['decision']}{': ' + _shown(each['why']) if each['why'] else ''}"
        for each in document["decisions"]
    ]
    lines += ["KEPT APART OR ONLY SUGGESTED", *map(_doubt, document["doubts"])] if document["doubts"] else []
    lines += ["ATTRIBUTES", *(line for each in document["attributes"] for line in _attribute(each))]
    lines += ["GROUPS", *(_path(each) for each in document["groups"])]
    for each in document["targets"]:
        lines += _target(each, past=document["at"] is not None)
    if document["at"] is None:
        lines += ["PENDING", *(_pending(each) for each in document["pending"])]
        lines += [
            f"  {each['id']} {_shown(each['reason'])}; release: {_shown(each['release'])}" for each in document["holds"]
        ]
    lines += ["HISTORY", *(line for each in document["history"] for line in _event(each))]
    return "\n".join(lines)


def _override(row: Row) -> str:
    """One word that somebody said of the person's status, and whether it holds."""
    if row["says"] == "clear":
        return f"override taken back by {_shown(row['said_by'])} on {_shown(row['said_at'])} UTC"
    end = "until it is cleared" if row["until"] is None else f"until {row['until_local']}"
    state = "ended" if row["ended"] else "waits for a run" if row["waits_for_a_run"] else "carried out"
    return (
        f"override {row['says']} {end} ({state}), said by {_shown(row['said_by'])} on {_shown(row['said_at'])} UTC: "
        f"{_shown(row['reason'] or 'no reason given')}"
    )


def _doubt(row: Row) -> str:
    """One edge that joins nobody: a veto refused it, or it is no proof."""
    whose = f", of person {row['other_person']}" if row["other_person"] else ""
    return (
        f"  {row['tenant']} {_shown(row['native_id'])} and {row['other_tenant']} {_shown(row['other_native_id'])}{whose}: "
        f"{_shown(row['reason'])} ({_shown(row['rule'])}, {row['score']:.2f}; since {_shown(row['since'])}, run {row['since_run']})"
    )


def _accounts(accounts: list[Row]) -> str:
    header = ["tenant", "native_id", "user_name", "email", "type", "class", "active", "joined by", "evidence", "since"]
    names = ["tenant", "native_id", "user_name", "email", "user_type", "class", "active", "rule", "evidence", "since"]
    cells = [
        [("gone, " if name == "active" and each["gone"] else "") + _shown(each[name]) for name in names]
        for each in accounts
    ]
    return table(cells, header)


def _attribute(attribute: Row) -> list[str]:
    winner = attribute["winner"]
    if winner:
        said = f"{winner['tenant']} {_shown(winner['native_id'])}: {winner['reason']}"
    else:
        said = _shown(attribute["rule"]) if attribute["made_by"] == "fallback" else "nobody may say it"
    since = f"  (since {_shown(attribute['since'])}, run {attribute['since_run']})" if attribute.get("since") else ""
    lines = [f"  {attribute['name']} = {_shown(attribute['value'])}  <- {said}{since}"]
    lines += [
        f"      and {_shown(each['value'])} of {each['tenant']} {_shown(each['native_id'])}: {each['reason']}"
        for each in attribute["also"]
    ]
    return lines + [
        f"      not {_shown(each['value'])} of {each['tenant']} {_shown(each['native_id'])}: {each['reason']}"
        for each in attribute["losers"]
    ]


def _path(path: Row) -> str:
    way = " > ".join(_shown(step) for step in (path["account"], *path["path"]))
    return f"  {path['tenant']} {_shown(path['group'])}  ({'direct' if path['direct'] else 'nested'}: {way})"


def _target(target: Row, *, past: bool) -> list[str]:
    lines = [f"TARGET {target['target']}"]
    existing, desired = target["existing"], target["desired"]
    skipped = {"groups", "remote_id", "observed_at", "written_at", "may", "from", "reason", "evidence", "in_scope"}
    if existing is None:
        lines.append("  existing: nobody")
    else:
        lines.append(
            "  existing: "
            + "; ".join(f"{name} {_shown(value)}" for name, value in existing.items() if name not in skipped)
        )
        groups = ", ".join(
            _shown(each["group"]) + ("" if each["ours"] else " (not ours)") for each in existing["groups"]
        )
        lines.append(f"    groups: {groups or 'none'}")
    if past:
        return lines
    if desired is None:
        return [*lines, "  desired: nothing, no tenant in force speaks for this person"]
    lines.append(
        "  desired:  " + "; ".join(f"{name} {_shown(value)}" for name, value in desired.items() if name not in skipped)
    )
    if desired["reason"]:
        lines.append(f"    because {_shown(desired['reason'])}")
    groups = ", ".join(
        f"{_shown(each['group'])} ({each['rule']}, line {each['line']}, {each['members']})"
        for each in desired["groups"]
    )
    lines.append(f"    groups: {groups or 'none'}")
    return lines + [f"    {_shown(trouble)}" for trouble in target.get("troubles", [])]


def _values(values: list[Row]) -> str:
    return ", ".join(f"{each['attribute']} {_shown(each['before'])} -> {_shown(each['after'])}" for each in values)


def _pending(change: Row) -> str:
    held = f"held by {', '.join(change['held_by'])}" if change["held_by"] else "ready"
    about = _shown(change["group_name"] or change["user_name"])
    values = _values(change["values"])
    why = f" ({change['evidence']}{': ' + _shown(change['reason']) if change['reason'] else ''})"
    return f"  {held}: {change['target']} {change['verb']} {about}{why}" + (f" {values}" if values else "")


def _event(event: Row) -> list[str]:
    about = " ".join(_shown(event[name]) for name in ("target", "object", "account", "outcome") if event.get(name))
    why = f" ({_shown(event['reason'])})" if event.get("reason") else ""
    values = _values(event.get("values", []))
    line = f"  {_shown(event['at'])}  {event['what']} {about}{why}  run {event['run_id']}"
    return [line, f"      {values}"] if values else [line]
