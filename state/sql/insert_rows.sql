-- Which rows join the table?
INSERT INTO {table} BY NAME SELECT * FROM incoming
