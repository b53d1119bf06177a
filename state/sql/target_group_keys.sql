-- Which key has each group of this target?
SELECT remote_id, group_key, name, present FROM target_group WHERE target_key = $target_key ORDER BY group_key
