-- Who wrote history last, and under which number?
SELECT run_no, run_id FROM history_run ORDER BY run_no DESC LIMIT 1
