-- What does each tenant know of each account?
CREATE VIEW accounts AS
SELECT tenant.name AS tenant, account_key, native_id, raw_account.* EXCLUDE (account_key, tenant_key, native_id, present, valid_from_run), person_id, class
FROM raw_account
JOIN tenant USING (tenant_key)
LEFT JOIN core_link USING (account_key)
LEFT JOIN core_person_id USING (person_key)
ORDER BY tenant, native_id
