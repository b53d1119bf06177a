-- Which of these accounts (`tenant`, `native_id`, side by side) are known?
WITH asked AS (SELECT unnest($tenants::VARCHAR[]) AS name, unnest($ids::VARCHAR[]) AS native_id)
SELECT name AS tenant, native_id, account_key
FROM asked
JOIN tenant USING (name)
JOIN raw_account USING (tenant_key, native_id)
ORDER BY tenant, native_id
