-- Which users does each target hold, whose are they, and are they ours?
CREATE VIEW target_accounts AS
SELECT target.name AS target, target_user.* EXCLUDE (user_key, person_key, target_key, known, valid_from_run), person_id
FROM target_user
JOIN target USING (target_key)
LEFT JOIN core_person_id USING (person_key)
ORDER BY target, remote_id
