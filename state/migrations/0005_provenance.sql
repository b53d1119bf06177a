-- How each value of a person came to stand, who alone keeps the person active, and who says otherwise.

ALTER TABLE core_person ADD COLUMN rules UBIGINT DEFAULT 0;
ALTER TABLE core_person ADD COLUMN kept_by SMALLINT;
ALTER TABLE core_person ADD COLUMN against VARCHAR;
ALTER TABLE core_person_past ADD COLUMN rules UBIGINT DEFAULT 0;
ALTER TABLE core_person_past ADD COLUMN kept_by SMALLINT;
ALTER TABLE core_person_past ADD COLUMN against VARCHAR;
CREATE OR REPLACE VIEW core_person_history AS SELECT *, NULL::INTEGER AS valid_to_run FROM core_person UNION ALL BY NAME SELECT * FROM core_person_past;

-- Of which groups of tenants each group of a target was last made: a renamed one is recognised by it. `form`: its name, folded.
CREATE TABLE target_group_source (target_key SMALLINT NOT NULL, form VARCHAR NOT NULL, group_key INTEGER NOT NULL);
