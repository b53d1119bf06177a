"""How far two records agree, field by field, in levels. What a level is worth is decided in `suggest_weigh`, who is compared in `suggest_block`.

Values are compared once a pair of distinct values, not once a pair of records: a million records share few departments.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

import duckdb
import numpy as np
import numpy.typing as npt
import polars as pl

from core.nicknames import roots
from core.suggest_names import sound

Ints = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int32]
Levels = npt.NDArray[np.int8]
Floats = npt.NDArray[np.float64]
UNKNOWN = -1  # level where one of the two has no value: it speaks neither for nor against
BATCH = 1 << 20  # pairs of values that are measured at a time

# Two different values `a` and `b` of a field, as levels may test them.
JARO = pl.col("jaro")  # Jaro-Winkler similarity, 0 to 1
EDITS = pl.col("edits")  # letters inserted, dropped, exchanged or transposed
KIN = pl.col("kin")  # given names that call the same human (`nicknames`)
INITIAL = pl.col("initial")  # one is the first letter of the other
PART = pl.col("part")  # they share a whole word
SOUND = pl.col("sound")  # they sound alike


@dataclass(frozen=True)
class Level:
    """One degree of agreement: how it is told (`{field}`, `{a}`, `{b}`), its test (null: all the rest), and the share of true pairs thought to show it."""

    told: str
    test: pl.Expr | None
    share: float


@dataclass(frozen=True)
class Field:
    """One compared column: values in `name`, the ones to show in `shown`, levels best first.

    The first level is equality; the last one has no test and is disagreement. `frequency`: equal values count by their
    rarity. A `joint` field has no values of its own: pairs that agree are given beside it.
    """

    name: str
    word: str
    levels: tuple[Level, ...]
    shown: str = ""
    frequency: bool = True
    joint: bool = False


@dataclass(frozen=True)
class Spec:
    """What is compared. `swap`: two fields (given and family name) whose values people put into one another's place."""

    fields: tuple[Field, ...]
    swap: tuple[str, str] | None = None


SAME = "same {field}"
SWAPPED = Field(
    "swapped",
    "names",
    (Level("given and family name swapped", None, 0.03),),
    frequency=False,
)


@dataclass(frozen=True)
class Column:
    """The values of one field: a code a record (-1: none), the distinct values, and how many entities hold each."""

    codes: Codes
    values: pl.Series
    holders: Ints
    entities: int  # that have a value

    @property
    def shares(self) -> Floats:
        """By code, the chance that a second entity has this value too."""
        return np.maximum(self.holders - 1, 1) / max(self.entities, 1)


@dataclass(frozen=True)
class Records:
    """The records of a frame ready to be compared. `entity`: what each record is known to belong to, a number a record."""

    frame: pl.DataFrame
    entity: Codes
    spec: Spec
    columns: Mapping[str, Column]
    joint: Mapping[str, Ints]  # of joint fields the packed pairs that agree, ascending


@dataclass(frozen=True)
class Compared:
    """Pairs of row numbers `a` < `b` with a level for each field of the spec (one row a field); `swapped` marks turned names."""

    a: Codes
    b: Codes
    levels: Levels
    swapped: npt.NDArray[np.bool_]
    where: Mapping[str, int] = field(default_factory=dict)


def packed(a: npt.NDArray[np.integer], b: npt.NDArray[np.integer]) -> Ints:
    """Two row numbers in one integer, the smaller first."""
    both: Ints = (np.minimum(a, b).astype(np.int64) << 32) | np.maximum(a, b).astype(np.int64)
    return both


