"""Names as a second witness of an address: they never join anybody, but an address does not join people of other names.

An address may be a team's, recycled, or typed into the wrong record (contract: identity-sources.md sections 8.2 and 8.4).
Whoever does not tell both names is not contradicted; between several names such a one could be either, and is joined to neither.
"""

from __future__ import annotations

import numpy as np
import polars as pl

FRESH = 1 << 31  # numbers of values that are an address and a name begin here
# What transliteration does to letters, applied to both sides: Jörg, Joerg and JÖRG meet, and a few others with them.
LETTERS = {"ø": "o", "å": "a", "ł": "l", "đ": "d", "ð": "d", "æ": "a", "œ": "o", "ß": "ss", "þ": "th"}
SPELT = {**{f"{letter}e": letter for letter in "aou"}, "aa": "a"}
NOT_OF_A_WORD = r"[\p{M}'\x{2019}\x{2018}\x60\x{00b4}]"


def words(names: pl.Series) -> pl.Series:
    """Each name's words in Latin letters, sorted and unique, without accents, case and initials; null where there are none."""
    plain = names.str.to_lowercase().str.replace_many(LETTERS).str.normalize("NFKD").str.replace_all(NOT_OF_A_WORD, "")
    found = plain.str.replace_many(SPELT).str.extract_all(r"[a-z]{2,}").list.unique().list.sort()
    return found.set(found.list.len() == 0, None)


def _named(rows: pl.DataFrame, at: pl.Series) -> pl.Series:
    names = pl.concat_str("given_name", "family_name", separator=" ")
    return rows.select("given_name", "family_name")[at].select(name=names).to_series()


def by_name(held: pl.DataFrame, rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.Series]:
    """`held` (row, value, at, …) with each value apart for people whose names share no word; and the `at` of those values.

    `rows`: given_name, family_name, in order of `row`.
    """
    nobody = pl.Series("at", [], dtype=pl.UInt32)
    if held.is_empty():
        return held, nobody
    names = rows.select(
        pl.concat_str("given_name", "family_name", separator=" ").hash().alias("name"),
        told=pl.all_horizontal(pl.col("given_name", "family_name").is_not_null()),
    )[held.get_column("row")]
    named = names.with_columns(held.get_column("at")).filter("told")
    spread = named.group_by("at").agg(low=pl.col("name").min(), high=pl.col("name").max())
    several = spread.filter(pl.col("low") != pl.col("high")).get_column("at")
    if several.is_empty():
        return held, nobody
    inside = held.get_column("at").is_in(several.implode())
    parts, apart = _parts(held.filter(inside), rows)
    whole = held.filter(~inside | ~held.get_column("at").is_in(apart.implode()))
    return pl.concat([whole, parts.select(whole.columns)]), apart


def _parts(held: pl.DataFrame, rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.Series]:
    """Of holders of values with several names those of contradicting ones, under numbers of their own; and their `at`."""
    entries = held.with_columns(word=words(_named(rows, held.get_column("row")))).with_row_index("entry")
    told = entries.select("entry", "at", "word").explode("word").drop_nulls("word")
    node = told.select(pl.struct("at", "word").rank("dense").cast(pl.Int64) - 1).to_series().to_numpy()
    entry = told.get_column("entry").to_numpy().astype(np.int64)
    count = entries.height + (int(node.max()) + 1 if len(node) else 0)
    from scipy.sparse import coo_matrix  # here: commands that only read know our keys, and need not wait for scipy
    from scipy.sparse.csgraph import connected_components

    graph = coo_matrix((np.ones(len(node), dtype=np.bool_), (entry, entries.height + node)), shape=(count, count))
    label = pl.Series("label", connected_components(graph, directed=False)[1][: entries.height].astype(np.int64))
    named = entries.with_columns(label).filter(pl.col("word").is_not_null())
    groups = named.group_by("at").agg(groups=pl.col("label").n_unique())
    apart = groups.filter(pl.col("groups") > 1).get_column("at")
    parts = named.filter(pl.col("at").is_in(apart.implode()))
    first = pl.col("word").list.join(" ").min().over("label")
    parts = parts.with_columns(at=(FRESH + pl.col("label")).cast(pl.UInt32), value=pl.col("value") + " of " + first)
    return parts, apart


def of_one_name(held: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """`held` (row, value, at) with each value apart for every name, in any order of its words; without the nameless."""
    word = words(_named(rows, held.get_column("row"))).list.join(" ")
    named = (
        held.with_columns(name=word).drop_nulls("name").with_columns(value=pl.col("value") + " of " + pl.col("name"))
    )
    numbers = named.select("value").unique(maintain_order=True).with_row_index("fresh", offset=FRESH + (1 << 30))
    return named.join(numbers, on="value", maintain_order="left").select("row", "value", at="fresh")
