"""From what a connector yielded to typed frames: values are cast and judged column by column, records that cannot be used are set aside."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import polars as pl

from connectors.source import Object, Page, Rejected, Row
from core.frames import BIT, LANDED, REJECTED, TIME, conform, empty

KEY: dict[str, tuple[str, ...]] = {
    "accounts": ("native_id",),
    "groups": ("native_id",),
    "memberships": ("group_id", "member_id"),
}
FLAGS = ("tombstone", "removed", "members_complete")  # false unless said
WORDS: dict[str, tuple[str, ...]] = {"user_type": ("member", "guest", "external"), "member_kind": ("user", "group")}
TRUE, FALSE = ("true", "1", "yes", "t", "y"), ("false", "0", "no", "f", "n")
# RFC 3339 first; the others are what exports hold. A time without a zone is UTC.
TIMES = ("%+", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%d %H:%M", "%Y-%m-%d")


@dataclass(frozen=True)
class Typed:
    """`frame`: LANDED of the page's object, in the order of the page; `rejected`: REJECTED."""

    frame: pl.DataFrame
    rejected: pl.DataFrame


def typed(page: Page) -> Typed:
    """Casts and judges the rows of a page. ValueError when the connector yields a column that does not exist."""
    schema = LANDED[page.object]
    strange: set[str] = set()
    if isinstance(page.rows, pl.DataFrame):
        raw = page.rows
        strange = set(raw.columns) - set(schema)
        bad: dict[str, pl.Series] = {}
        source: Sequence[Row] | pl.DataFrame = raw
        if "present" in schema and "present" not in raw.columns:
            spoken = sum(BIT[name] for name in raw.columns if name in BIT)
            raw = raw.with_columns(present=pl.lit(spoken, dtype=pl.UInt64))
    else:
        source = page.rows
        raw, bad, strange = _columns(page.rows, schema)
    if strange:
        raise ValueError(f"the connector yields {', '.join(sorted(strange))}, which {page.object} do not have")
    columns: list[pl.Series] = []
    problems: list[tuple[str, str, pl.Series]] = []
    for name, kind in schema.items():
        if name not in raw.columns:
            columns.append(pl.Series(name, [None], dtype=kind).new_from_index(0, raw.height))
            continue
        values, fault, words = _cast(raw.get_column(name), name, kind)
        fault = fault | bad[name] if name in bad else fault
        if fault.any():
            problems.append((name, words, fault))
        columns.append(values)
    frame = pl.DataFrame(columns).with_columns(
        pl.col([name for name in FLAGS if name in schema]).fill_null(value=False)
    )
    for name in KEY[page.object]:
        missing = frame.get_column(name).fill_null("").str.strip_chars() == ""
        if missing.any():
            problems.insert(0, (name, "is missing", missing))
    if not problems:
        return Typed(frame, empty(REJECTED))
    return _sorted_out(page.object, frame, source, problems)


def aside(rejected: Sequence[Rejected]) -> pl.DataFrame:
    """What a connector set aside itself, as REJECTED."""
    rows = [(each.object, each.native_id, each.field, each.problem, _json(each.raw)) for each in rejected]
    return pl.DataFrame(rows, schema=REJECTED, orient="row")


def _columns(
    rows: Sequence[Row], schema: dict[str, pl.DataType]
) -> tuple[pl.DataFrame, dict[str, pl.Series], set[str]]:
    """Dicts as columns of plain values, which values were of an impossible type, and unknown keys."""
    shapes: dict[tuple[str, ...], int] = {}
    masks = []
    for row in rows:  # connectors give the same few shapes again and again: one look-up a row
        shape = tuple(row)
        if (mask := shapes.get(shape)) is None:
            mask = shapes[shape] = sum(BIT.get(name, 0) for name in shape)
        masks.append(mask)
    known = {name for shape in shapes for name in shape}
    series, bad = [], {}
    for name, kind in schema.items():
        if name == "present":
            series.append(pl.Series(name, masks, dtype=pl.UInt64))
        elif name in known:
            values, fault = _plain([row.get(name) for row in rows], kind)
            series.append(values.alias(name))
            if fault is not None:
                bad[name] = fault
    frame = pl.DataFrame(series) if series else pl.DataFrame(height=len(rows))
    return frame, bad, known - set(schema)


def _plain(values: list[object], kind: pl.DataType) -> tuple[pl.Series, pl.Series | None]:
    """A series of text, truth or lists; when a value is of another type, null in its place and a mask that shows where."""
    times = kind in {TIME, pl.Date()}
    wanted = pl.String() if times else kind
    lists = kind == pl.List(pl.String)
    try:
        if not lists or all(
            each is None or type(each) is list for each in values
        ):  # polars spells a text out as a list
            return pl.Series(values, dtype=wanted, strict=True), None
    except (TypeError, UnicodeEncodeError, pl.exceptions.PolarsError):
        pass  # rare: look at each value
    if times:
        values = [each.isoformat() if isinstance(each, date | datetime) else each for each in values]
    if kind == pl.Boolean():
        values = [each if isinstance(each, bool) or each is None else _truth(each) for each in values]
        fault = [each is not None and not isinstance(each, bool) for each in values]
    elif lists:
        values = [[each] if isinstance(each, str) else each for each in values]  # one text is a list of one
        fault = [not (each is None or (isinstance(each, list | tuple) and all(map(_text, each)))) for each in values]
    else:
        fault = [not (each is None or _text(each)) for each in values]
    clean = [None if wrong else each for each, wrong in zip(values, fault, strict=True)]
    return pl.Series(clean, dtype=wanted, strict=True), pl.Series(fault, dtype=pl.Boolean)


