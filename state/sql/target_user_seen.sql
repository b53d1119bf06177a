-- Which users were read again and had not changed?
UPDATE target_user SET observed_at = seen.observed_at FROM seen WHERE target_user.user_key = seen.user_key
