-- Which calls may or may not have taken effect?
SELECT intent.intent_id, intent.run_id, plan, seq, target, verb, object_id, fingerprint, user_name, group_name, person_key, person_id, user_key,
    intent.remote_id, evidence, evidence_tenant, unit, reason, compensates, intent.at
FROM intent
WHERE NOT EXISTS (SELECT 1 FROM receipt WHERE receipt.intent_id = intent.intent_id AND outcome <> 'unknown') AND (?1 IS NULL OR target = ?2)
ORDER BY intent.intent_id
