-- The control store: what anybody may say to, or ask of, an installation while a run goes on. Append-only where a human decided.
CREATE TABLE lease (
    name TEXT PRIMARY KEY, token TEXT NOT NULL, host TEXT NOT NULL, boot_id TEXT NOT NULL, pid_space TEXT NOT NULL, pid INTEGER NOT NULL,
    process_start TEXT NOT NULL, purpose TEXT NOT NULL, acquired_at TEXT NOT NULL, renewed_at TEXT NOT NULL
);
CREATE TABLE tenant (name TEXT PRIMARY KEY, tenant_key INTEGER NOT NULL, cursor TEXT);
CREATE TABLE decision (
    decision_no INTEGER PRIMARY KEY, decision_id TEXT NOT NULL UNIQUE, tenant_a TEXT NOT NULL, native_id_a TEXT NOT NULL,
    tenant_b TEXT NOT NULL, native_id_b TEXT NOT NULL, decision TEXT NOT NULL, decided_by TEXT NOT NULL, decided_at TEXT NOT NULL
);
CREATE TABLE approval (
    approval_no INTEGER PRIMARY KEY, approval_id TEXT NOT NULL UNIQUE, fingerprint TEXT NOT NULL, digest TEXT NOT NULL, hold_id TEXT,
    approved_by TEXT NOT NULL, verified INTEGER NOT NULL, approved_at TEXT NOT NULL, until TEXT
);
CREATE TABLE request (
    request_no INTEGER PRIMARY KEY, kind TEXT NOT NULL, subject TEXT NOT NULL, asked_by TEXT NOT NULL, asked_at TEXT NOT NULL, taken_at TEXT
);
CREATE TABLE frozen (subject TEXT PRIMARY KEY, frozen_by TEXT NOT NULL, frozen_at TEXT NOT NULL);
CREATE TABLE run (
    run_id TEXT PRIMARY KEY, kind TEXT NOT NULL, started_at TEXT NOT NULL, finished_at TEXT, outcome TEXT, exit_code INTEGER, digest TEXT
);
CREATE TABLE mirror (name TEXT PRIMARY KEY, rows TEXT NOT NULL, at TEXT NOT NULL);
