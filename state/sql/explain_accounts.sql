-- What did these accounts say then?
SELECT *
FROM raw_account_history
WHERE account_key IN (SELECT unnest($accounts::INTEGER[])) AND valid_from_run <= $run_no AND (valid_to_run IS NULL OR valid_to_run > $run_no)
ORDER BY account_key
