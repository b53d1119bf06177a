-- What became of this extract?
SELECT outcome, outcome_reason FROM extract WHERE extract_id = $extract_id
