-- How many numbers are taken?
UPDATE counter SET next = next + $many WHERE name = $name