def records(
    frame: pl.DataFrame, entity: Codes, spec: Spec, joint: Mapping[str, tuple[Ints, npt.NDArray[np.bool_]]]
) -> Records:
    """Reads the columns of `spec` (String). `joint`: for each joint field the packed pairs that agree and who has a value at all."""
    columns = {}
    together = set(spec.swap or ())
    shared = None
    if spec.swap:
        both = pl.concat([frame.get_column(name) for name in spec.swap])
        shared = both.drop_nulls().unique().sort()
    for each in spec.fields:
        if each.joint:
            has = joint[each.name][1]
            codes = np.where(has, 0, -1).astype(np.int32)
            columns[each.name] = Column(codes, pl.Series([""]), np.array([1]), int(has.sum()))
            continue
        values = frame.get_column(each.name)
        distinct = shared if shared is not None and each.name in together else values.drop_nulls().unique().sort()
        columns[each.name] = _column(values, distinct, entity)
    return Records(frame, entity, spec, columns, {name: np.sort(pairs) for name, (pairs, _) in joint.items()})


def _column(values: pl.Series, distinct: pl.Series, entity: Codes) -> Column:
    table = pl.DataFrame({"value": distinct, "code": pl.Series(np.arange(len(distinct), dtype=np.int32))})
    codes = (
        pl.DataFrame({"value": values})
        .join(table, on="value", how="left", maintain_order="left")
        .get_column("code")
        .fill_null(UNKNOWN)
        .to_numpy()
        .astype(np.int32)
    )
    known = codes >= 0
    held = np.unique((codes[known].astype(np.int64) << 32) | entity[known].astype(np.int64))
    return Column(
        codes, distinct, np.bincount(held >> 32, minlength=max(len(distinct), 1)), len(np.unique(entity[known]))
    )


def compare(known: Records, a: Codes, b: Codes) -> Compared:
    """The levels of these pairs."""
    names = [each.name for each in known.spec.fields]
    levels = np.full((len(names), len(a)), UNKNOWN, dtype=np.int8)
    pairs = packed(a, b)
    for place, each in enumerate(known.spec.fields):
        column = known.columns[each.name]
        left, right = column.codes[a], column.codes[b]
        if each.joint:
            agreed = _within(pairs, known.joint[each.name])
            levels[place] = np.where(agreed, 0, np.where((left >= 0) & (right >= 0), 1, UNKNOWN))
        else:
            levels[place] = _levels(each, column.values, left, right)
    swapped = np.zeros(len(a), dtype=np.bool_)
    if known.spec.swap:
        levels, swapped = _turned(known, a, b, levels)
    return Compared(a, b, levels, swapped, {name: place for place, name in enumerate(names)})


def _within(wanted: Ints, ascending: Ints) -> npt.NDArray[np.bool_]:
    """Which values are in an ascending array."""
    if not len(ascending):
        return np.zeros(len(wanted), dtype=np.bool_)
    at = np.minimum(np.searchsorted(ascending, wanted), len(ascending) - 1)
    result: npt.NDArray[np.bool_] = ascending[at] == wanted
    return result


def _turned(known: Records, a: Codes, b: Codes, straight: Levels) -> tuple[Levels, npt.NDArray[np.bool_]]:
    """The levels where names that fit better in one another's place are compared so, and which pairs these are."""
    levels, swapped = straight.copy(), np.zeros(len(a), dtype=np.bool_)
    names = [each.name for each in known.spec.fields]
    given_name, family_name = known.spec.swap or ("", "")
    at_given, at_family = names.index(given_name), names.index(family_name)
    given, family = known.spec.fields[at_given], known.spec.fields[at_family]
    one, other = known.columns[given_name], known.columns[family_name]
    bad_given, bad_family = len(given.levels) - 1, len(family.levels) - 1
    tried = np.flatnonzero(
        (levels[at_given] >= 0)
        & (levels[at_family] >= 0)
        & ((levels[at_given] == bad_given) | (levels[at_family] == bad_family))
    )
    left, right = a[tried], b[tried]
    turned_given = _levels(given, one.values, one.codes[left], other.codes[right])
    turned_family = _levels(family, one.values, other.codes[left], one.codes[right])
    # One of the two must fit whole: two vague likenesses across are chance.
    fits = (turned_given < bad_given) & (turned_family < bad_family) & ((turned_given == 0) | (turned_family == 0))
    rows = tried[fits]
    levels[at_given, rows] = turned_given[fits]
    levels[at_family, rows] = turned_family[fits]
    swapped[rows] = True
    return levels, swapped


