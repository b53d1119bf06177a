-- How many plans were saved?
SELECT coalesce(max(plan_no), 0) FROM plan_header
