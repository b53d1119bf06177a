-- Which groups hold groups, and how many users have they directly and through nesting?
CREATE VIEW group_nesting AS
WITH RECURSIVE edge AS (
    SELECT raw_membership.group_key, member_key FROM raw_membership
    JOIN raw_group AS holder ON holder.group_key = raw_membership.group_key AND holder.gone IS NULL
    JOIN raw_group AS inside ON inside.group_key = member_key AND inside.gone IS NULL
    WHERE nested
),
reach(group_key, inner_key) AS (
    SELECT group_key, group_key FROM edge
    UNION
    SELECT reach.group_key, edge.member_key FROM reach JOIN edge ON edge.group_key = reach.inner_key
),
direct AS (SELECT group_key, member_key FROM raw_membership WHERE NOT nested)
SELECT tenant.name AS tenant, raw_group.native_id, raw_group.name AS group_name,
    count(DISTINCT reach.inner_key) - 1 AS groups_inside,
    count(DISTINCT direct.member_key) FILTER (reach.inner_key = reach.group_key) AS direct_users,
    count(DISTINCT direct.member_key) AS effective_users,
    raw_group.group_key IN (SELECT back.group_key FROM reach AS back JOIN edge ON edge.group_key = back.inner_key AND edge.member_key = back.group_key) AS in_a_cycle
FROM reach
JOIN raw_group ON raw_group.group_key = reach.group_key
JOIN tenant USING (tenant_key)
LEFT JOIN direct ON direct.group_key = reach.inner_key
GROUP BY ALL
ORDER BY effective_users - direct_users DESC, tenant, native_id
