-- Since when is each account known that came after its tenant's first read, and since when is it gone or disabled?
WITH seen AS (
    SELECT account_key, any_value(tenant_key) AS tenant_key, min(valid_from_run) AS run FROM raw_account_history GROUP BY account_key
), begun AS (
    SELECT tenant_key, min(run) AS run FROM seen GROUP BY tenant_key
), ended AS (
    SELECT account_key, max(valid_to_run) AS run FROM raw_account_past WHERE gone IS NULL AND active IS NOT FALSE GROUP BY account_key
), told AS (
    SELECT account_key, born.began_at AS first_seen,
        CASE WHEN raw_account.gone IS NOT NULL THEN coalesce(gone_since, died.began_at) WHEN raw_account.active IS FALSE THEN died.began_at END AS ended_at
    FROM raw_account
    JOIN seen USING (account_key)
    JOIN begun ON begun.tenant_key = seen.tenant_key
    LEFT JOIN ended USING (account_key)
    LEFT JOIN history_run AS born ON born.run_no = seen.run AND seen.run > begun.run
    LEFT JOIN history_run AS died ON died.run_no = ended.run
)
SELECT account_key, first_seen, ended_at FROM told WHERE first_seen IS NOT NULL OR ended_at IS NOT NULL ORDER BY account_key
