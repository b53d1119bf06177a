"""The store: one writer's door to `state.duckdb`, and the way to everything the state remembers.

    with Store.open(folder, purpose="plan", now=now) as store:    # folder = the state folder; takes the lease, migrates
        store.begin_run(run_id, "plan", now, config_digest=…, inputs={…})
        store.control.import_into(store)                          # approvals, decisions, given while nobody wrote
        done = store.consolidate(manifest, read, run_id, now)     # read("accounts") -> frame LANDED["accounts"]
        …
        store.end_run(run_id, now, outcome="done", exit_code=0, digest=…)
        publish(store, now=now, keep=10)                          # state.snapshot

| subject | methods (frames are those of core.frames; times UTC without zone) |
|---|---|
| tenants | `tenant_keys() -> {name: key}`, `ensure_tenants(names) -> {name: key}`, `rename_tenant(old, name)`, `cursor(tenant)`, `newest_extracts() -> {tenant: Consumed}` |
| picture | `consolidate(manifest, read, run_id, now) -> Consolidated`, `accounts() -> ACCOUNT`, `groups() -> GROUP`, `memberships() -> MEMBERSHIP`, sorted by key |
| identity | `links() -> LINK`, `person_ids() -> PERSON_ID`, `persons() -> PERSON`, `decisions() -> DECISION`, `save_identity(run_id, links, person_ids, persons, now) -> Saved` |
| shadow | `existing(target) -> Existing(users, groups, memberships)`, `observe(target, users, groups, edges, *, complete, run_id, now) -> Observed`, `record_receipts(run_id, now) -> int` (ledger receipts not yet in the shadow; idempotent, also called by `observe` and `existing`), `first_contact(target)`, `mark_adopted(target, run_id, now)` |
| plans | `save_plan(header, changes, values)`, `plan(prefix) -> StoredPlan(header, changes, values)`, `newest_plan() -> StoredPlan \\| None`, `approvals(now) -> APPROVAL` |
| ledger | `store.ledger`: `intend(run_id, plan, [Intent], now) -> [intent_id]`, `receive(run_id, [(intent_id, Receipt)], now)`, `open_intents(target=None) -> [OpenIntent]`, `states(run_id) -> frame`, `removals_since(t) -> WINDOW`, `quarantine …` |
| runs | `begin_run`, `end_run`, `runs() -> frame` |
| control | `store.control` (state.control.Control), `store.lease.still_mine()`: ask before every call that writes |

Frames that `observe` takes (state.shadow): users OBSERVED_USER = remote_id, the PUSHED attributes, active, known (bits of
core.frames.KNOWN: attributes that the answer contained; left out = every PUSHED column of the frame), protected; groups
OBSERVED_GROUP = remote_id, name, grants_admin, implicit, members_complete (true: `edges` holds all its members; left out
= the value of `complete`); edges OBSERVED_MEMBERSHIP = group_id, user_id (remote ids). Columns may be left out.

Without the lease, from any process: `Control.open(folder)`, `Control.known_tenants(folder) -> {name: key}`,
`Control.cursor(folder, tenant) -> str | None`, `Ledger.open(folder)`, and `Snapshot.open(folder)` for every command that only reads.
"""
