-- What were the groups called then?
SELECT group_key, tenant_key, tenant.name AS tenant, native_id, raw_group_history.name, description, kind, gone
FROM raw_group_history
JOIN tenant USING (tenant_key)
WHERE valid_from_run <= $run_no AND (valid_to_run IS NULL OR valid_to_run > $run_no)
ORDER BY group_key
