-- Which calls were answered after this receipt?
SELECT receipt_no, intent.intent_id, intent.run_id, plan, seq, target, verb, object_id, fingerprint, user_name, group_name, person_key, person_id,
    user_key, coalesce(receipt.remote_id, intent.remote_id), evidence, evidence_tenant, unit, reason, compensates, intent.at, outcome, detail,
    requests, receipt.at
FROM receipt JOIN intent ON intent.intent_id = receipt.intent_id
WHERE receipt_no > ?
ORDER BY receipt_no
