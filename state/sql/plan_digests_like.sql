-- Which digests start like this?
SELECT DISTINCT digest FROM plan_header WHERE starts_with(digest, $prefix) ORDER BY digest
