-- About whose status do tenants disagree, who alone keeps them active, and since when?
CREATE VIEW status_conflicts AS
SELECT person_id, user_name, email, active, keeper.name AS kept_only_by, against AS said_otherwise_by, status_reason, history_run.began_at AS since
FROM core_person
LEFT JOIN tenant AS keeper ON keeper.tenant_key = core_person.kept_by
LEFT JOIN history_run ON history_run.run_no = core_person.valid_from_run
WHERE against IS NOT NULL
ORDER BY active DESC, kept_only_by NULLS LAST, person_id
