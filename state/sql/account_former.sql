-- Which addresses did accounts have that they have no more, and until when?
WITH past AS (
    SELECT account_key, unnest(list_concat([email, user_name], coalesce(aliases, []))) AS address, valid_to_run FROM raw_account_past
), held AS (
    SELECT account_key, unnest(list_concat([email, user_name], coalesce(aliases, []))) AS address
    FROM raw_account SEMI JOIN past USING (account_key)
)
SELECT account_key, past.address, max(history_run.began_at) AS until
FROM past
JOIN history_run ON history_run.run_no = past.valid_to_run
WHERE past.address LIKE '%@%' AND (account_key, lower(past.address)) NOT IN (SELECT (account_key, lower(address)) FROM held WHERE address IS NOT NULL)
GROUP BY account_key, past.address
ORDER BY account_key, past.address
