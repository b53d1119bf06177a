-- What was sent to targets for this person, in which run, and what became of it?
SELECT intent_id, run_id, plan AS digest, target, verb, user_name, group_name, evidence, reason, outcome, detail, received_at
FROM (FROM ledger_change QUALIFY row_number() OVER (PARTITION BY intent_id ORDER BY receipt_no DESC) = 1) AS ledger_change
WHERE person_id = $person_id AND ($at IS NULL OR received_at <= $at)
ORDER BY intent_id
