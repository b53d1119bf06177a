"""How names of users and groups are compared inside a target, and which of them a pattern protects. What is pushed is never changed here."""

from __future__ import annotations

import re
from collections.abc import Iterable

import polars as pl


def folded(values: pl.Series) -> pl.Series:
    """The form in which targets compare names: NFC, without case, trimmed (contracts, section 7, rows 1 and 2)."""
    plain = values.str.strip_chars().str.to_lowercase()
    wide = (values.str.len_bytes() != values.str.len_chars()).fill_null(value=False)
    if wide.any():
        exotic = [fold(value) for value in values.filter(wide)]
        plain = plain.scatter(wide.arg_true(), pl.Series(exotic, dtype=pl.String))
    return plain


def fold(value: str) -> str:
    """One name in that form."""
    import unicodedata

    return unicodedata.normalize("NFC", value.strip().casefold())


def pattern(globs: Iterable[str], *, any_case: bool) -> str | None:
    """A regular expression for names that match one of the globs whole (`*` is anything, `?` one character); null for none."""
    parts = [re.escape(glob).replace(r"\*", ".*").replace(r"\?", ".") for glob in sorted(set(globs))]
    if not parts:
        return None
    return f"(?s{'i' if any_case else ''})^(?:{'|'.join(parts)})$"


def matching(values: pl.Series, globs: Iterable[str], *, any_case: bool) -> pl.Series:
    """Which names match one of the globs; a null name matches nothing."""
    expression = pattern(globs, any_case=any_case)
    if expression is None:
        return pl.Series([False], dtype=pl.Boolean).new_from_index(0, len(values))
    return values.str.contains(expression).fill_null(value=False)
