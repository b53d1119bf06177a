-- Which values would those changes set?
SELECT plan_value.seq, attribute, before, after
FROM plan_value
JOIN plan_change USING (digest, seq)
WHERE digest = $digest AND person_id = $person_id
ORDER BY plan_value.seq, attribute
