-- Which accounts were or are this person's, by which rule, from which run to which?
SELECT link.account_key, link.person_key, link.rule, link.evidence, link.class, tenant.name AS tenant, raw_account.native_id,
    link.valid_from_run, link.valid_to_run, began.began_at AS since, began.run_id AS since_run, ended.began_at AS until, ended.run_id AS until_run
FROM core_link_history AS link
JOIN raw_account USING (account_key)
JOIN tenant USING (tenant_key)
LEFT JOIN history_run AS began ON began.run_no = link.valid_from_run
LEFT JOIN history_run AS ended ON ended.run_no = link.valid_to_run
WHERE link.person_key = $person_key AND link.valid_from_run <= $run_no
ORDER BY tenant, native_id, link.valid_from_run
