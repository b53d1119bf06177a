-- Which users of targets were this person's then?
SELECT target.name AS target, target_user_history.*
FROM target_user_history
JOIN target USING (target_key)
WHERE person_key = $person_key AND valid_from_run <= $run_no AND (valid_to_run IS NULL OR valid_to_run > $run_no)
ORDER BY target, user_key
