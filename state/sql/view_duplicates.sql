-- Which people hold several active users in one target?
CREATE VIEW duplicates AS
SELECT target.name AS target, person_id, count(*) AS users, list(user_name ORDER BY user_name) AS user_names
FROM target_user
JOIN target USING (target_key)
JOIN core_person_id USING (person_key)
WHERE present AND active
GROUP BY target.name, person_id
HAVING count(*) > 1
ORDER BY target, person_id
