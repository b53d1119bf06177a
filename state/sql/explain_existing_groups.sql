-- In which groups of targets were those users then, and is the membership ours?
SELECT target.name AS target, user_key, target_group_history.name AS group_name, edge.owned
FROM target_membership_history AS edge
JOIN target_group_history USING (group_key)
JOIN target ON target.target_key = edge.target_key
WHERE user_key IN (SELECT unnest($users::INTEGER[])) AND edge.valid_from_run <= $run_no AND (edge.valid_to_run IS NULL OR edge.valid_to_run > $run_no)
    AND target_group_history.valid_from_run <= $run_no AND (target_group_history.valid_to_run IS NULL OR target_group_history.valid_to_run > $run_no)
ORDER BY target, user_key, group_name
