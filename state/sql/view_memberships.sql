-- Who or what is directly in which group?
CREATE VIEW memberships AS
SELECT tenant.name AS tenant, holder.native_id AS group_id, holder.name AS group_name,
    CASE WHEN nested THEN 'group' ELSE 'user' END AS member_kind, coalesce(member.native_id, inner_group.native_id) AS member_id, person_id,
    history_run.began_at AS since
FROM raw_membership
JOIN tenant USING (tenant_key)
JOIN raw_group AS holder USING (group_key)
LEFT JOIN raw_account AS member ON NOT nested AND member.account_key = member_key
LEFT JOIN raw_group AS inner_group ON nested AND inner_group.group_key = member_key
LEFT JOIN core_link ON core_link.account_key = member.account_key
LEFT JOIN core_person_id USING (person_key)
LEFT JOIN history_run ON history_run.run_no = raw_membership.valid_from_run
ORDER BY tenant, group_id, member_kind, member_id
