-- Which decisions were ever made?
SELECT decision_id, tenant_a, native_id_a, tenant_b, native_id_b, decision, decided_by, decided_at FROM decision ORDER BY decision_no
