-- What became of each change of this run?
SELECT intent_id, run_id, plan, seq, target, verb, object_id, fingerprint, user_name, group_name, person_id, unit, state, detail, compensates, at, received_at
FROM change_state
WHERE run_id = ?
ORDER BY intent_id
