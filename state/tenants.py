"""Which tenants the state knows, how far each was read, and what became of its extracts."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from core.errors import RefusedError
from core.model import ExtractKind, Manifest, Verdict
from state.session import Session


@dataclass(frozen=True, slots=True)
class TenantRow:
    """One tenant as committed: `cursor` is where the next delta must start, `full_content` the newest full read's content."""

    key: int
    name: str
    cursor: str | None
    extract_id: str | None
    full_content: str | None
    started_at: datetime | None


@dataclass(frozen=True, slots=True)
class Consumed:
    """The newest extract of a tenant that was consolidated; `accounts_before` is the count of the one before it."""

    tenant: str
    extract_id: str
    kind: ExtractKind
    verdict: Verdict
    reasons: tuple[str, ...]
    started_at: datetime
    finished_at: datetime
    accounts: int
    groups: int
    memberships: int
    rejected: int
    claimed: dict[str, int]
    accounts_before: int | None


def tenant_rows(session: Session) -> dict[str, TenantRow]:
    """All known tenants by name."""
    return {str(row[1]): TenantRow(*row) for row in session.rows("tenant_list")}  # type: ignore[arg-type]  # DuckDB's rows are untyped; the statement fixes their order


def ensure_tenants(session: Session, names: Iterable[str]) -> dict[str, int]:
    """Keys of all known tenants after adding the unknown ones among `names`."""
    known = {name: row.key for name, row in tenant_rows(session).items()}
    fresh = sorted(set(names) - set(known))
    if fresh:
        with session.transaction():
            first = session.take("tenant", len(fresh))
            keys = pl.int_range(first, first + len(fresh), dtype=pl.Int16, eager=True)
            session.insert("tenant", pl.DataFrame({"tenant_key": keys, "name": fresh}))
            known |= dict(zip(fresh, keys.to_list(), strict=True))
    return known


def rename_tenant(session: Session, old: str, name: str) -> None:
    """The tenant keeps its key, accounts and links under its next name. RefusedError when `old` is unknown or `name` taken."""
    known = tenant_rows(session)
    if name in known:
        if old not in known:
            return
        raise RefusedError(f"a tenant of this name exists beside {old}", tenant=name, remedy="Choose a name never used")
    if old not in known:
        raise RefusedError(f"{old} was never read", tenant=name, remedy="Remove `renamed_from`")
    with session.transaction():
        session.run("tenant_rename", {"old": old, "name": name})
        session.run("decision_rename_tenant", {"old": old, "name": name})


def newest_extracts(session: Session) -> dict[str, Consumed]:
    """Per tenant the newest extract that was consolidated."""
    return {
        str(row[0]): Consumed(
            tenant=str(row[0]),
            extract_id=str(row[1]),
            kind=ExtractKind(str(row[2])),
            verdict=Verdict(str(row[3])),
            reasons=tuple(row[4] or ()),  # type: ignore[arg-type]  # VARCHAR[] arrives as a list
            started_at=row[5],  # type: ignore[arg-type]  # TIMESTAMP arrives as datetime
            finished_at=row[6],  # type: ignore[arg-type]  # same
            accounts=row[7],  # type: ignore[arg-type]  # INTEGER arrives as int
            groups=row[8],  # type: ignore[arg-type]  # same
            memberships=row[9],  # type: ignore[arg-type]  # same
            rejected=row[10],  # type: ignore[arg-type]  # same
            claimed=json.loads(str(row[11])),
            accounts_before=row[12],  # type: ignore[arg-type]  # same
        )
        for row in session.rows("extract_newest")
    }


def extract_outcome(session: Session, extract_id: str) -> tuple[str, str] | None:
    """What became of an extract: (outcome, reason), or None when it was never brought here."""
    found = session.rows("extract_outcome", {"extract_id": extract_id})
    return (str(found[0][0]), str(found[0][1])) if found else None


def note_extract(
    session: Session, manifest: Manifest, tenant_key: int, *, run_id: str, outcome: str, reason: str, now: datetime
) -> None:
    """Remembers what became of an extract. A superseded or failed one may come again; then the later word stands."""
    session.run(
        "extract_note",
        {
            "extract_id": manifest.extract_id,
            "tenant_key": tenant_key,
            "run_id": run_id,
            "kind": manifest.kind.value,
            "cursor_before": manifest.cursor_before,
            "cursor_after": manifest.cursor_after,
            "started_at": manifest.started_at,
            "finished_at": manifest.finished_at,
            "accounts": manifest.accounts,
            "groups": manifest.groups,
            "memberships": manifest.memberships,
            "rejected": manifest.rejected,
            "claimed": json.dumps(manifest.claimed, sort_keys=True),
            "verdict": manifest.verdict.value,
            "reasons": list(manifest.reasons),
            "config_digest": manifest.config_digest,
            "outcome": outcome,
            "outcome_reason": reason,
            "now": now,
        },
    )


def commit_tenant(session: Session, row: TenantRow, manifest: Manifest, content: str | None) -> None:
    """Moves the tenant's cursor to where this extract ended; belongs into the transaction that writes its rows."""
    session.run(
        "tenant_commit",
        {
            "tenant_key": row.key,
            "cursor": manifest.cursor_after,
            "extract_id": manifest.extract_id,
            "full_content": content,
            "started_at": manifest.started_at,
        },
    )
