-- What did people decide on pairs in which one of these accounts is?
SELECT tenant_a, native_id_a, tenant_b, native_id_b, decision, decided_by, decided_at, why
FROM core_decision
WHERE (tenant_a, native_id_a) IN (SELECT (tenant.name, native_id) FROM raw_account JOIN tenant USING (tenant_key) WHERE account_key IN (SELECT unnest($accounts::INTEGER[])))
    OR (tenant_b, native_id_b) IN (SELECT (tenant.name, native_id) FROM raw_account JOIN tenant USING (tenant_key) WHERE account_key IN (SELECT unnest($accounts::INTEGER[])))
ORDER BY decided_at, decision_id
