-- Which exceptions are known?
SELECT override_id AS id FROM core_override ORDER BY id
