-- Who are these persons, whether they still hold accounts or not?
SELECT id.person_key, id.person_id, coalesce(display_name, user_name, email) AS name
FROM core_person_id AS id
LEFT JOIN core_person USING (person_key)
WHERE id.person_key IN (SELECT unnest($persons::INTEGER[]))
ORDER BY id.person_key
