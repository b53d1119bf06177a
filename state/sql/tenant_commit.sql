-- Up to where was the tenant consolidated?
UPDATE tenant SET cursor = $cursor, extract_id = $extract_id, full_content = $full_content, started_at = $started_at
WHERE tenant_key = $tenant_key
