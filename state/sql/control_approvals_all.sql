-- Which approvals were ever given?
SELECT approval_id, fingerprint, digest, hold_id, approved_by, verified, approved_at, until FROM approval ORDER BY approval_no
