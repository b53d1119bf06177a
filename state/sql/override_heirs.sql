-- Who is each of these persons now? One who merged into another is the person that the founding account went to.
SELECT asked.person_id, heir.person_id AS heir_id, heir.user_name, heir.email, heir.display_name, heir.active, heir.status_reason
FROM (SELECT unnest($person_ids::VARCHAR[]) AS person_id) AS asked
LEFT JOIN core_person_id AS mine USING (person_id)
LEFT JOIN core_person AS alive ON alive.person_key = mine.person_key
LEFT JOIN core_link AS link ON link.account_key = mine.founder_key
LEFT JOIN core_person AS heir ON heir.person_key = coalesce(alive.person_key, link.person_key)
ORDER BY asked.person_id
