-- Which decisions are known?
SELECT decision_id AS id FROM core_decision ORDER BY id
