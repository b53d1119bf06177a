-- Who holds the lease?
SELECT host, boot_id, pid_space, pid, process_start, purpose, renewed_at FROM lease WHERE name = 'state'
