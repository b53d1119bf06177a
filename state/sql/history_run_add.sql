-- Who writes history under this number?
INSERT INTO history_run VALUES ($run_no, $run_id, $now)
