-- What were the unanswered calls to do to attributes?
SELECT intent_id, attribute, before, after
FROM intent_value
WHERE NOT EXISTS (SELECT 1 FROM receipt WHERE receipt.intent_id = intent_value.intent_id AND outcome <> 'unknown')
ORDER BY intent_id, attribute
