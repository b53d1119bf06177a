-- Of which groups of tenants was each group of this target last made?
SELECT form, group_key FROM target_group_source JOIN target USING (target_key) WHERE target.name = $target
