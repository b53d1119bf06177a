-- Which links of the past came of decisions that were undone since?
SELECT account_key, from_run, to_run FROM core_undone ORDER BY account_key, from_run, to_run
