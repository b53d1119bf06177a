-- Which number has this target, and was it adopted?
SELECT target_key, adopted_run FROM target WHERE name = $name
