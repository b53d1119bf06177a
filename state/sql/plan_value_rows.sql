-- What do the changes of this plan do to attributes?
SELECT * EXCLUDE (digest) FROM plan_value WHERE digest = $digest ORDER BY seq, attribute
