-- Which edges of this tenant wait for an unknown end?
SELECT group_id, member_id, member_kind FROM raw_membership_aside WHERE tenant_key = $tenant_key ORDER BY ALL
