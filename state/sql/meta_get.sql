-- What is remembered under this name?
SELECT value FROM meta WHERE name = $name
