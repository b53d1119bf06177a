-- What did the person look like then?
SELECT core_person_history.*, history_run.began_at AS since, history_run.run_id AS since_run
FROM core_person_history
LEFT JOIN history_run ON history_run.run_no = valid_from_run
WHERE person_id = $person_id AND valid_from_run <= $run_no AND (valid_to_run IS NULL OR valid_to_run > $run_no)
ORDER BY valid_from_run
