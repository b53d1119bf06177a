-- Which plan was saved last?
SELECT digest, header FROM plan_header ORDER BY plan_no DESC LIMIT 1
