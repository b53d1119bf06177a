-- Which extract of each tenant was consolidated last?
SELECT tenant.name, extract_id, kind, verdict, reasons, extract.started_at, finished_at, accounts, groups, memberships, rejected, claimed, accounts_before
FROM tenant JOIN extract USING (tenant_key, extract_id)
ORDER BY tenant_key
