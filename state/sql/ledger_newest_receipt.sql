-- Which receipt was written last?
SELECT coalesce(max(receipt_no), 0) FROM receipt
