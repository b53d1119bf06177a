-- Is this plan stored?
SELECT 1 FROM plan_header WHERE digest = $digest LIMIT 1
