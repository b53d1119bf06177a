-- Whom may this word mean? The smallest tier that finds anybody counts: ids, names and addresses of then, those of before, display names.
WITH account AS (
    SELECT account_key, native_id, user_name, email, aliases, home_email, private_email, display_name, core_link.person_key,
        record.valid_from_run <= $run_no AND (record.valid_to_run IS NULL OR record.valid_to_run > $run_no) AS valid
    FROM raw_account_history AS record
    JOIN core_link USING (account_key)
), found AS (
    SELECT 1 AS tier, person_key, 'person_id' AS how FROM core_person_id_history WHERE person_id = $who
    UNION ALL
    SELECT 2, person_key, 'native_id' FROM account WHERE native_id = $who
    UNION ALL
    SELECT CASE WHEN valid THEN 3 ELSE 4 END, person_key, CASE WHEN valid THEN 'name or address' ELSE 'former name or address' END
    FROM account
    WHERE lower(user_name) = lower($who) OR lower(email) = lower($who) OR lower(home_email) = lower($who) OR lower(private_email) = lower($who)
        OR list_contains(list_transform(aliases, lambda x: lower(regexp_replace(x, '^smtp:', '', 'i'))), lower($who))
    UNION ALL
    SELECT CASE WHEN valid_to_run IS NULL THEN 3 ELSE 4 END, person_key, 'user name in a target'
    FROM target_user_history
    WHERE lower(user_name) = lower($who) AND person_key IS NOT NULL
    UNION ALL
    SELECT 5, person_key, 'display name' FROM account WHERE lower(display_name) = lower($who)
), heir AS (
    SELECT DISTINCT tier, how, coalesce(link.person_key, found.person_key) AS person_key
    FROM found
    LEFT JOIN core_person AS alive USING (person_key)
    LEFT JOIN (SELECT person_key, founder_key FROM core_person_id_history QUALIFY row_number() OVER (PARTITION BY person_key ORDER BY valid_from_run DESC) = 1)
        AS past ON past.person_key = found.person_key AND alive.person_key IS NULL
    LEFT JOIN core_link AS link ON link.account_key = past.founder_key
)
SELECT person_id, min(how) AS how, core_person.user_name, core_person.email, core_person.display_name, tenant.name AS home_tenant, core_person.active
FROM heir
JOIN core_person USING (person_key)
LEFT JOIN tenant ON tenant.tenant_key = core_person.home_tenant
WHERE tier = (SELECT min(tier) FROM heir)
GROUP BY ALL
ORDER BY person_id
