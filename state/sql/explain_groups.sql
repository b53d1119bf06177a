-- In which groups are these accounts, and through which groups? One row a path: from the group that holds the account to the outermost.
WITH RECURSIVE edge AS MATERIALIZED (
    SELECT group_key, member_key, nested
    FROM raw_membership_history
    WHERE (nested OR member_key IN (SELECT unnest($accounts::INTEGER[])))
        AND valid_from_run <= $run_no AND (valid_to_run IS NULL OR valid_to_run > $run_no)
), path AS (
    SELECT member_key AS account_key, group_key, [group_key] AS steps FROM edge WHERE NOT nested
    UNION ALL
    SELECT path.account_key, edge.group_key, list_append(path.steps, edge.group_key)
    FROM path
    JOIN edge ON edge.nested AND edge.member_key = path.group_key
    WHERE NOT list_contains(path.steps, edge.group_key) AND len(path.steps) < 30
)
SELECT account_key, group_key, steps
FROM path
ORDER BY group_key, len(steps), steps, account_key
LIMIT 5000
