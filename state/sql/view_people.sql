-- Who are the people, merged from all tenants?
CREATE VIEW people AS
SELECT person_id, home.name AS home_tenant, core_person.* EXCLUDE (person_id, home_tenant, status_tenant, valid_from_run), reason.name AS status_tenant
FROM core_person
LEFT JOIN tenant AS home ON home.tenant_key = core_person.home_tenant
LEFT JOIN tenant AS reason ON reason.tenant_key = core_person.status_tenant
ORDER BY person_id
