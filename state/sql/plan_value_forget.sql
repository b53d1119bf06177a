-- Which values of this plan are written anew?
DELETE FROM plan_value WHERE digest = $digest
