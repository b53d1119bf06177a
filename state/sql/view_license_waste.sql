-- Which active users of a target belong to people who are no longer active?
CREATE VIEW license_waste AS
SELECT target.name AS target, remote_id, target_user.user_name, person_id, core_person.status_evidence, core_person.status_reason,
    history_run.began_at AS inactive_since
FROM target_user
JOIN target USING (target_key)
JOIN core_person USING (person_key)
LEFT JOIN history_run ON history_run.run_no = core_person.valid_from_run
WHERE target_user.present AND target_user.active AND NOT core_person.active
ORDER BY target, remote_id
