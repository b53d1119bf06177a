-- What does the newest plan ask for this person?
SELECT seq, target, verb, object_id, user_name, group_name, evidence, reason, fingerprint, held_by
FROM plan_change
WHERE digest = $digest AND person_id = $person_id
ORDER BY seq
