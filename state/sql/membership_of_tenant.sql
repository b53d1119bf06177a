-- Which direct edges does this tenant have?
SELECT group_key, member_key, nested FROM raw_membership WHERE tenant_key = $tenant_key ORDER BY group_key, nested, member_key
