-- Which decisions were ever in force, and from which run until which?
SELECT account_a, account_b, valid_from_run, valid_to_run FROM core_decided_history ORDER BY account_a, account_b, valid_from_run
