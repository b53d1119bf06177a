-- Which changes were sent, and what became of each?
CREATE VIEW changes AS
SELECT run_id, plan AS digest, seq, target, verb, object_id, user_name, group_name, person_id, evidence, tenant.name AS evidence_tenant, reason,
    CASE WHEN undone.compensates IS NULL THEN outcome ELSE 'compensated' END AS state, detail, ledger_change.remote_id, intended_at, received_at, fingerprint, intent_id
FROM (FROM ledger_change QUALIFY row_number() OVER (PARTITION BY intent_id ORDER BY receipt_no DESC) = 1) AS ledger_change
LEFT JOIN tenant ON tenant.tenant_key = evidence_tenant
LEFT JOIN (SELECT DISTINCT compensates FROM ledger_change WHERE outcome IN ('applied', 'already')) AS undone ON undone.compensates = intent_id
ORDER BY intent_id
