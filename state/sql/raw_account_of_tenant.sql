-- Which accounts of this tenant are known, gone ones too? (sorted by the caller)
SELECT * EXCLUDE (valid_from_run) FROM raw_account WHERE tenant_key = $tenant_key
