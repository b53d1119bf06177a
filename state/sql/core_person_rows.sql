-- Who are the people, merged?
SELECT * EXCLUDE (valid_from_run) FROM core_person
