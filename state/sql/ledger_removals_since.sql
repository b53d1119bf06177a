-- How many removals took effect since then?
SELECT target, verb, evidence, evidence_tenant, count(*)
FROM change_state
WHERE received_at >= ? AND state IN ('applied', 'already') AND verb IN (?, ?, ?, ?) AND compensates IS NULL
GROUP BY target, verb, evidence, evidence_tenant
ORDER BY target, verb, evidence, evidence_tenant
