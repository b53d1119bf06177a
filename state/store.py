"""The store: one writer's door to `state.duckdb`, and the way to everything the state remembers.

    with Store.open(folder, purpose="plan", now=clock) as store:    # folder = the state folder; takes the lease, migrates
        store.begin_run(run_id, "plan", now, config_digest=…, inputs={…})
        store.control.import_into(store)                          # approvals, decisions, given while nobody wrote
        done = store.consolidate(manifest, read, run_id, now)     # read("accounts") -> frame LANDED["accounts"]
        …
        store.end_run(run_id, now, outcome="done", exit_code=0, digest=…, detail="")
        publish(store, now=now, keep=10)                          # state.snapshot

| subject | methods (frames are those of core.frames; times UTC without zone) |
|---|---|
| tenants | `tenant_keys() -> {name: key}`, `ensure_tenants(names) -> {name: key}`, `rename_tenant(old, name)`, `cursor(tenant)`, `newest_extracts() -> {tenant: Consumed}`, `accepted_extracts(tenant) -> [id]` |
| picture | `consolidate(manifest, read, run_id, now) -> Consolidated`, `accounts() -> ACCOUNT`, `groups() -> GROUP`, `memberships() -> MEMBERSHIP`, sorted by key; `picture(tenant) -> TenantPicture` |
| identity | `links() -> LINK`, `person_ids() -> PERSON_ID`, `persons() -> PERSON`, `decisions() -> DECISION`, `overrides() -> STANDING_OVERRIDE`, `save_identity(run_id, links, person_ids, persons, now, lineage) -> Saved` |
| review | `doubts() -> REVIEW`, `decided() -> DECIDED`, `undone() -> UNDONE`, `link_history()`, `save_review(run_id, doubts, decided, undone, now) -> Saved` |
| shadow | `existing(target) -> Existing(users, groups, memberships, protected, traits)`, `observe(target, users, groups, edges, *, complete, run_id, now) -> Observed`, `record_receipts(run_id, now) -> int` (ledger receipts not yet in the shadow; idempotent, also called by `observe` and `existing`), `first_contact(target)`, `mark_adopted(target, run_id, now)` |
| plans | `save_plan(header, changes, values)`, `plan(prefix) -> StoredPlan(header, changes, values)`, `newest_plan() -> StoredPlan` or None, `newest_header()`, `approvals(now) -> APPROVAL` |
| ledger | `store.ledger`: `intend(run_id, plan, [Intent], now) -> [intent_id]`, `receive(run_id, [(intent_id, Receipt)], now)`, `open_intents(target=None) -> [OpenIntent]`, `states(run_id) -> frame`, `removals_since(t) -> WINDOW`, `quarantine()`, `put_in_quarantine(rows)`, `release(pairs)` |
| runs | `begin_run`, `end_run`, `runs() -> frame` |
| control | `store.control` (state.control.Control), `store.lease.still_mine()`: ask before every call that writes |

Frames that `observe` takes (state.shadow): users OBSERVED_USER = remote_id, the PUSHED attributes, active, known (bits of
core.frames.KNOWN: attributes that the answer contained; left out = every PUSHED column of the frame), protected; groups
OBSERVED_GROUP = remote_id, name, grants_admin, implicit, members_complete (true: `edges` holds all its members; left out
= the value of `complete`); edges OBSERVED_MEMBERSHIP = group_id, user_id (remote ids). Columns may be left out.

Without the lease, from any process: `Control.open(folder)`, `Control.known_tenants(folder) -> {name: key}`,
`Control.cursor(folder, tenant) -> str | None`, `Ledger.open(folder)`, and `Snapshot.open(folder)` for every command that only reads.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Self

import polars as pl

from core.errors import RefusedError
from core.existing import Existing
from core.frames import ACCOUNT, DECIDED, DECISION, GROUP, LINK, MEMBERSHIP, PERSON, PERSON_ID, REVIEW, TIME, UNDONE
from core.frames import APPROVAL as APPROVAL_ROW
from core.match_history import FORMER, TIMES, Past
from core.model import JSON, Manifest, PlanHeader
from state import plans, runs, shadow, tenants
from state.absorb import absorb
from state.consolidate import Consolidated, Read, consolidate
from state.control import Control
from state.identity import Saved, save_identity
from state.lease import Lease
from state.ledger import Ledger
from state.migrate import open_database
from state.picture import TenantPicture, tenant_picture
from state.plans import StoredPlan
from state.private import private_folder
from state.review import save_review
from state.session import Session
from state.shadow import Observed
from state.sqlite import unstamp
from state.tenants import Consumed

DECISION_ROW: dict[str, pl.DataType] = {
    "decision_id": pl.String(),
    "tenant_a": pl.String(),
    "native_id_a": pl.String(),
    "tenant_b": pl.String(),
    "native_id_b": pl.String(),
    "decision": pl.String(),
    "decided_by": pl.String(),
    "decided_at": TIME,
    "verified": pl.Boolean(),
    "why": pl.String(),
}
GIVEN_APPROVAL: dict[str, pl.DataType] = {
    "approval_id": pl.String(),
    "fingerprint": pl.String(),
    "digest": pl.String(),
    "hold_id": pl.String(),
    "approved_by": pl.String(),
    "verified": pl.Boolean(),
    "approved_at": TIME,
    "until": TIME,
}
GIVEN_OVERRIDE: dict[str, pl.DataType] = {
    "override_id": pl.String(),
    "person_id": pl.String(),
    "says": pl.String(),
    "until": TIME,
    "reason": pl.String(),
    "said_by": pl.String(),
    "said_at": TIME,
}
# The last word on each person: `active` true keeps access; person_key and founder_key lead to whom the person became.
STANDING_OVERRIDE: dict[str, pl.DataType] = {
    "person_id": pl.String(),
    "active": pl.Boolean(),
    "until": TIME,
    "said_at": TIME,
    "reason": pl.String(),
    "said_by": pl.String(),
    "person_key": pl.Int32(),
    "founder_key": pl.Int32(),
}


class Store:
    """The writer's open state. A context manager; closing it gives the lease back. Not for several threads at once."""

    def __init__(
        self, *, folder: Path, session: Session, control: Control, ledger: Ledger, lease: Lease, closing: ExitStack
    ) -> None:
        self.folder = folder
        self.session = session
        self.control = control
        self.ledger = ledger
        self.lease = lease
        self._closing = closing

    @classmethod
    def open(cls, folder: Path, *, purpose: str, now: Callable[[], datetime]) -> Store:
        """Takes the lease and opens the state for writing; creates and migrates what is missing or old.

        RefusedError when somebody else writes, or a newer program shaped the state.
        """
        private_folder(folder)
        with ExitStack() as undo:
            control = Control.open(folder)
            undo.callback(control.close)
            lease = control.acquire(purpose, now)
            undo.callback(lease.release)
            ledger = Ledger.open(folder)
            undo.callback(ledger.close)
            session = Session(open_database(folder))
            undo.callback(session.con.close)
            return cls(
                folder=folder, session=session, control=control, ledger=ledger, lease=lease, closing=undo.pop_all()
            )

    def close(self) -> None:
        """Closes the files, then gives the lease back."""
        self._closing.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- tenants

    def tenant_keys(self) -> dict[str, int]:
        """Keys of all tenants ever known, by name."""
        return {name: row.key for name, row in tenants.tenant_rows(self.session).items()}

    def ensure_tenants(self, names: Iterable[str]) -> dict[str, int]:
        """Gives every name a key; returns those of all known tenants."""
        keys = tenants.ensure_tenants(self.session, names)
        self._mirror_tenants()
        return keys

    def rename_tenant(self, old: str, name: str) -> None:
        """Key, accounts, links and decisions stay, the name changes. A no-op when it was done; RefusedError when it cannot be."""
        tenants.rename_tenant(self.session, old, name)
        self.control.rename_tenant(old, name)
        self._mirror_tenants()

    def cursor(self, tenant: str) -> str | None:
        """Where the tenant's next delta must start; None: read it in full."""
        row = tenants.tenant_rows(self.session).get(tenant)
        return None if row is None else row.cursor

    def knows_extract(self, extract_id: str) -> bool:
        """Whether this extract was ever brought here, whatever became of it."""
        return tenants.extract_outcome(self.session, extract_id) is not None

    def accepted_extracts(self, tenant: str) -> list[str]:
        """Ids of all extracts of a tenant that were taken into its picture, in the order in which they were."""
        row = tenants.tenant_rows(self.session).get(tenant)
        if row is None:
            return []
        return [str(found[0]) for found in self.session.rows("extract_accepted", {"tenant_key": row.key})]

    def picture(self, tenant: str) -> TenantPicture:
        """What is held of one tenant, in its own words. RefusedError when it was never read."""
        row = tenants.tenant_rows(self.session).get(tenant)
        if row is None:
            raise RefusedError("it was never read", tenant=tenant, remedy="Run `onefold plan`")
        return tenant_picture(self.session, row.key)

    def newest_extracts(self) -> dict[str, Consumed]:
        """Per tenant the newest extract that was consolidated."""
        return tenants.newest_extracts(self.session)

    def _mirror_tenants(self) -> None:
        rows = {name: (row.key, row.cursor) for name, row in tenants.tenant_rows(self.session).items()}
        self.control.mirror_tenants(rows)

    # --- picture

    def consolidate(self, manifest: Manifest, read: Read, run_id: str, now: datetime) -> Consolidated:
        """Brings one extract in; `read(object)` gives its landed rows (core.frames.LANDED). One transaction; replay is a no-op."""
        result = consolidate(self.session, manifest, read, run_id, now)
        if result.accepted:
            self._mirror_tenants()
        return result

    def accounts(self, columns: Collection[str] | None = None) -> pl.DataFrame:
        """All accounts, gone ones too, as ACCOUNT sorted by account_key. `columns`: only these are read, the others are null."""
        return self.session.frame("accounts", schema=ACCOUNT, columns=columns).sort("account_key")

    def groups(self) -> pl.DataFrame:
        """All groups, gone ones too, as GROUP sorted by group_key."""
        return self.session.frame("groups", schema=GROUP).sort("group_key")

    def memberships(self) -> pl.DataFrame:
        """All direct edges between accounts and groups that are there, as MEMBERSHIP sorted by its columns."""
        return self.session.frame("memberships", schema=MEMBERSHIP).sort("group_key", "nested", "member_key")

    # --- identity

    def links(self) -> pl.DataFrame:
        """Whose each account is, as saved last: LINK sorted by account_key."""
        return self.session.frame("core_link_rows", schema=LINK)

    def person_ids(self) -> pl.DataFrame:
        """The minted ids: PERSON_ID sorted by person_key."""
        return self.session.frame("core_person_id_rows", schema=PERSON_ID)

    def persons(self) -> pl.DataFrame:
        """The merged persons as saved last: PERSON sorted by person_key."""
        return self.session.frame("core_person_rows", schema=PERSON).sort("person_key")

    def past(self) -> Past:
        """When accounts came and ended, and the addresses they had before, as landed (core.match_history)."""
        return Past(
            self.session.frame("account_times", schema=TIMES), self.session.frame("account_former", schema=FORMER)
        )

    def decisions(self) -> pl.DataFrame:
        """The last human word on each pair of known accounts: DECISION (`same`, `different`)."""
        return self.session.frame("decisions", schema=DECISION)

    def overrides(self) -> pl.DataFrame:
        """The last exception said of each person and not cleared, ended ones too: STANDING_OVERRIDE sorted by person_id."""
        return self.session.frame("overrides", schema=STANDING_OVERRIDE)

    def save_identity(
        self,
        run_id: str,
        links: pl.DataFrame,
        person_ids: pl.DataFrame,
        persons: pl.DataFrame,
        now: datetime,
        *,
        lineage: pl.DataFrame | None = None,
    ) -> Saved:
        """Makes the state hold exactly these frames, with history, and appends LINEAGE; writes only what differs."""
        return save_identity(self.session, run_id, links, person_ids, persons, now=now, lineage=lineage)

    def doubts(self) -> pl.DataFrame:
        """What a human should look at, as saved last: REVIEW."""
        return self.session.frame("core_doubt_rows", schema=REVIEW)

    def decided(self) -> pl.DataFrame:
        """Decisions that shaped the links as saved last: DECIDED."""
        return self.session.frame("core_decided_rows", schema=DECIDED)

    def link_history(self) -> pl.DataFrame:
        """Whose each account was, with valid_from_run and valid_to_run (null: still is)."""
        return self.session.frame("core_link_history_rows")

    def decided_history(self) -> pl.DataFrame:
        """account_a, account_b, valid_from_run and valid_to_run (null: still) of every decision that ever shaped links."""
        return self.session.frame("core_decided_history_rows")

    def undone(self) -> pl.DataFrame:
        """Which links of the past came of decisions that were undone since: UNDONE."""
        return self.session.frame("core_undone_rows", schema=UNDONE)

    def save_review(
        self, run_id: str, doubts: pl.DataFrame, decided: pl.DataFrame, undone: pl.DataFrame, now: datetime
    ) -> Saved:
        """Makes the state hold exactly these REVIEW, DECIDED and UNDONE rows, with history; writes only what differs."""
        return save_review(self.session, run_id, doubts, decided, undone, now=now)

    # --- shadow

    def group_memory(self, target: str) -> pl.DataFrame:
        """Of which groups of tenants each group of the target was last made: GROUP_MEMORY."""
        return shadow.group_memory(self.session, target)

    def remember_groups(self, target: str, memory: pl.DataFrame) -> None:
        """Keeps exactly this GROUP_MEMORY of the target."""
        shadow.remember_groups(self.session, target, memory)

    def first_contact(self, target: str) -> bool:
        """True until `mark_adopted`."""
        return shadow.first_contact(self.session, target)

    def mark_adopted(self, target: str, run_id: str, now: datetime) -> None:
        """Ends first contact: an adoption plan was applied there."""
        shadow.mark_adopted(self.session, target, run_id, now)

    def existing(self, target: str) -> Existing:
        """What the target holds, as read and written so far, the receipts of an apply that died included."""
        absorb(self.session, self.ledger)
        return shadow.existing(self.session, target)

    def observe(
        self,
        target: str,
        users: pl.DataFrame,
        groups: pl.DataFrame,
        edges: pl.DataFrame,
        *,
        complete: bool,
        run_id: str,
        now: datetime,
    ) -> Observed:
        """Merges a reading into the shadow (see state.shadow.observe), after the receipts that came before it."""
        self.record_receipts(run_id, now)
        return shadow.observe(self.session, target, users, groups, edges, complete=complete, run_id=run_id, now=now)

    def record_receipts(self, run_id: str, now: datetime) -> int:
        """Takes the ledger's receipts that the shadow does not hold yet into it; returns how many. Again: nothing.

        Created and adopted objects and added edges become owned. Safe to die in: the next call goes on.
        """
        return absorb(self.session, self.ledger, run_id, now)

    # --- plans, runs, decisions

    def save_plan(self, header: PlanHeader, changes: pl.DataFrame, values: pl.DataFrame) -> None:
        """Stores a plan (CHANGE, CHANGE_VALUE)."""
        plans.save_plan(self.session, header, changes, values)

    def plan(self, prefix: str) -> StoredPlan:
        """The plan whose digest starts with `prefix`. RefusedError when none or several do."""
        return plans.plan(self.session, prefix)

    def newest_plan(self) -> StoredPlan | None:
        """The plan saved last."""
        return plans.newest_plan(self.session)

    def newest_header(self) -> PlanHeader | None:
        """The header of the plan saved last."""
        return plans.newest_header(self.session)

    def approvals(self, now: datetime) -> pl.DataFrame:
        """Imported approvals that hold at `now`: APPROVAL."""
        return self.session.frame("approvals", {"now": now}, APPROVAL_ROW)

    def begin_run(
        self,
        run_id: str,
        kind: str,
        now: datetime,
        *,
        config_digest: str = "",
        inputs: Mapping[str, JSON] | None = None,
    ) -> None:
        """Remembers that a run began, also where those see it who do not open the state."""
        runs.begin_run(self.session, run_id, kind, now, config_digest=config_digest, inputs=inputs or {})
        self.control.mirror_run(run_id, kind=kind, started_at=now)

    def end_run(
        self, run_id: str, now: datetime, *, outcome: str, exit_code: int, digest: str | None = None, detail: str = ""
    ) -> None:
        """Remembers how a run ended."""
        runs.end_run(self.session, run_id, now, outcome=outcome, exit_code=exit_code, digest=digest, detail=detail)
        self.control.mirror_run(run_id, finished_at=now, outcome=outcome, exit_code=exit_code, digest=digest)

    def runs(self) -> pl.DataFrame:
        """All runs, newest first (state.runs.RUN)."""
        return runs.runs(self.session)

    def take_decisions(self, rows: Sequence[Sequence[object]]) -> int:
        """Adds decisions of the control store that are not here yet (rows in the order of DECISION_ROW); returns how many."""
        return self._take("core_decision", "decision_ids", rows, DECISION_ROW)

    def take_approvals(self, rows: Sequence[Sequence[object]]) -> int:
        """Adds approvals of the control store that are not here yet (rows in the order of GIVEN_APPROVAL); returns how many."""
        return self._take("core_approval", "approval_ids", rows, GIVEN_APPROVAL)

    def take_overrides(self, rows: Sequence[Sequence[object]]) -> int:
        """Adds exceptions of the control store that are not here yet (rows in the order of GIVEN_OVERRIDE); returns how many."""
        return self._take("core_override", "override_ids", rows, GIVEN_OVERRIDE)

    def _take(self, table: str, known: str, rows: Sequence[Sequence[object]], schema: dict[str, pl.DataType]) -> int:
        there = {row[0] for row in self.session.rows(known)}
        fresh = [
            {
                name: unstamp(value)
                if kind == TIME and value is not None
                else bool(value)
                if kind == pl.Boolean
                else value
                for (name, kind), value in zip(schema.items(), row, strict=True)
            }
            for row in rows
            if row[0] not in there
        ]
        with self.session.transaction():
            self.session.insert(table, pl.DataFrame(fresh, schema=schema))
        return len(fresh)
