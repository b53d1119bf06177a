-- Which doubts wait for a word, strongest first, and how many are there?
SELECT *, count(*) OVER () AS open
FROM doubts
WHERE item NOT IN (SELECT unnest($decided::VARCHAR[]))
    AND ($tenant IS NULL OR tenant_a = $tenant OR tenant_b = $tenant)
    AND ($rule IS NULL OR rule = $rule)
    AND ($min_score IS NULL OR score >= $min_score)
ORDER BY score DESC, tenant_a, native_id_a, tenant_b, native_id_b
LIMIT $number
