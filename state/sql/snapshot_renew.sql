-- What does the bookkeeping say now?
INSERT INTO snap.{table} SELECT * FROM "{state}".{table}
