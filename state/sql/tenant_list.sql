-- Which tenants are known, and how far was each read?
SELECT tenant_key, name, cursor, extract_id, full_content, started_at FROM tenant ORDER BY tenant_key
