-- What is frozen?
SELECT subject FROM frozen ORDER BY subject
