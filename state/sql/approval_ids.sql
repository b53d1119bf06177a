-- Which approvals are known?
SELECT approval_id AS id FROM core_approval ORDER BY id
