-- Who were the people at that time?
CREATE MACRO people_at(t) AS TABLE
SELECT * EXCLUDE (valid_from_run, valid_to_run)
FROM core_person_history
WHERE valid_from_run <= (SELECT max(run_no) FROM history_run WHERE began_at <= t)
    AND (valid_to_run IS NULL OR valid_to_run > (SELECT max(run_no) FROM history_run WHERE began_at <= t))
ORDER BY person_id
