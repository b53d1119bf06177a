-- Which decisions shaped the links of now, and since which run?
SELECT account_a, account_b, decision, since_run FROM core_decided ORDER BY account_a, account_b
