"""One extract becomes part of the picture of its tenant: accounts, groups and edges, with history, in one transaction.

A complete full read replaces the picture; what is missing becomes gone ('absent'). A partial or suspect one is merged and
proves no absence. A delta is merged when it starts at the committed cursor. Accounts that were asked for by id are merged and
move neither the cursor nor how far the tenant is trusted. Tombstones make gone ('explicit').
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

import polars as pl

from core.frames import ACCOUNT, ATTRIBUTES, BIT, GROUP, LANDED_ACCOUNT, LANDED_GROUP, conform
from core.model import ExtractKind, Manifest, Verdict
from state.edges import Ends, merge_edges
from state.history import differing, open_rows, replace_rows
from state.session import Session
from state.tenants import (
    TenantRow,
    commit_tenant,
    ensure_tenants,
    extract_outcome,
    note_extract,
    tenant_rows,
)

Read = Callable[[str], pl.DataFrame]
Fate = Literal["consolidated", "unchanged", "replayed", "superseded", "failed"]
DONE = frozenset({"consolidated", "unchanged"})


@dataclass(frozen=True, slots=True)
class Moved:
    """How many rows of one table were added, changed, went (absent or explicit) and came back."""

    added: int = 0
    changed: int = 0
    gone: int = 0
    returned: int = 0


@dataclass(frozen=True, slots=True)
class Consolidated:
    """What became of one extract. `accepted` is true also for a replay, which does nothing; `aside` counts edges of unknown ends."""

    accepted: bool
    outcome: Fate
    reason: str = ""
    accounts: Moved = Moved()
    groups: Moved = Moved()
    edges_added: int = 0
    edges_removed: int = 0
    aside: int = 0

    @property
    def added(self) -> int:
        """Rows of all three tables that came or came back."""
        return sum(each.added + each.returned for each in (self.accounts, self.groups)) + self.edges_added

    @property
    def changed(self) -> int:
        """Accounts and groups that changed and stayed."""
        return self.accounts.changed + self.groups.changed

    @property
    def gone(self) -> int:
        """Rows of all three tables that went."""
        return self.accounts.gone + self.groups.gone + self.edges_removed


def consolidate(session: Session, manifest: Manifest, read: Read, run_id: str, now: datetime) -> Consolidated:
    """Brings one extract in. Rows, cursor and extract id commit together; the same extract twice is a no-op."""
    ensure_tenants(session, [manifest.tenant])
    tenant = tenant_rows(session)[manifest.tenant]
    before = extract_outcome(session, manifest.extract_id)
    if before is not None and before[0] in DONE:
        return Consolidated(accepted=True, outcome="replayed", reason="it was consolidated before")
    refusal = _refusal(tenant, manifest)
    with session.transaction():
        if refusal is not None:
            note_extract(
                session, manifest, tenant.key, run_id=run_id, outcome=refusal.outcome, reason=refusal.reason, now=now
            )
            return refusal
        complete = manifest.kind is ExtractKind.FULL and manifest.verdict is Verdict.COMPLETE
        content = manifest.content if complete else None
        if content is not None and content == tenant.full_content:
            result = Consolidated(accepted=True, outcome="unchanged", reason="the same content as the last full read")
        else:
            result = _load(session, read, _Turn(tenant.key, session.run_no(run_id, now), now, manifest))
            if complete and tenant.cursor is not None:
                result = replace(result, reason=_cross_check(result))
        note_extract(
            session, manifest, tenant.key, run_id=run_id, outcome=result.outcome, reason=result.reason, now=now
        )
        if manifest.kind is ExtractKind.ONE:
            session.run("tenant_amended", {"tenant_key": tenant.key})
        else:
            commit_tenant(session, tenant, manifest, content)
    return result


def _cross_check(result: Consolidated) -> str:
    """How a complete full read differs from what deltas built; what moved since the last delta is among it. Empty when it agrees."""
    if not (result.added or result.changed or result.gone):
        return ""
    return (
        f"the full read and what the deltas had built differ: {result.added} added, {result.changed} changed, "
        f"{result.gone} gone, with what moved since the last delta"
    )


def _refusal(tenant: TenantRow, manifest: Manifest) -> Consolidated | None:
    """Why this extract cannot be used, if so. Reported, never an error: other tenants go on."""
    if manifest.verdict is Verdict.FAILED:
        return Consolidated(accepted=False, outcome="failed", reason="; ".join(manifest.reasons) or "the read failed")
    if manifest.kind is ExtractKind.DELTA and (tenant.cursor is None or manifest.cursor_before != tenant.cursor):
        return Consolidated(
            accepted=False,
            outcome="superseded",
            reason="it does not start where the tenant was consolidated last; the next read does",
        )
    if manifest.kind is ExtractKind.ONE and tenant.started_at is None:
        return Consolidated(accepted=False, outcome="superseded", reason="the tenant was never read as a whole")
    if (
        manifest.kind is not ExtractKind.DELTA
        and tenant.started_at is not None
        and manifest.started_at < tenant.started_at
    ):
        return Consolidated(
            accepted=False,
            outcome="superseded",
            reason=f"{tenant.extract_id} was read later and is consolidated already",
        )
    return None


@dataclass(frozen=True, slots=True)
class _Turn:
    """One extract's turn: whose it is, under which run number its rows are written, when, and how far it is trusted."""

    tenant_key: int
    run_no: int
    now: datetime
    manifest: Manifest

    @property
    def whole(self) -> bool:
        """The whole tenant was read, not what moved."""
        return self.manifest.kind is ExtractKind.FULL

    @property
    def complete(self) -> bool:
        """What is missing from it is absent."""
        return self.whole and self.manifest.verdict is Verdict.COMPLETE and self.manifest.knows_all


