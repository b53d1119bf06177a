-- Which pairs of accounts should a human look at, strongest first, and since when?
CREATE VIEW doubts AS
WITH side AS (
    SELECT account_key, {'tenant': tenant.name, 'native_id': native_id, 'person_id': person_id, 'account_key': account_key} AS told
    FROM raw_account
    JOIN tenant USING (tenant_key)
    LEFT JOIN core_link USING (account_key)
    LEFT JOIN core_person_id USING (person_key)
), pair AS (
    SELECT least(x.told, y.told) AS a, greatest(x.told, y.told) AS b, rule, reason, score, waterfall, core_doubt.valid_from_run
    FROM core_doubt
    JOIN side AS x ON x.account_key = account_a
    JOIN side AS y ON y.account_key = account_b
)
SELECT substr(sha256(concat_ws(chr(31), a.tenant, a.native_id, b.tenant, b.native_id)), 1, 32) AS item,
    a.tenant AS tenant_a, a.native_id AS native_id_a, b.tenant AS tenant_b, b.native_id AS native_id_b,
    a.person_id AS person_id_a, b.person_id AS person_id_b, rule, reason, score, waterfall, history_run.began_at AS since,
    a.account_key AS account_key_a, b.account_key AS account_key_b
FROM pair
LEFT JOIN history_run ON history_run.run_no = pair.valid_from_run
ORDER BY score DESC, tenant_a, native_id_a, tenant_b, native_id_b
