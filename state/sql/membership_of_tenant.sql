-- Which direct edges does this tenant have, packed as in state.edges? (sorted by the caller)
SELECT (group_key::BIGINT << 32) | (nested::BIGINT << 31) | member_key AS packed FROM raw_membership WHERE tenant_key = $tenant_key
