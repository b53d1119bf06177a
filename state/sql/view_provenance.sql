-- Whose word is each value of each person, and by which rule?
CREATE VIEW provenance AS
WITH order_of AS (
    SELECT [
        'user_name', 'email', 'aliases', 'home_email', 'private_email', 'display_name', 'given_name', 'family_name', 'employee_number',
        'user_type', 'active', 'status', 'department', 'title', 'company', 'location', 'phone', 'locale', 'time_zone', 'disabled_at',
        'starts_on', 'ends_on'
    ] AS names
),
stood AS (
    UNPIVOT (SELECT person_id, rules, COLUMNS(* EXCLUDE (person_id, rules))::VARCHAR FROM core_person)
    ON COLUMNS(* EXCLUDE (person_id, rules)) INTO NAME attribute VALUE value
),
given AS (
    SELECT person_id, attribute[6:] AS attribute, value::INTEGER AS account_key FROM stood WHERE starts_with(attribute, 'from_')
)
SELECT person_id, attribute, value, tenant.name AS tenant, native_id,
    CASE WHEN attribute = 'active' THEN 'status'
        ELSE ['precedence', 'preference', 'fallback', 'union'][1 + (rules >> (2 * (list_position(names, attribute) - 1)) & 3)::INTEGER] END AS rule
FROM stood CROSS JOIN order_of
LEFT JOIN given USING (person_id, attribute)
LEFT JOIN raw_account USING (account_key)
LEFT JOIN tenant USING (tenant_key)
WHERE list_contains(names, attribute)
ORDER BY person_id, attribute
