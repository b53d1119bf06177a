-- What is to be remembered under this name?
INSERT INTO meta VALUES ($name, $value) ON CONFLICT DO UPDATE SET value = excluded.value
