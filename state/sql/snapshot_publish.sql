-- Which state is published, and when?
CREATE TABLE snap.published AS SELECT $now::TIMESTAMP AS published_at, $revision::VARCHAR AS revision, $layout::VARCHAR AS layout
