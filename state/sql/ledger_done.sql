-- Which changes of this plan took effect, and were not undone?
SELECT DISTINCT fingerprint
FROM change_state
WHERE plan = ? AND state IN ('applied', 'already') AND compensates IS NULL
ORDER BY fingerprint
