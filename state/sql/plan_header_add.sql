-- What stands at the head of this plan?
INSERT INTO plan_header BY NAME
SELECT $plan_no AS plan_no, $digest AS digest, $run_id AS run_id, $created_at AS created_at, $header AS header
