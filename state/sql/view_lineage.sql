-- Which persons were founded, split, merged, moved or came back, in which run and why?
CREATE VIEW lineage AS
SELECT history_run.began_at AS happened_at, history_run.run_id, core_lineage.* EXCLUDE (run_no)
FROM core_lineage
JOIN history_run USING (run_no)
ORDER BY happened_at, event, person_from, person_to
