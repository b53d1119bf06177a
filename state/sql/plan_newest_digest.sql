-- Which plan of everybody was saved last? Plans of one person have the number 0.
SELECT digest, header FROM plan_header WHERE plan_no > 0 ORDER BY plan_no DESC LIMIT 1
