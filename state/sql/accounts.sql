-- Which accounts do all tenants have, gone ones too?
SELECT * EXCLUDE (gone_since, valid_from_run) FROM raw_account
