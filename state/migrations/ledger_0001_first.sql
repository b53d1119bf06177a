-- The ledger: append-only. An intent is durable before its call, a receipt after it; triggers refuse to rewrite either.
-- An intent may have several receipts while nobody knows its outcome ('unknown'); the newest one stands.
CREATE TABLE intent (
    intent_id INTEGER PRIMARY KEY AUTOINCREMENT, run_id TEXT NOT NULL, plan TEXT NOT NULL, seq INTEGER NOT NULL, target TEXT NOT NULL,
    verb TEXT NOT NULL, object_id TEXT NOT NULL, fingerprint TEXT NOT NULL, user_name TEXT, group_name TEXT, person_key INTEGER,
    person_id TEXT, user_key INTEGER, remote_id TEXT, evidence TEXT NOT NULL, evidence_tenant INTEGER, unit INTEGER NOT NULL, reason TEXT,
    compensates INTEGER, at TEXT NOT NULL
);
CREATE TABLE intent_value (intent_id INTEGER NOT NULL, attribute TEXT NOT NULL, before TEXT, after TEXT);
CREATE TABLE receipt (
    receipt_no INTEGER PRIMARY KEY AUTOINCREMENT, intent_id INTEGER NOT NULL REFERENCES intent, run_id TEXT NOT NULL,
    outcome TEXT NOT NULL, remote_id TEXT, detail TEXT NOT NULL, requests INTEGER NOT NULL, at TEXT NOT NULL
);
CREATE INDEX intent_run ON intent (run_id);
CREATE INDEX intent_fingerprint ON intent (fingerprint);
CREATE INDEX intent_value_intent ON intent_value (intent_id);
CREATE INDEX receipt_intent ON receipt (intent_id);
CREATE INDEX receipt_at ON receipt (at);
CREATE INDEX compensation ON intent (compensates) WHERE compensates IS NOT NULL;
CREATE TRIGGER intent_stays BEFORE UPDATE ON intent BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER receipt_stays BEFORE UPDATE ON receipt BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE VIEW change_state AS
SELECT intent.*, receipt.outcome, receipt.detail, receipt.requests, receipt.remote_id AS received_remote_id, receipt.at AS received_at,
    CASE
        WHEN EXISTS (
            SELECT 1 FROM intent undo JOIN receipt done ON done.intent_id = undo.intent_id
            WHERE undo.compensates = intent.intent_id AND done.outcome IN ('applied', 'already')
        ) THEN 'compensated'
        ELSE coalesce(receipt.outcome, 'intended')
    END AS state
FROM intent LEFT JOIN receipt ON receipt.receipt_no = (SELECT max(receipt_no) FROM receipt AS each WHERE each.intent_id = intent.intent_id);
CREATE TABLE quarantine (
    target TEXT NOT NULL, object_id TEXT NOT NULL, fingerprint TEXT NOT NULL, verb TEXT NOT NULL, label TEXT NOT NULL, attempts INTEGER NOT NULL,
    next_try_at TEXT NOT NULL, error TEXT NOT NULL, first_at TEXT NOT NULL, last_at TEXT NOT NULL, PRIMARY KEY (target, object_id)
);
