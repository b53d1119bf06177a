-- Which decisions speak of the renamed tenant?
UPDATE core_decision SET
    tenant_a = CASE WHEN tenant_a = $old THEN $name ELSE tenant_a END,
    tenant_b = CASE WHEN tenant_b = $old THEN $name ELSE tenant_b END
WHERE tenant_a = $old OR tenant_b = $old
