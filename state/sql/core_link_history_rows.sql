-- Which account belonged to which person, and from which run until which?
SELECT * FROM core_link_history ORDER BY account_key, valid_from_run
