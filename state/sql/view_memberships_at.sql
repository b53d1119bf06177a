-- Who or what was directly in which group at that time?
CREATE MACRO memberships_at(t) AS TABLE
SELECT tenant.name AS tenant, holder.native_id AS group_id, holder.name AS group_name,
    CASE WHEN nested THEN 'group' ELSE 'user' END AS member_kind, coalesce(member.native_id, inner_group.native_id) AS member_id
FROM raw_membership_history AS edge
JOIN tenant USING (tenant_key)
JOIN raw_group AS holder USING (group_key)
LEFT JOIN raw_account AS member ON NOT nested AND member.account_key = member_key
LEFT JOIN raw_group AS inner_group ON nested AND inner_group.group_key = member_key
WHERE edge.valid_from_run <= (SELECT max(run_no) FROM history_run WHERE began_at <= t)
    AND (edge.valid_to_run IS NULL OR edge.valid_to_run > (SELECT max(run_no) FROM history_run WHERE began_at <= t))
ORDER BY tenant, group_id, member_kind, member_id
