-- Which changes does this plan hold?
SELECT * EXCLUDE (digest) FROM plan_change WHERE digest = $digest ORDER BY seq
