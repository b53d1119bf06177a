-- When is this published?
CREATE TABLE published AS SELECT $now::TIMESTAMP AS published_at