def _load(session: Session, read: Read, turn: _Turn) -> Consolidated:
    landed_accounts = conform(read("accounts"), LANDED_ACCOUNT)
    accounts, moved_accounts = _merge(session, ACCOUNTS, landed_accounts, turn)
    landed_groups = conform(read("groups"), LANDED_GROUP)
    groups, moved_groups = _merge(session, GROUPS, landed_groups, turn)
    listed = landed_groups.filter(pl.col("members_complete")).select("native_id")
    edges = merge_edges(
        session,
        turn.tenant_key,
        read("memberships"),
        Ends(accounts, groups, listed),
        run_no=turn.run_no,
        complete=turn.complete,
    )
    return Consolidated(
        accepted=True,
        outcome="consolidated",
        accounts=moved_accounts,
        groups=moved_groups,
        edges_added=edges.added,
        edges_removed=edges.removed,
        aside=edges.aside,
    )


@dataclass(frozen=True, slots=True)
class _Kind:
    """Accounts or groups: the table, its counter, its key and its schema."""

    table: str
    counter: str
    key: str
    schema: dict[str, pl.DataType]


ACCOUNTS = _Kind("raw_account", "account", "account_key", ACCOUNT)
GROUPS = _Kind("raw_group", "group", "group_key", GROUP)


def _merge(session: Session, kind: _Kind, landed: pl.DataFrame, turn: _Turn) -> tuple[pl.DataFrame, Moved]:
    """Merges landed rows into one table. Returns the tenant's picture after it (native_id, key, gone) and what moved."""
    table = kind.table
    existing = session.frame(f"{table}_of_tenant", {"tenant_key": turn.tenant_key})
    existing = conform(existing, {**kind.schema, "gone_since": existing.schema["gone_since"]})
    if landed["native_id"].n_unique() != landed.height:
        landed = landed.unique("native_id", keep="last", maintain_order=True)
    seen = _gone_or_there(landed, existing, kind, whole=turn.whole)
    held = existing.select("native_id", kind.key, was="gone", since="gone_since")
    seen = seen.join(held, on="native_id", how="left").with_columns(tenant_key=pl.lit(turn.tenant_key, pl.Int16))
    fresh = seen.filter(pl.col(kind.key).is_null()).sort("native_id")
    first = session.take(kind.counter, fresh.height) if fresh.height else 0
    numbers = pl.int_range(first, first + fresh.height, dtype=pl.Int32, eager=True)
    fresh = fresh.with_columns(numbers.alias(kind.key))
    stay = seen.filter(pl.col(kind.key).is_not_null())
    stamp = pl.lit(turn.now, pl.Datetime("us"))
    since = (
        pl.when(pl.col("gone").is_null())
        .then(None)
        .when(pl.col("was").is_null())
        .then(stamp)
        .otherwise(pl.col("since"))
    )
    shape = {**kind.schema, "gone_since": pl.Datetime("us")}
    amended = differing(
        existing,
        conform(stay.with_columns(gone_since=since), shape),
        ["native_id"],
        [name for name in kind.schema if name not in {kind.key, "tenant_key", "native_id"}],
    )
    missing = existing.clear()
    if turn.complete:
        missing = existing.filter(pl.col("gone").is_null()).join(landed.select("native_id"), on="native_id", how="anti")
        missing = missing.with_columns(gone=pl.lit("absent"), gone_since=stamp).select(existing.columns)
    replaced = pl.concat([amended, missing])
    added = conform(fresh.with_columns(gone_since=since), shape)
    replace_rows(session, table, replaced, turn.run_no)
    open_rows(session, table, added, turn.run_no)
    before = amended.select(kind.key, now_gone="gone").join(existing.select(kind.key, was="gone"), on=kind.key)
    went = before.filter(pl.col("was").is_null() & pl.col("now_gone").is_not_null()).height
    back = before.filter(pl.col("was").is_not_null() & pl.col("now_gone").is_null()).height
    stayed = before.filter(pl.col("was").is_null() & pl.col("now_gone").is_null()).height
    moved = Moved(added.height, stayed, missing.height + went, back)
    return _picture(existing, replaced, added, kind.key), moved


