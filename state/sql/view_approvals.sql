-- Who approved what, and until when?
CREATE VIEW approvals AS
SELECT * EXCLUDE (approval_id) FROM core_approval ORDER BY approved_at, fingerprint
