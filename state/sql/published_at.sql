-- When was this snapshot published?
SELECT published_at FROM published
