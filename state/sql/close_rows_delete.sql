-- Which rows are valid no more?
DELETE FROM {table} WHERE ({keys}) IN (SELECT {keys} FROM closing)
