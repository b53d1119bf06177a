-- Which tenants are known, and how far was each read?
SELECT name, tenant_key, cursor FROM tenant ORDER BY tenant_key
