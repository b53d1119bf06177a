-- Which objects are kept back, why, and until when?
SELECT target, object_id, fingerprint, verb, label, attempts, next_try_at, error, first_at, last_at
FROM quarantine
ORDER BY target, object_id
