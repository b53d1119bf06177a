-- Which ids were minted for which person?
SELECT person_key, person_id, founder_key, generation FROM core_person_id ORDER BY person_key
