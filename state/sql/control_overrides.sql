-- Which exceptions were ever said? Their ids sort by time and order, so that the later of two words stands.
SELECT printf('%s-%09d-%s', said_at, override_no, override_id), person_id, says, until, reason, said_by, said_at FROM override ORDER BY override_no
