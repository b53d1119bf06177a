-- Which content was read last as a whole? None that the picture still equals: single accounts were read since.
UPDATE tenant SET full_content = NULL WHERE tenant_key = $tenant_key
