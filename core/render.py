"""A plan for people and machines: one screen of text, Markdown for reports, the JSON document of the interface.

Names come from tenants and are not trusted: control characters never reach a terminal, markup never reaches a report.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC
from zoneinfo import ZoneInfo

import polars as pl

from core.model import JSON, ExtractLine, Forecast, Hold, PlanHeader, TenantMode, Verb, Verdict
from core.plan import ADOPTIONS, EDGE_VERBS, GROUP_VERBS, Plan

SHORT: dict[Verb, str] = {
    Verb.ADOPT_USER: "adopt",
    Verb.ADOPT_GROUP: "adopt_group",
    Verb.DEACTIVATE_USER: "deactivate",
    Verb.CREATE_USER: "create",
    Verb.REACTIVATE_USER: "reactivate",
    Verb.UPDATE_USER: "update",
    Verb.RENAME_USER: "rename",
    Verb.CREATE_GROUP: "create_group",
    Verb.ADD_MEMBER: "add_member",
    Verb.REMOVE_MEMBER: "remove_member",
    Verb.DELETE_USER: "delete",
    Verb.DELETE_GROUP: "delete_group",
}
ALWAYS = ("deactivate", "create", "update", "rename", "reactivate", "add_member", "remove_member")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
MARKUP = re.compile(r"([\\`*_{}\[\]<>()#+!|~&])")
LOSSES = [Verb.DEACTIVATE_USER.value, Verb.REMOVE_MEMBER.value, Verb.DELETE_USER.value]


def plain(text: object) -> str:
    """Text without anything that moves a cursor or turns its direction."""
    return CONTROL.sub("�", str(text))


def markdown(text: object) -> str:
    """Text that Markdown shows as it is."""
    return MARKUP.sub(r"\\\1", plain(text))


def counts(changes: pl.DataFrame) -> dict[str, dict[str, dict[str, int]]]:
    """Per target `ready` and `held`: how many changes of each verb."""
    rows = (
        changes.group_by("target", pl.col("held_by").is_null().alias("ready"), pl.col("verb").cast(pl.String))
        .len()
        .sort("target", "ready", "verb")
    )
    out: dict[str, dict[str, dict[str, int]]] = {}
    for target, ready, verb, number in rows.iter_rows():
        halves = out.setdefault(target, {"ready": {}, "held": {}})
        halves["ready" if ready else "held"][verb] = number
    return out


def shown_object(row: dict[str, object]) -> str:
    """What a human calls the object of a change."""
    if row["verb"] in EDGE_VERBS:
        return f"{row['user_name']} in {row['group_name']}"
    return str((row["group_name"] if row["verb"] in GROUP_VERBS else row["user_name"]) or row["object_id"])


def change_documents(changes: pl.DataFrame, values: pl.DataFrame) -> list[JSON]:
    """Changes as the interface shows them."""
    before: dict[int, dict[str, JSON]] = {}
    after: dict[int, dict[str, JSON]] = {}
    for seq, attribute, old, wanted in values.join(changes.select("seq"), on="seq", how="semi").iter_rows():
        before.setdefault(seq, {})[attribute] = old
        after.setdefault(seq, {})[attribute] = wanted
    return [
        {
            "id": row["seq"],
            "fingerprint": row["fingerprint"],
            "target": row["target"],
            "verb": row["verb"],
            "object": shown_object(row),
            "object_id": row["object_id"],
            "before": before.get(row["seq"], {}),
            "after": after.get(row["seq"], {}),
            "evidence": row["evidence"],
            "reason": row["reason"],
            "person_id": row["person_id"],
            "held_by": list(row["held_by"] or ()),
            "unit": row["unit"],
            "reversible": row["reversible"],
        }
        for row in changes.with_columns(pl.col(pl.Enum).cast(pl.String)).iter_rows(named=True)
    ]


def to_json(plan: Plan) -> dict[str, JSON]:
    """The document of `plan --json`."""
    header = plan.header
    return {
        "digest": header.digest,
        "run_id": header.run_id,
        "directory": header.directory,
        "person": header.person,
        "created_at": header.created_at.isoformat(timespec="seconds") + "Z",
        "config_digest": header.config_digest,
        "counts": counts(plan.changes),  # type: ignore[dict-item]  # nested dicts of int are JSON
        "changes": change_documents(plan.changes, plan.values),
        "holds": [_hold(each) for each in header.holds],
        "extracts": [_extract(each) for each in header.extracts],
        "targets": [
            {
                "target": each.target,
                "existing": each.existing,
                "owned": each.owned,
                "strangers": each.strangers,
                "doubtful": each.doubtful,
                "mode": each.mode.value,
                "first_contact": each.first_contact,
            }
            for each in header.targets
        ],
        "forecast": {name: _forecast(each) for name, each in header.forecast.items()},
        "notes": list(header.notes),
    }


def _hold(each: Hold) -> JSON:
    return {
        "id": each.hold_id,
        "guard": each.guard,
        "count": each.count,
        "reason": each.reason,
        "release": each.release,
        "target": each.target,
        "verb": each.verb.value if each.verb else None,
        "scope": each.scope,
        "line": each.line,
        "releasable": each.releasable,
    }


def _extract(each: ExtractLine) -> JSON:
    return {
        "tenant": each.tenant,
        "id": each.extract_id,
        "verdict": each.verdict.value,
        "reasons": list(each.reasons),
        "accounts": each.accounts,
        "groups": each.groups,
        "memberships": each.memberships,
    }


def _forecast(each: Forecast) -> JSON:
    return {
        "writes": each.writes,
        "minutes": round(each.minutes, 2),
        "share": round(each.share, 4),
        "seats_before": each.seats_before,
        "seats_after": each.seats_after,
    }


def to_text(plan: Plan, *, zone: str = "UTC", width: int = 120) -> str:
    """The plan on one screen, in the order of the interface. Everyone who loses access now is listed, however many."""
    header = plan.header
    lines = [_title(header, zone), *_read(header, width)]
    numbers = counts(plan.changes)
    for each in header.targets:
        state = "  FIRST CONTACT" if each.first_contact else ""
        lines.append(
            f"{each.target.upper()}  {each.existing:,} existing: {each.owned:,} owned, {each.strangers:,} match nobody "
            f"(untouched), {each.doubtful:,} doubtful  [{each.mode.value}]{state}"
        )
        halves = numbers.get(each.target, {"ready": {}, "held": {}})
        lines += _matrix(halves["ready"], halves["held"], header.forecast.get(each.target))
    lines += _losses(plan)
    lines += _held(header.holds)
    lines += _group_lines(header)
    lines += [f"NOTE  {plain(note)}" for note in header.notes]
    lines += _next(plan)
    return "\n".join(lines)


def _title(header: PlanHeader, zone: str) -> str:
    at = header.created_at.replace(tzinfo=UTC).astimezone(ZoneInfo(zone))
    config = f"config {header.config_digest[:4]} {'CHANGED' if header.config_changed else 'unchanged'}"
    before = f"against the last plan: +{header.added:,} -{header.removed:,}" if header.previous_digest else "first plan"
    if header.person is not None:
        before = f"of person {header.person} alone"
    return f"PLAN {header.digest[:8]}  {header.directory}  {at:%a %H:%M}   {config}   {before}"


def _read(header: PlanHeader, width: int) -> list[str]:
    parts = []
    for each in header.extracts:
        moved = "" if each.accounts_before is None else f" ({each.accounts - each.accounts_before:+,})"
        verdict = each.verdict.value if each.verdict is Verdict.COMPLETE else each.verdict.value.upper()
        mode = "" if each.mode is TenantMode.LIVE else f" {each.mode.value.upper()}"
        why = f": {'; '.join(plain(reason) for reason in each.reasons)}" if each.reasons else ""
        parts.append(f"{each.tenant} {verdict} {each.accounts:,}{moved}{mode}{why}")
    lines: list[str] = []
    for part in parts:
        if lines and len(lines[-1]) + len(part) + 3 <= width:
            lines[-1] += f" | {part}"
        else:
            lines.append(("READ  " if not lines else "      ") + part)
    return lines


def _matrix(ready: dict[str, int], held: dict[str, int], forecast: Forecast | None) -> list[str]:
    names = [
        name for verb, name in SHORT.items() if name in ALWAYS or ready.get(verb.value, 0) or held.get(verb.value, 0)
    ]
    verbs = {name: verb.value for verb, name in SHORT.items()}
    wide = [max(len(name), 7) for name in names]

    def line(label: str, cells: Sequence[str], end: str = "") -> str:
        return (
            f"      {label:<6}" + "  ".join(cell.rjust(size) for cell, size in zip(cells, wide, strict=True)) + end
        ).rstrip()

    ends = ["", ""]
    if forecast is not None:
        ends[0] = f"    {forecast.writes:,} writes, {forecast.minutes:.1f} min, {forecast.share:.1%} of the rate"
        if forecast.seats_before is not None:
            ends[1] = f"    seats left {forecast.seats_before:,} -> {forecast.seats_after or 0:,}"
    return [
        line("", names),
        line("ready", [f"{ready.get(verbs[name], 0):,}" for name in names], ends[0]),
        line("held", [f"{held.get(verbs[name], 0):,}" for name in names], ends[1]),
    ]


def losses(plan: Plan) -> pl.DataFrame:
    """Ready changes that take access away, in order."""
    return plan.ready.with_columns(pl.col("verb").cast(pl.String), pl.col("evidence").cast(pl.String)).filter(
        pl.col("verb").is_in(LOSSES)
    )


def _losses(plan: Plan) -> list[str]:
    rows = losses(plan)
    lines = [f"LOSES ACCESS NOW ({rows.height:,}, always in full)"]
    for row in rows.iter_rows(named=True):
        what = {"deactivate_user": "", "remove_member": f" leaves {row['group_name']}", "delete_user": " is deleted"}
        person = (row["person_id"] or "")[:8]
        lines.append(
            f"  - {plain(row['user_name'])}{plain(what[row['verb']])}  {row['target']}  person {person}  "
            f"{plain(row['reason'] or '')} ({row['evidence']})"
        )
    return lines


def _held(holds: Sequence[Hold]) -> list[str]:
    if not holds:
        return ["HELD BY CAUSE  nothing"]
    lines = ["HELD BY CAUSE"]
    for each in holds:
        what = f"{each.count:,} {SHORT[each.verb]}  " if each.verb else f"{each.count:,} "
        if not each.count or each.reason.startswith(str(each.count)):
            what = ""  # the reason counts itself
        where = f" (onefold.yaml:{each.line})" if each.line else ""
        lines.append(
            f"  {each.hold_id:<4}{each.target or ''}: {what}{plain(each.reason)}{where}    release: {plain(each.release)}"
        )
    return lines


def _group_lines(header: PlanHeader) -> list[str]:
    if not header.groups:
        return []
    parts = [
        f"{plain(each.group)} {each.members:,} -> {each.members + each.added - each.removed:,}"
        f" (+{each.added:,} -{each.removed:,}{f', {each.held:,} held' if each.held else ''})"
        for each in header.groups
    ]
    return ["GROUPS MOST CHANGED  " + "   ".join(parts)]


def _next(plan: Plan) -> list[str]:
    ready = plan.ready.filter(~pl.col("verb").cast(pl.String).is_in(ADOPTIONS))
    short = plan.header.digest[:8]
    steps = [f"onefold show {short}"]
    if any(each.releasable for each in plan.header.holds):
        steps.append(f"onefold approve {short} --hold ID")
    if plan.ready.height:
        steps.append(f"onefold apply {short}")
    return [
        f"UNDO  {ready.filter('reversible').height:,} of {ready.height:,} reversible     NEXT  " + " | ".join(steps)
    ]


def to_markdown(plan: Plan, *, zone: str = "UTC") -> str:
    """The plan as Markdown, for artifacts and tickets; every name escaped."""
    header = plan.header
    lines = [
        f"# {markdown(_title(header, zone))}",
        "",
        "| tenant | verdict | accounts | groups | memberships | reasons |",
    ]
    lines.append("|---|---|--:|--:|--:|---|")
    lines += [
        f"| {markdown(each.tenant)} | {each.verdict.value} | {each.accounts} | {each.groups} | {each.memberships} "
        f"| {markdown('; '.join(each.reasons))} |"
        for each in header.extracts
    ]
    numbers = counts(plan.changes)
    for each in header.targets:
        halves = numbers.get(each.target, {"ready": {}, "held": {}})
        lines += ["", f"## {markdown(each.target)}", "", "| change | ready | held |", "|---|--:|--:|"]
        lines += [
            f"| {verb.value} | {halves['ready'].get(verb.value, 0)} | {halves['held'].get(verb.value, 0)} |"
            for verb in SHORT
            if halves["ready"].get(verb.value) or halves["held"].get(verb.value)
        ]
    rows = losses(plan)
    lines += ["", f"## Loses access now ({rows.height})", ""]
    lines += [
        f"- {markdown(shown_object(row))} ({markdown(row['target'])}): {markdown(row['reason'] or '')} ({row['evidence']})"
        for row in rows.iter_rows(named=True)
    ]
    lines += ["", "## Held", ""]
    lines += [
        f"- {each.hold_id} {markdown(each.target or '')}: {each.count} {markdown(each.reason)}. Release: {markdown(each.release)}"
        for each in header.holds
    ]
    return "\n".join(lines) + "\n"
