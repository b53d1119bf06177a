-- Which account belonged to which person before this run wrote?
SELECT * EXCLUDE (valid_from_run, valid_to_run)
FROM core_link_history
WHERE valid_from_run < $run_no AND (valid_to_run IS NULL OR valid_to_run >= $run_no)
ORDER BY account_key
