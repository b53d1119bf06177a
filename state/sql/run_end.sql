-- How did this run end?
UPDATE run SET finished_at = $now, outcome = $outcome, exit_code = $exit_code, digest = $digest, detail = $detail WHERE run_id = $run_id
