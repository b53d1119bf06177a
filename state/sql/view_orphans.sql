-- Which active users of a target belong to nobody we know?
CREATE VIEW orphans AS
SELECT target.name AS target, remote_id, user_name, display_name, email, owned, observed_at
FROM target_user
JOIN target USING (target_key)
WHERE present AND active AND person_key IS NULL
ORDER BY target, remote_id
