-- Which pairs should a human look at?
SELECT account_a, account_b, rule, reason, score, waterfall FROM core_doubt ORDER BY account_a, account_b
