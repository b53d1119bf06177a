-- Which runs were there, newest first?
SELECT * FROM run ORDER BY started_at DESC, run_id DESC
