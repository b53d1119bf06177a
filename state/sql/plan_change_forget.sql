-- Which changes of this plan are written anew?
DELETE FROM plan_change WHERE digest = $digest
