-- Which rows were valid until now?
INSERT INTO {table}_past BY NAME
SELECT {table}.*, $run_no AS valid_to_run FROM {table} SEMI JOIN closing USING ({keys}) WHERE valid_from_run < $run_no
