-- Which accounts of this tenant may the word mean: by id, else by user name or address?
WITH found AS (
    SELECT account_key, native_id, user_name, email, person_key, native_id = $word AS exact
    FROM raw_account
    JOIN tenant USING (tenant_key)
    LEFT JOIN core_link USING (account_key)
    WHERE tenant.name = $tenant AND (native_id = $word OR ($names AND (lower(user_name) = lower($word) OR lower(email) = lower($word))))
)
SELECT account_key, native_id, user_name, email, person_key
FROM found
WHERE exact OR NOT EXISTS (SELECT 1 FROM found WHERE exact)
ORDER BY native_id
