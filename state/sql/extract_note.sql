-- What became of this extract, and what did it hold?
INSERT OR REPLACE INTO extract BY NAME
SELECT
    $extract_id AS extract_id, $tenant_key AS tenant_key, $run_id AS run_id, $kind AS kind, $cursor_before AS cursor_before,
    $cursor_after AS cursor_after, $started_at AS started_at, $finished_at AS finished_at, $accounts AS accounts, $groups AS groups,
    $memberships AS memberships, $rejected AS rejected, $claimed AS claimed, $verdict AS verdict, $reasons AS reasons,
    $config_digest AS config_digest, $outcome AS outcome, $outcome_reason AS outcome_reason, $now AS consolidated_at,
    (SELECT before.accounts FROM tenant JOIN extract AS before USING (extract_id) WHERE tenant.tenant_key = $tenant_key) AS accounts_before
