-- Which edges of this tenant wait no more?
DELETE FROM raw_membership_aside WHERE tenant_key = $tenant_key
