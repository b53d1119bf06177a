-- Which rows did the person have, from which run on?
SELECT core_person_history.*, history_run.began_at, history_run.run_id
FROM core_person_history
LEFT JOIN history_run ON history_run.run_no = valid_from_run
WHERE person_id = $person_id AND valid_from_run <= $run_no
ORDER BY valid_from_run
