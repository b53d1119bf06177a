"""How `onefold inbox seal` says what was pushed against what is expected."""

from __future__ import annotations

from datetime import datetime, timedelta

from connectors.inbox.clock import moment
from connectors.inbox.directory import Status
from flows.console import table
from tasks.sealing import FIRST, Comparison


def seal_text(tenant: Status, found: Comparison, *, now: datetime, sealed: bool, fresh: bool) -> str:
    """A table of counts, the names that differ (the first of them), and what became of it."""
    held, wanted = found.pushed, found.expected
    counts = [
        ("users", held.users, wanted.users if wanted.names is None else len(wanted.names)),
        ("  active", held.active, None),
        ("  inactive", held.inactive, None),
        ("  deleted again", held.deleted, None),
        ("groups", held.groups, wanted.groups),
        ("  still empty", held.empty_groups, None),
        ("memberships", held.memberships, None),
        ("  of members never pushed", held.unknown_members, None),
        ("externalId values borne by several users", held.repeated, None),
    ]
    rows = [[name, f"{many:,}", "" if there is None else f"{there:,}"] for name, many, there in counts]
    lines = [_standing(tenant, held.last_at, now), table(rows, ["", "pushed", "expected"])]
    lines += _names("MISSING", found.missing, "expected and not there")
    lines += _names("UNEXPECTED", found.unexpected, "active and not expected")
    lines += _names("NOT PUSHED AGAIN", found.forgotten, "known of this tenant before it began to push")
    lines += [f"NOT AS EXPECTED {each}" for each in found.problems]
    if sealed:
        told = "Sealed" if fresh else "Was sealed already"
        lines.append(f"{told}: {tenant.name} holds {held.users:,} users and {held.groups:,} groups.")
    elif found.problems:
        lines.append(
            "Not sealed. Wait for the provider's cycle to end, or look there for what it could not provision; "
            f"if the inbox is right: onefold inbox seal {tenant.name} --force"
        )
    else:
        lines.append(f"Not sealed, only shown: onefold inbox seal {tenant.name}")
    return "\n".join(lines)


def _standing(tenant: Status, last_at: str | None, now: datetime) -> str:
    state = f"sealed on {tenant.sealed_at[:10]}" if tenant.sealed_at else f"filling since {tenant.created_at[:16]}"
    if not tenant.seq:
        quiet = "nothing was pushed yet"
    elif last_at is None:
        quiet = "quiet for longer than the log is kept"
    else:
        quiet = f"quiet for {_span(now - moment(last_at))}"
    return f"{tenant.name}: {state}, event {tenant.seq:,}, {quiet}"


def _span(span: timedelta) -> str:
    seconds = max(0, int(span.total_seconds()))
    for unit, size in (("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _names(title: str, names: tuple[str, ...], meaning: str) -> list[str]:
    if not names:
        return []
    more = f" and {len(names) - FIRST:,} more" if len(names) > FIRST else ""
    return [f"{title} {len(names):,} ({meaning}): {', '.join(names[:FIRST])}{more}"]
