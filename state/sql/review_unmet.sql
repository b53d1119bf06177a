-- Which decisions could not be honoured?
FROM doubts WHERE rule = 'not_honoured' ORDER BY item
