"""Drafts of changes: what a difference consists of before it is ordered, and how its parts are written. What differs is found in `diff`."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from core.frames import CHANGE, CHANGE_VALUE, EVIDENCES, VERBS
from core.model import Evidence, Verb

# Columns of a draft: those of a change that are known before it is ordered, `row` (its number) and `caution`.
DRAFT: dict[str, pl.DataType] = {
    "row": pl.Int32(),
    **{name: CHANGE[name] for name in ("target", "verb", "object_id", "user_name", "group_name", "person_key")},
    **{name: CHANGE[name] for name in ("person_id", "user_key", "evidence", "evidence_tenant", "reason")},
    "caution": pl.String(),  # rename_off, name_taken, foreign_edge, foreign_delete, adopt
}
VALUE: dict[str, pl.DataType] = {"row": pl.Int32(), **{k: v for k, v in CHANGE_VALUE.items() if k != "seq"}}
RENAME_OFF, NAME_TAKEN, FOREIGN_EDGE, FOREIGN_DELETE, ADOPT = (
    "rename_off",
    "name_taken",
    "foreign_edge",
    "foreign_delete",
    "adopt",
)


@dataclass(frozen=True)
class Part:
    """Drafts of one verb with their values, both by `at`, unique within the part."""

    drafts: pl.DataFrame
    values: pl.DataFrame | None = None


def as_verb(word: Verb) -> pl.Expr:
    """The column `verb`."""
    return pl.lit(word.value).cast(VERBS).alias("verb")


def granted() -> pl.Expr:
    """The column `evidence` of everything that adds or amends."""
    return pl.lit(Evidence.GRANT.value).cast(EVIDENCES).alias("evidence")


def long(rows: pl.DataFrame, pairs: dict[str, tuple[pl.Expr, pl.Expr]]) -> pl.DataFrame:
    """One row for each attribute of each row of `rows` (which has `at`) whose two expressions differ."""
    parts = [
        rows.select("at", attribute=pl.lit(name), before=before.cast(pl.String), after=after.cast(pl.String)).filter(
            pl.col("before").ne_missing(pl.col("after"))
        )
        for name, (before, after) in pairs.items()
    ]
    empty = {"at": pl.Int32, "attribute": pl.String, "before": pl.String, "after": pl.String}
    return pl.concat(parts) if parts else pl.DataFrame(schema=empty)


def placed(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with their place as `at`."""
    return rows.with_columns(at=pl.int_range(pl.len(), dtype=pl.Int32))
