-- Which runs were there, and how did they end?
CREATE VIEW runs AS
SELECT * FROM run ORDER BY started_at DESC, run_id DESC
