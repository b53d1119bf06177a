-- Which run began?
INSERT INTO run BY NAME
SELECT $run_id AS run_id, $kind AS kind, $now AS started_at, $config_digest AS config_digest, $inputs AS inputs
ON CONFLICT DO NOTHING
