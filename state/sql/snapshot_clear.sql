-- Which bookkeeping of the last snapshot is renewed?
DELETE FROM snap.{table}
