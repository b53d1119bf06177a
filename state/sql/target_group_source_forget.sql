-- What is said anew of this target's groups?
DELETE FROM target_group_source WHERE target_key = $target_key
