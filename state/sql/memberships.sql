-- Which direct edges do all tenants have?
SELECT group_key, member_key, nested FROM raw_membership
