-- What did people decide on pairs of accounts, newest first, and which word stands?
CREATE VIEW decisions AS
WITH said AS (
    SELECT *, least((tenant_a, native_id_a), (tenant_b, native_id_b)) AS a, greatest((tenant_a, native_id_a), (tenant_b, native_id_b)) AS b
    FROM core_decision
)
SELECT tenant_a, native_id_a, tenant_b, native_id_b, decision, decided_by, verified, decided_at, why,
    decision_id = first_value(decision_id) OVER (PARTITION BY a, b ORDER BY decided_at DESC, decision_id DESC) AND decision <> 'open' AS stands,
    decision_id
FROM said
ORDER BY decided_at DESC, decision_id DESC
