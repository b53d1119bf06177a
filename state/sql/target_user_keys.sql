-- Which key has each user of this target?
SELECT remote_id, user_key FROM target_user WHERE target_key = $target_key ORDER BY user_key
