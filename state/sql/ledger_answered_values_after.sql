-- What did the calls answered after this receipt do to attributes?
SELECT intent_value.intent_id, attribute, before, after
FROM receipt JOIN intent_value ON intent_value.intent_id = receipt.intent_id
WHERE receipt_no > ?
ORDER BY receipt_no, attribute
