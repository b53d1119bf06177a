-- What is the tenant called from now on?
UPDATE tenant SET name = $name WHERE name = $old
