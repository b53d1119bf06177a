-- Which accounts are this person's, in which tenants?
SELECT tenant.name AS tenant, raw_account.native_id
FROM core_person
JOIN core_link USING (person_key)
JOIN raw_account USING (account_key)
JOIN tenant USING (tenant_key)
WHERE core_person.person_id = $person_id
ORDER BY tenant.name, native_id
