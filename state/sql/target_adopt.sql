-- Which run adopted this target?
UPDATE target SET adopted_run = $run_id, adopted_at = $now WHERE target_key = $target_key AND adopted_run IS NULL
