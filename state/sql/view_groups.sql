-- Which groups does each tenant have?
CREATE VIEW groups AS
SELECT tenant.name AS tenant, group_key, native_id, raw_group.* EXCLUDE (group_key, tenant_key, native_id, valid_from_run)
FROM raw_group
JOIN tenant USING (tenant_key)
ORDER BY tenant, native_id
