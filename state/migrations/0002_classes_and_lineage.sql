-- What each account is (core.model.AccountClass) and what became of persons between two runs.
ALTER TABLE core_link ADD COLUMN class VARCHAR;
ALTER TABLE core_link_past ADD COLUMN class VARCHAR;
CREATE OR REPLACE VIEW core_link_history AS SELECT *, NULL::INTEGER AS valid_to_run FROM core_link UNION ALL BY NAME SELECT * FROM core_link_past;
ALTER TABLE core_person ADD COLUMN person_class VARCHAR;
ALTER TABLE core_person_past ADD COLUMN person_class VARCHAR;
CREATE OR REPLACE VIEW core_person_history AS SELECT *, NULL::INTEGER AS valid_to_run FROM core_person UNION ALL BY NAME SELECT * FROM core_person_past;
-- Append-only, one row an event; ids, not keys: an auditor reads it alone.
CREATE TABLE core_lineage (
    run_no INTEGER NOT NULL, event VARCHAR NOT NULL, person_from VARCHAR, person_to VARCHAR, accounts INTEGER, continues VARCHAR,
    reason VARCHAR, edge VARCHAR
);
