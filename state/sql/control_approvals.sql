-- Which approvals hold now?
SELECT fingerprint, approved_by, approved_at, until FROM approval WHERE until IS NULL OR until > ? ORDER BY fingerprint, approved_at
