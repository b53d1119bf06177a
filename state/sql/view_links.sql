-- Which account belongs to which person, by which rule, and since when?
CREATE VIEW links AS
SELECT tenant.name AS tenant, native_id, person_id, rule, evidence, class, history_run.began_at AS since
FROM core_link
JOIN raw_account USING (account_key)
JOIN tenant USING (tenant_key)
JOIN core_person_id USING (person_key)
LEFT JOIN history_run ON history_run.run_no = core_link.valid_from_run
ORDER BY tenant, native_id
