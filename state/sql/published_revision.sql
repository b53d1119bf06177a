-- Which state does this snapshot show, since when?
SELECT revision, layout, published_at FROM published
