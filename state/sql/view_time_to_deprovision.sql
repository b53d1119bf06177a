-- How long did it take from the end of a person until the target's user was inactive?
CREATE VIEW time_to_deprovision AS
WITH ended AS (
    SELECT person_id, history_run.began_at AS inactive_at
    FROM core_person_history
    JOIN history_run ON history_run.run_no = valid_from_run
    WHERE NOT active
)
SELECT target, ledger_change.person_id, max(inactive_at) AS inactive_at, received_at AS deactivated_at,
    epoch(received_at - max(inactive_at)) AS took_seconds
FROM ledger_change
JOIN ended ON ended.person_id = ledger_change.person_id AND inactive_at <= received_at
WHERE verb = 'deactivate_user' AND outcome IN ('applied', 'already')
GROUP BY target, ledger_change.person_id, received_at
ORDER BY target, ledger_change.person_id, deactivated_at
