-- Which extracts of this tenant were taken into the picture, in which order?
SELECT extract_id, started_at FROM extract
WHERE tenant_key = $tenant_key AND outcome IN ('consolidated', 'unchanged')
ORDER BY consolidated_at, started_at, extract_id
