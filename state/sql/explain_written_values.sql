-- Which values did those calls carry?
SELECT DISTINCT ledger_value.intent_id, attribute, before, after
FROM ledger_value
JOIN ledger_change USING (intent_id)
WHERE person_id = $person_id
ORDER BY intent_id, attribute
