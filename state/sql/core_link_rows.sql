-- Which account belongs to which person, and why?
SELECT account_key, person_key, rule, evidence, class FROM core_link ORDER BY account_key
