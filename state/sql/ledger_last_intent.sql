-- Which intent was written last?
SELECT max(seq) FROM sqlite_sequence WHERE name = 'intent'