def _gone_or_there(landed: pl.DataFrame, existing: pl.DataFrame, kind: _Kind, *, whole: bool) -> pl.DataFrame:
    """Landed rows with `gone`, and with what they do not speak of taken from the existing row.

    A tombstone says nothing but that the object is gone: an unknown one is nobody's. In a delta an attribute left out
    keeps its value; in a full read it is absent.
    """
    dead = pl.col("tombstone").fill_null(False)
    rows = landed.with_columns(gone=pl.when(dead).then(pl.lit("explicit")))
    if whole and not rows["gone"].null_count() < rows.height:
        return rows
    partial = rows if not whole else rows.filter(pl.col("gone").is_not_null())
    names = [name for name in kind.schema if name not in {"native_id", "tenant_key", kind.key, "gone"}]
    old = existing.select("native_id", *(pl.col(name).alias(f"old_{name}") for name in names), known=pl.lit(True))
    both = partial.join(old, on="native_id", how="left").filter(pl.col("gone").is_null() | pl.col("known"))
    if "present" in names:
        said = pl.col("present").fill_null(0)
        kept = [
            pl.when((said & pl.lit(BIT[name], pl.UInt64)) == 0)
            .then(pl.col(f"old_{name}"))
            .otherwise(pl.col(name))
            .alias(name)
            for name in ATTRIBUTES
        ]
        both = both.with_columns(*kept, present=said | pl.col("old_present").fill_null(0))
    else:
        both = both.with_columns(pl.coalesce(name, f"old_{name}").alias(name) for name in names)
    both = both.select(rows.columns)
    return both if not whole else pl.concat([rows.filter(pl.col("gone").is_null()), both])


def _picture(existing: pl.DataFrame, replaced: pl.DataFrame, added: pl.DataFrame, key: str) -> pl.DataFrame:
    """native_id, key and gone of every row of the tenant, as just written."""
    columns = ["native_id", key, "gone"]
    still = existing.select(columns)
    if replaced.height:
        still = still.join(replaced.select(key), on=key, how="anti")
    return pl.concat([still, replaced.select(columns), added.select(columns)])
