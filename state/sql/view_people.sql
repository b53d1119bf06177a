-- Who are the people, merged from all tenants?
CREATE VIEW people AS
SELECT person_id, home.name AS home_tenant, core_person.* EXCLUDE (person_id, home_tenant, status_tenant, kept_by, rules, valid_from_run),
    reason.name AS status_tenant, keeper.name AS kept_by
FROM core_person
LEFT JOIN tenant AS home ON home.tenant_key = core_person.home_tenant
LEFT JOIN tenant AS reason ON reason.tenant_key = core_person.status_tenant
LEFT JOIN tenant AS keeper ON keeper.tenant_key = core_person.kept_by
ORDER BY person_id
