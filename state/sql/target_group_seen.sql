-- Which groups were read again and had not changed?
UPDATE target_group SET observed_at = seen.observed_at FROM seen WHERE target_group.group_key = seen.group_key
