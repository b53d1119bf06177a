-- What became of this person and of those it came from?
SELECT event, person_from, person_to, accounts, continues, reason, edge, began_at, run_id
FROM core_lineage
JOIN history_run USING (run_no)
WHERE (person_from = $person_id OR person_to = $person_id) AND run_no <= $run_no
ORDER BY run_no, event, person_from, person_to
