-- When was this target last listed in full?
UPDATE target SET listed_at = $now WHERE target_key = $target_key
