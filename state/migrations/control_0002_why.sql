-- A decision says why, and whether it is proven who made it.
ALTER TABLE decision ADD COLUMN verified INTEGER NOT NULL DEFAULT 0;
ALTER TABLE decision ADD COLUMN why TEXT NOT NULL DEFAULT '';
