-- Which groups of this tenant are known, gone ones too?
SELECT * EXCLUDE (valid_from_run) FROM raw_group WHERE tenant_key = $tenant_key ORDER BY native_id
