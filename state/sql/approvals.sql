-- Which fingerprints are approved at $now?
SELECT fingerprint, approved_by, approved_at, until
FROM core_approval
WHERE until IS NULL OR until > $now
ORDER BY fingerprint, approved_at
