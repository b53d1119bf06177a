-- Which changes does the newest plan ask for, and which of them are held?
CREATE VIEW planned_changes AS
SELECT plan_change.* EXCLUDE (evidence_tenant), tenant.name AS evidence_tenant
FROM plan_change
LEFT JOIN tenant ON tenant.tenant_key = plan_change.evidence_tenant
WHERE digest = (SELECT digest FROM plan_header WHERE plan_no > 0 ORDER BY plan_no DESC LIMIT 1)
ORDER BY seq
