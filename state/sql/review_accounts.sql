-- What do these accounts, and those of these persons, say, and whose are they?
SELECT tenant.name AS tenant, raw_account.* EXCLUDE (valid_from_run), core_link.person_key, person_id, core_link.rule, core_link.evidence
FROM raw_account
JOIN tenant USING (tenant_key)
LEFT JOIN core_link USING (account_key)
LEFT JOIN core_person_id USING (person_key)
WHERE account_key IN (SELECT unnest($accounts::INTEGER[])) OR person_key IN (SELECT unnest($persons::INTEGER[]))
ORDER BY tenant, native_id
