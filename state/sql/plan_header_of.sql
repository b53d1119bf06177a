-- What stands at the head of the newest plan of this digest?
SELECT header FROM plan_header WHERE digest = $digest ORDER BY plan_no DESC LIMIT 1
