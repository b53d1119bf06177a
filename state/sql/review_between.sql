-- Which doubts are there between these two persons?
FROM doubts
WHERE (person_id_a = $one AND person_id_b = $other) OR (person_id_a = $other AND person_id_b = $one)
ORDER BY score DESC, item
