-- Which users does this target hold, as far as we know?
SELECT * EXCLUDE (valid_from_run) FROM target_user WHERE target_key = $target_key
