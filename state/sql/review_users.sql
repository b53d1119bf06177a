-- Which users of targets are these persons'? The one that is kept in line stands first.
SELECT target.name AS target, user_key, remote_id, user_name, active, owned, person_key
FROM target_user
JOIN target USING (target_key)
WHERE present AND person_key IN (SELECT unnest($persons::INTEGER[]))
ORDER BY target, person_key, NOT coalesce(active, true), user_key
