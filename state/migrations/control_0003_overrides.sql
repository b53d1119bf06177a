-- Exceptions that people set (`onefold override`): says is inactive, keep or clear; a run imports them at its start. Append-only.
CREATE TABLE override (
    override_no INTEGER PRIMARY KEY, override_id TEXT NOT NULL UNIQUE, person_id TEXT NOT NULL, says TEXT NOT NULL, until TEXT,
    reason TEXT NOT NULL, said_by TEXT NOT NULL, said_at TEXT NOT NULL
);