def _levels(each: Field, values: pl.Series, left: Codes, right: Codes) -> Levels:
    """The level of each pair of codes."""
    result = np.full(len(left), UNKNOWN, dtype=np.int8)
    both = (left >= 0) & (right >= 0)
    result[both & (left == right)] = 0
    unequal = np.flatnonzero(both & (left != right))
    if not len(unequal):
        return result
    low = np.minimum(left[unequal], right[unequal]).astype(np.int64)
    high = np.maximum(left[unequal], right[unequal]).astype(np.int64)
    distinct, inverse = np.unique((low << 32) | high, return_inverse=True)
    told = [_level_of(each, values, distinct[start : start + BATCH]) for start in range(0, len(distinct), BATCH)]
    result[unequal] = np.concatenate(told)[inverse]
    return result


def _level_of(each: Field, values: pl.Series, pairs: Ints) -> Levels:
    """The level of each packed pair of codes of different values."""
    last = len(each.levels) - 1
    tests = [(place, level.test) for place, level in enumerate(each.levels) if level.test is not None and place]
    if not tests:
        return np.full(len(pairs), last, dtype=np.int8)
    needed = {name for _, test in tests for name in test.meta.root_names()}
    measured = _measured(values.gather(pairs >> 32), values.gather(pairs & 0xFFFFFFFF), needed)
    level = pl.lit(last, pl.Int8)
    for place, test in reversed(tests):
        level = pl.when(test).then(pl.lit(place, pl.Int8)).otherwise(level)
    return measured.select(level.alias("level")).get_column("level").to_numpy()


class _Kept(threading.local):
    """A database in memory for each thread: opening one takes longer than measuring a hundred thousand pairs."""

    def __init__(self) -> None:
        self.connection = duckdb.connect(":memory:")


_KEPT = _Kept()


def _measured(a: pl.Series, b: pl.Series, needed: set[str]) -> pl.DataFrame:
    """a, b and the likenesses in `needed`, row by row."""
    frame = pl.DataFrame({"a": a, "b": b})
    if needed & {"jaro", "edits"}:
        _KEPT.connection.register("pairs", frame.with_row_index("place"))
        frame = _KEPT.connection.sql(
            "SELECT a, b, jaro_winkler_similarity(a, b) AS jaro, damerau_levenshtein(a, b)::INT AS edits"
            " FROM pairs ORDER BY place"
        ).pl()
        _KEPT.connection.unregister("pairs")
    columns = []
    if "initial" in needed:
        short = pl.min_horizontal(pl.col("a").str.len_bytes(), pl.col("b").str.len_bytes()) == 1
        columns.append((short & (pl.col("a").str.slice(0, 1) == pl.col("b").str.slice(0, 1))).alias("initial"))
    if "part" in needed:
        words = pl.col("a").str.split(" ").list.set_intersection(pl.col("b").str.split(" "))
        # A lone letter is an initial, not a word.
        columns.append((words.list.eval(pl.element().str.len_bytes() > 1).list.any()).alias("part"))
    frame = frame.with_columns(columns)
    if "sound" in needed:
        one, other = sound(frame.get_column("a")), sound(frame.get_column("b"))
        frame = frame.with_columns(sound=(one == other) & (one.str.len_bytes() > 1))
    if "kin" in needed:
        frame = frame.with_columns(kin=_kin(frame))
    return frame


def _kin(frame: pl.DataFrame) -> pl.Series:
    """Whether a word of `a` and a word of `b` are forms of one given name."""
    table = pl.DataFrame(
        {"word": list(roots()), "root": list(roots().values())}, schema={"word": pl.String, "root": pl.List(pl.Int64)}
    ).explode("root")

    def rooted(name: str) -> pl.DataFrame:
        words = frame.select("place", word=pl.col(name).str.split(" ")).explode("word")
        return words.join(table, on="word").select("place", "root")

    frame = frame.with_row_index("place")
    found = rooted("a").join(rooted("b"), on=["place", "root"], how="semi").get_column("place").unique()
    return frame.select(pl.col("place").is_in(found.implode())).to_series()
