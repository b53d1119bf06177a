-- Which number is free?
SELECT next FROM counter WHERE name = $name
