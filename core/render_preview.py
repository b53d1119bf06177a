"""A comparison of two configurations as text: what would differ, the dangerous part first and in full. The comparing is in `compare`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from core.compare import FIRST
from core.model import Verb
from core.render import plain

Row = dict[str, Any]


def to_text(document: Row, *, age: str) -> str:
    """The document of `plan --diff` for a terminal. Everyone who would lose or gain access is listed, however many."""
    lines = [f"PREVIEW of {plain(document['other'])} against {plain(document['live'])}, on the snapshot of {age} ago"]
    lines += _config(document["config"])
    lines += _sides(document)
    lines += _persons(document["persons"])
    lines += _people("STATUS", "become inactive", document["status"]["lose"])
    lines += _people("STATUS", "become active", document["status"]["gain"])
    for target in sorted(document["access"]):
        name = target.upper()
        lines += _people(name, "would LOSE ACCESS", document["access"][target]["lose"])
        lines += _people(name, "would gain access", document["access"][target]["gain"])
        names = document["user_names"][target]
        if names["count"]:
            lines.append(f"{name}  {names['count']:,} should be called otherwise")
            lines += [
                f"  {plain(each['name'])}: {plain(each['before'])} -> {plain(each['after'])}" for each in names["first"]
            ]
            lines += _more(names["count"], len(names["first"]))
        lines += _groups(name, document["groups"][target])
    lines += _attributes(document["attributes"])
    lines += _plan(document["plan"])
    fresh, gone = len(document["plan"]["only_other"]), len(document["plan"]["only_live"])
    lines.append(f"CHANGES  {fresh:,} only with the other config, {gone:,} only with the live one (--json lists them)")
    return "\n".join(lines)


def _more(count: int, shown: int) -> list[str]:
    return [f"  and {count - shown:,} more (--json)"] if count > shown else []


def _config(rows: list[Row]) -> list[str]:
    if not rows:
        return ["CONFIG  no setting differs"]
    lines = [f"CONFIG  settings that differ: {len(rows):,}"]
    for each in rows:
        where = f" (line {each['line_after']})" if each["line_after"] else ""
        lines.append(f"  {plain(each['path'])}{where}: {_value(each['before'])} -> {_value(each['after'])}")
    return lines


def _value(text: object) -> str:
    return "not set" if text is None else plain(text)


def _sides(document: Row) -> list[str]:
    words = (
        ("tenants", "only_live", "only the live config has tenant"),
        ("tenants", "only_other", "only the other config has tenant"),
        ("tenants", "never_read", "nothing was ever read of tenant"),
        ("targets", "only_live", "only the live config has target (not compared)"),
        ("targets", "only_other", "only the other config has target (not compared; its plan takes it for empty)"),
    )
    return [f"NOTE  {text} {plain(name)}" for kind, key, text in words for name in document[kind][key]]


def _persons(persons: Row) -> list[str]:
    parts = ", ".join(f"{len(persons[name]):,} {name}" for name in ("merge", "split", "appear", "vanish"))
    lines = [f"PERSONS  {persons['before']:,} -> {persons['after']:,}: {parts}"]
    for kind, words in (("merge", "would be one"), ("split", "would be several")):
        for each in persons[kind][:FIRST]:
            names = ", ".join(f"{plain(part['name'])} ({part['person_id'][:8]})" for part in each["parts"])
            lines.append(
                f"  {words}: {plain(each['name'])} <- {names}"
                if kind == "merge"
                else f"  {words}: {plain(each['name'])} -> {names}"
            )
            lines += [
                f"      {edge['tenant']} {plain(edge['native_id'])}: {edge['rule']} {plain(edge['evidence'] or '')}"
                for edge in each["edges"]
            ]
        lines += _more(len(persons[kind]), FIRST)
    kept = persons["kept"]
    if kept["count"]:
        lines.append(f"  {kept['count']:,} accounts would be held by their former link alone:")
        lines += [
            f"      {plain(each['name'])}: {each['tenant']} {plain(each['native_id'])}, joined by {each['rule']}, {plain(each['evidence'] or '')}"
            for each in kept["first"]
        ]
        lines += _more(kept["count"], len(kept["first"]))
    for kind in ("appear", "vanish"):
        lines += [f"  would {kind}: {plain(each['name'])} ({each['person_id'][:8]})" for each in persons[kind][:FIRST]]
        lines += _more(len(persons[kind]), FIRST)
    return lines


def _people(head: str, words: str, rows: list[Row]) -> list[str]:
    if not rows:
        return []
    shown = [
        f"  {plain(each['name'])} ({each['person_id'][:8]})  {plain(each['reason'] or '')}".rstrip() for each in rows
    ]
    return [f"{head}  {len(rows):,} {words} (in full)", *shown]


def _groups(target: str, rows: list[Row]) -> list[str]:
    if not rows:
        return []
    joins, leaves = sum(each["joins"] for each in rows), sum(each["leaves"] for each in rows)
    lines = [f"{target}  {len(rows):,} groups differ: {joins:,} memberships more, {leaves:,} fewer"]
    for each in rows[:FIRST]:
        before, after = each["members_before"], each["members_after"]
        sizes = f"{'no group' if before is None else before} -> {'no group' if after is None else after}"
        policy = ""
        if before is not None and after is not None and each["policy_before"] != each["policy_after"]:
            policy = f", members: {each['policy_before']} -> {each['policy_after']}"
        lines.append(f"  {plain(each['group'])}  {sizes} (+{each['joins']} -{each['leaves']}){policy}")
    return lines + _more(len(rows), FIRST)


def _attributes(found: Row) -> list[str]:
    if not found:
        return []
    parts = ", ".join(f"{name} {each['count']:,}" for name, each in found.items())
    lines = [f"ATTRIBUTES of persons that would differ: {parts}"]
    rows = [(name, each) for name, rows in found.items() for each in rows["first"]]
    lines += [
        f"  {plain(each['name'])}: {name} {_value(each['before'])} -> {_value(each['after'])}"
        for name, each in rows[:FIRST]
    ]
    return lines + _more(sum(each["count"] for each in found.values()), FIRST)


def _plan(plans: Row) -> list[str]:
    before, after = plans["before"], plans["after"]
    lines = ["PLAN  before -> after"]
    for target in sorted({*before["counts"], *after["counts"]}):
        for half in ("ready", "held"):
            old = before["counts"].get(target, {}).get(half, {})
            wanted = after["counts"].get(target, {}).get(half, {})
            cells = [
                f"{verb.value} {old.get(verb.value, 0):,} -> {wanted.get(verb.value, 0):,}"
                for verb in Verb
                if old.get(verb.value) or wanted.get(verb.value)
            ]
            if cells:
                lines.append(f"  {target} {half}: {', '.join(cells)}")
    if len(lines) == 1:
        lines.append("  nothing to do by either")
    lines += [f"  held now: {line}" for line in _holds(before["holds"], after["holds"])]
    return lines + [f"  held with the other: {line}" for line in _holds(after["holds"], before["holds"])]


def _holds(mine: Iterable[Row], others: Iterable[Row]) -> list[str]:
    """Holds of one plan that the other does not have, or has with another count."""
    known = {(each["guard"], each["target"], each["reason"], each["count"]) for each in others}
    return [
        f"{each['target'] or ''} {each['guard']}: {each['count']:,} {plain(each['reason'])}"
        for each in mine
        if (each["guard"], each["target"], each["reason"], each["count"]) not in known
    ]
