-- Which groups does this target hold, as far as we know?
SELECT * EXCLUDE (valid_from_run) FROM target_group WHERE target_key = $target_key
