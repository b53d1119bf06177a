-- Which edges from these accounts to others were refused by a veto, or only suggested, and whose are the others?
SELECT near.name AS tenant, mine.native_id, far.name AS other_tenant, theirs.native_id AS other_native_id, core_person_id.person_id AS other_person,
    doubt.rule, doubt.reason, doubt.score, began.began_at AS since, began.run_id AS since_run
FROM (
    SELECT account_a AS account_key, account_b AS other_key, rule, reason, score, valid_from_run FROM core_doubt_history
    WHERE account_a IN (SELECT unnest($accounts::INTEGER[])) AND valid_from_run <= $run_no AND (valid_to_run IS NULL OR valid_to_run > $run_no)
    UNION ALL
    SELECT account_b, account_a, rule, reason, score, valid_from_run FROM core_doubt_history
    WHERE account_b IN (SELECT unnest($accounts::INTEGER[])) AND valid_from_run <= $run_no AND (valid_to_run IS NULL OR valid_to_run > $run_no)
) AS doubt
JOIN raw_account AS mine ON mine.account_key = doubt.account_key
JOIN tenant AS near ON near.tenant_key = mine.tenant_key
JOIN raw_account AS theirs ON theirs.account_key = doubt.other_key
JOIN tenant AS far ON far.tenant_key = theirs.tenant_key
LEFT JOIN core_link_history AS link
    ON link.account_key = doubt.other_key AND link.valid_from_run <= $run_no AND (link.valid_to_run IS NULL OR link.valid_to_run > $run_no)
LEFT JOIN core_person_id ON core_person_id.person_key = link.person_key
LEFT JOIN history_run AS began ON began.run_no = doubt.valid_from_run
ORDER BY doubt.score DESC, other_tenant, other_native_id, tenant, mine.native_id, doubt.rule
