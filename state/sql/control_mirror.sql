-- What was shown under this name?
SELECT rows FROM mirror WHERE name = ?
