-- Which decisions were ever made? Their ids sort by time and order, so that the later of two words stands.
SELECT printf('%s-%09d-%s', decided_at, decision_no, decision_id), tenant_a, native_id_a, tenant_b, native_id_b, decision, decided_by, decided_at, verified, why FROM decision ORDER BY decision_no
