-- Which doubts have an id that begins so?
FROM doubts WHERE starts_with(item, $prefix) ORDER BY item
