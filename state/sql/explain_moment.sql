-- Up to which run does the history count at that time?
SELECT coalesce(max(run_no), 0) AS run_no FROM history_run WHERE $at IS NULL OR began_at <= $at
