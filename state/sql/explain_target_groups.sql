-- Which groups does this target hold, and which of them are ours?
SELECT group_key, remote_id, target_group.name, owned, present FROM target_group JOIN target USING (target_key) WHERE target.name = $target ORDER BY group_key
