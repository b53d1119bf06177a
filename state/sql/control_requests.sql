-- Which requests wait?
SELECT request_no, kind, subject, asked_by, asked_at FROM request WHERE kind = ? AND taken_at IS NULL ORDER BY request_no
