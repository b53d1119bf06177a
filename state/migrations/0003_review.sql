-- What a human should look at, which decisions shaped the links, and why each was made.
-- Versioned as in 0001: x, x_past, x_history.
CREATE TABLE core_doubt (
    account_a INTEGER,
    account_b INTEGER,
    rule VARCHAR,
    reason VARCHAR,
    score DOUBLE,
    waterfall VARCHAR,
    valid_from_run INTEGER
);
CREATE TABLE core_doubt_past AS SELECT *, NULL::INTEGER AS valid_to_run FROM core_doubt;
CREATE VIEW core_doubt_history AS SELECT *, NULL::INTEGER AS valid_to_run FROM core_doubt UNION ALL BY NAME SELECT * FROM core_doubt_past;
-- `since_run`: the run that first obeyed the decision; when it is undone, what it moved goes back to where it was before.
CREATE TABLE core_decided (
    account_a INTEGER,
    account_b INTEGER,
    decision VARCHAR,
    since_run INTEGER,
    valid_from_run INTEGER
);
CREATE TABLE core_decided_past AS SELECT *, NULL::INTEGER AS valid_to_run FROM core_decided;
CREATE VIEW core_decided_history AS SELECT *, NULL::INTEGER AS valid_to_run FROM core_decided UNION ALL BY NAME SELECT * FROM core_decided_past;
-- What runs from `from_run` up to, not including, `to_run` made of this account's link came of decisions that were undone since.
CREATE TABLE core_undone (
    account_key INTEGER,
    from_run INTEGER,
    to_run INTEGER,
    valid_from_run INTEGER
);
CREATE TABLE core_undone_past AS SELECT *, NULL::INTEGER AS valid_to_run FROM core_undone;
CREATE VIEW core_undone_history AS SELECT *, NULL::INTEGER AS valid_to_run FROM core_undone UNION ALL BY NAME SELECT * FROM core_undone_past;
ALTER TABLE core_decision ADD COLUMN verified BOOLEAN;
ALTER TABLE core_decision ADD COLUMN why VARCHAR;
