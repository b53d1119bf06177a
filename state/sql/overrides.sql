-- Which exception was said last of each person, and what is its founding account, which leads to the heir where persons merged?
WITH last_word AS (
    SELECT * FROM core_override
    QUALIFY row_number() OVER (PARTITION BY person_id ORDER BY said_at DESC, override_id DESC) = 1
)
SELECT person_id, says = 'keep' AS active, until, said_at, reason, said_by, person_key, founder_key
FROM last_word
LEFT JOIN core_person_id USING (person_id)
WHERE says <> 'clear'
ORDER BY person_id
