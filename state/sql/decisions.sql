-- Which pairs of accounts did a human pin or veto last?
WITH last_word AS (
    SELECT * FROM core_decision
    QUALIFY row_number() OVER (
        PARTITION BY least((tenant_a, native_id_a), (tenant_b, native_id_b)), greatest((tenant_a, native_id_a), (tenant_b, native_id_b))
        ORDER BY decided_at DESC, decision_id DESC
    ) = 1
), account AS (
    SELECT tenant.name, native_id, account_key FROM raw_account JOIN tenant USING (tenant_key)
)
SELECT a.account_key AS account_a, b.account_key AS account_b, decision
FROM last_word
JOIN account AS a ON a.name = tenant_a AND a.native_id = native_id_a
JOIN account AS b ON b.name = tenant_b AND b.native_id = native_id_b
WHERE decision IN ('same', 'different')
ORDER BY account_a, account_b
