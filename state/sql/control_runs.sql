-- Which runs were there lately?
SELECT run_id, kind, started_at, finished_at, outcome, exit_code, digest FROM run ORDER BY started_at DESC, run_id DESC LIMIT ?