def _truth(value: object) -> object:
    word = value.strip().lower() if isinstance(value, str) else value
    return True if word in TRUE else False if word in FALSE else None if word == "" else value


def _text(value: object) -> bool:
    """True for text that has a UTF-8 form: JSON may carry half a surrogate pair."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _cast(values: pl.Series, name: str, kind: pl.DataType) -> tuple[pl.Series, pl.Series, str]:
    """The column as `kind`, a mask of values that could not be cast, and what is wrong with those."""
    given = values.is_not_null()
    words = f"is no {_word(kind)}"
    if values.dtype == pl.String and kind not in {pl.String(), pl.List(pl.String)}:
        text = values.str.strip_chars()
        given = given & (text != "")
        cast = _from_text(text, kind)
    elif kind == pl.List(pl.String) and values.dtype == pl.String:
        cast = pl.select(pl.when(given).then(pl.concat_list(values))).to_series()
    elif kind == pl.List(pl.String):
        cast = values.cast(kind, strict=False).list.drop_nulls()
    elif kind == pl.String() and values.dtype.is_float():
        whole = values.cast(pl.Int64, strict=False)  # numbers with gaps come as floats: 1017.0 is 1017
        cast = pl.select(
            pl.when(whole == values).then(whole.cast(pl.String)).otherwise(values.cast(pl.String))
        ).to_series()
    elif kind == TIME and isinstance(values.dtype, pl.Datetime) and values.dtype.time_zone:
        cast = values.dt.convert_time_zone("UTC").dt.replace_time_zone(None).cast(TIME)
    else:
        cast = values.cast(kind, strict=False)
    if name in WORDS:
        cast = cast.str.strip_chars().str.to_lowercase()
        known = cast.is_in(WORDS[name])
        cast, words = pl.select(pl.when(known).then(cast)).to_series(), f"is none of {', '.join(WORDS[name])}"
    return cast.alias(name), given & cast.is_null(), words


def _from_text(text: pl.Series, kind: pl.DataType) -> pl.Series:
    if kind == pl.Boolean():
        word = text.str.to_lowercase()
        return pl.select(pl.when(word.is_in(TRUE)).then(True).when(word.is_in(FALSE)).then(False)).to_series()
    if kind == TIME:
        cast = _time(text, TIMES[0])
        for pattern in TIMES[1:]:
            if not (cast.is_null() & text.is_not_null()).any():
                break
            cast = pl.select(pl.coalesce(cast, _time(text, pattern))).to_series()
        return cast
    if kind == pl.Date():
        return text.str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False)
    return text.cast(kind, strict=False)


def _time(text: pl.Series, pattern: str) -> pl.Series:
    if pattern.endswith("z") or pattern == "%+":
        return text.str.to_datetime(pattern, strict=False, time_zone="UTC", time_unit="us").dt.replace_time_zone(None)
    return text.str.to_datetime(pattern, strict=False, time_unit="us")


def _word(kind: pl.DataType) -> str:
    names = {pl.Boolean(): "true or false", TIME: "time of ISO 8601", pl.Date(): "date of the form 2026-12-31"}
    return names.get(kind, "list of texts" if kind == pl.List(pl.String) else "text")


def _sorted_out(
    object: Object,  # noqa: A002 - the vocabulary's word
    frame: pl.DataFrame,
    source: Sequence[Row] | pl.DataFrame,
    problems: list[tuple[str, str, pl.Series]],
) -> Typed:
    """Sound rows, and the others with the first thing that is wrong with each."""
    named = [pl.when(fault).then(pl.lit(place)) for place, (_, _, fault) in enumerate(problems)]
    first = frame.select(pl.coalesce(named).alias("first")).get_column("first")
    faulty = first.is_not_null()
    rows = faulty.arg_true().to_list()
    raw = (
        source.filter(faulty).select(pl.struct(pl.all()).struct.json_encode()).to_series().to_list()
        if isinstance(source, pl.DataFrame)
        else [_json(dict(source[place])) for place in rows]
    )
    key = KEY[object][0]
    ids = frame.get_column(key).filter(faulty)
    ids = pl.select(pl.when(ids.str.strip_chars() != "").then(ids)).to_series()
    which = first.filter(faulty).to_list()
    rejected = pl.DataFrame(
        {
            "object": [object] * len(rows),
            "native_id": ids,
            "field": [problems[place][0] for place in which],
            "problem": [problems[place][1] for place in which],
            "raw": raw,
        }
    )
    return Typed(frame.filter(~faulty), conform(rejected, REJECTED))


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=True, sort_keys=True, default=str)
