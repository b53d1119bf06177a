-- What does the newest plan keep back, and why?
CREATE VIEW holds AS
SELECT * FROM plan_hold
WHERE digest = (SELECT digest FROM plan_header WHERE plan_no > 0 ORDER BY plan_no DESC LIMIT 1)
ORDER BY hold_id
