"""One scalar SQL expression for each map, filter and template: checked on DuckDB's parse tree, evaluated in a sealed database.

What an expression may see are columns of the given roots (`person.email`, `group.name`, `run.today`, bare `group_name`).
Files and tables, subqueries, aggregates, and functions whose answer may differ between two runs stay outside.
"""

from __future__ import annotations

import json
import re
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from typing import Any

import duckdb
import polars as pl

Roots = Mapping[str, Mapping[str, pl.DataType]]
"""Columns by root; the root `""` holds the bare columns. `run` (today) is always there."""
RUN: Mapping[str, pl.DataType] = {"today": pl.Date()}
ROW = "__row"
# DuckDB's catalogue calls them consistent; their answer depends on the clock or the program.
UNSTEADY = frozenset({"current_localtime", "current_localtimestamp", "version", "icu_sort_key"})
CLOCK = frozenset(
    {"current_date", "current_time", "current_timestamp", "now", "today", "get_current_timestamp", "localtime", "age"}
    | {"localtimestamp", "transaction_timestamp", "get_current_time", "current_localtime", "current_localtimestamp"}
)
# They make much of little, and DuckDB counts neither time nor memory within one batch of rows.
GROWING: Mapping[str, int] = {"repeat": 1, "lpad": 1, "rpad": 1, "list_resize": 1, "array_resize": 1} | {
    "range": 0,
    "generate_series": 0,
}
MOST, MOST_CALLS = 1000, 2
REFUSED_CLASSES: Mapping[str, str] = {
    "SUBQUERY": "holds a subquery; use the columns of the row alone",
    "WINDOW": "holds a window function; use the columns of the row alone",
    "STAR": "takes every column at once; name the columns",
    "PARAMETER": "holds a parameter; write the value itself",
    "DEFAULT": "holds DEFAULT; write the value itself",
    "POSITIONAL_REFERENCE": "names a column by its number; name the column",
    "TYPE": "holds a bare type; write the value itself",
}
# `group` is a keyword of SQL: outside of quotes and comments `group.` becomes `"group".`
KEYWORD_ROOT = re.compile(
    r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|\$\$.*?\$\$|--[^\n]*|/\*.*?\*/|(?<![\w."])(group)(?=\s*\.)""",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True)
class Failure:
    """How an expression failed: for how many rows, the key of one of them, and the error in DuckDB's words."""

    count: int
    sample: object
    error: str


@dataclass(frozen=True)
class Evaluated:
    """`frame`: the key and one column an expression, in the order of the given rows; null where a row failed."""

    frame: pl.DataFrame
    failed: Mapping[str, Failure] = field(default_factory=dict)


class _Refusal(Exception):  # noqa: N818 - it carries a remedy to `check`, it is no error of ours
    """Why an expression is not allowed."""


@cache
def _functions() -> Mapping[str, tuple[frozenset[str], frozenset[str], tuple[tuple[tuple[str, ...], str], ...]]]:
    """Of each function of DuckDB: its types, its stabilities, its macro definitions with their parameters."""
    with _sealed() as connection:
        rows = connection.execute(
            "SELECT function_name, function_type, stability, parameters, macro_definition FROM duckdb_functions()"
        ).fetchall()
    kinds: dict[str, set[str]] = defaultdict(set)
    steady: dict[str, set[str]] = defaultdict(set)
    macros: dict[str, list[tuple[tuple[str, ...], str]]] = defaultdict(list)
    for name, kind, stability, parameters, macro in rows:
        kinds[name].add(kind)
        if kind == "scalar":
            steady[name].add(stability)
        if kind == "macro":
            macros[name].append((tuple(parameters), macro))
    return {name: (frozenset(kinds[name]), frozenset(steady[name]), tuple(sorted(macros[name]))) for name in kinds}


def _quoted(expression: str) -> str:
    return KEYWORD_ROOT.sub(lambda found: f'"{found[1]}"' if found[1] else found[0], expression)


@cache
def _tree(expression: str) -> dict[str, Any]:
    """The parse tree of one expression; _Refusal when it is anything else."""
    texts = (f"SELECT ({_quoted(expression)}\n)", f"SELECT {_quoted(expression)}\n")
    with _sealed() as connection:
        trees = [
            json.loads(connection.execute("SELECT json_serialize_sql(?)", [text]).fetchall()[0][0]) for text in texts
        ]
    for found in trees:  # in brackets: nothing may follow it; without: it is one, not a row of several
        if found["error"]:
            raise _Refusal(f"is not an SQL expression ({found['error_message']}); correct it")
        if len(found["statements"]) != 1 or len(found["statements"][0]["node"]["select_list"]) != 1:
            raise _Refusal("is more than one expression; write one")
    nodes = [trees[0]["statements"][0]["node"]]
    if nodes[0]["type"] != "SELECT_NODE" or nodes[0]["from_table"]["type"] != "EMPTY":
        raise _Refusal("is a query; write one scalar expression")
    tree: dict[str, Any] = nodes[0]["select_list"][0]
    return tree


def _columns(node: object, roots: Roots, bound: frozenset[str] = frozenset()) -> Iterator[tuple[str, str]]:
    """The (root, column) pairs that a parse tree reads; _Refusal at the first thing that is not allowed."""
    if isinstance(node, list):
        for each in node:
            yield from _columns(each, roots, bound)
    elif isinstance(node, dict):
        kind = node.get("class")
        if kind == "COLUMN_REF":
            yield from _column(node["column_names"], roots, bound)
            return
        if kind == "LAMBDA":
            names = node["lhs"]["arguments"] if node["lhs"]["class"] == "FUNCTION" else [{"expression": node["lhs"]}]
            bound |= {each["expression"]["column_names"][0].lower() for each in names}
            yield from _columns(node["expr"], roots, bound)
            return
        if kind in REFUSED_CLASSES and not (kind == "TYPE" and "type_name" in node):
            raise _Refusal(REFUSED_CLASSES[str(kind)])
        if kind == "FUNCTION":
            _allow_function(node["function_name"].lower(), node)
        for name, each in node.items():
            if name != "type_expr":
                yield from _columns(each, roots, bound)


def _read(expression: str, roots: Roots) -> set[tuple[str, str]]:
    """The columns that an expression reads; _Refusal when it is not allowed."""
    tree = _tree(expression)
    used = set(_columns(tree, roots))
    if sum(_growing(tree)) > MOST_CALLS:
        raise _Refusal(f"calls functions that make much of little more than {MOST_CALLS} times; use fewer of them")
    return used


def _growing(node: object) -> Iterator[bool]:
    """True for each call that makes much of little; _Refusal where how much is not written out, or too much."""
    if isinstance(node, list):
        for each in node:
            yield from _growing(each)
    elif isinstance(node, dict):
        name = str(node.get("function_name", "")).lower()
        if node.get("class") == "FUNCTION" and name in GROWING:
            arguments = [each["expression"] for each in node["arguments"]]
            counted = arguments[GROWING[name] :] if GROWING[name] == 0 else arguments[1:2]
            texts = [each["literal"]["text"] if each["class"] == "CONSTANT" else "" for each in counted]
            if not all(text.isdigit() and int(text) <= MOST for text in texts):
                raise _Refusal(f"calls {name} with a count that is not a plain number; write one of at most {MOST}")
            yield True
        for each in node.values():
            yield from _growing(each)


def _column(names: list[str], roots: Roots, bound: frozenset[str]) -> Iterator[tuple[str, str]]:
    lower = [name.lower() for name in names]
    if lower[0] in bound:
        return
    root, column = ("", lower[0]) if len(lower) == 1 else (lower[0], lower[1])
    shown = ".".join(names)
    if len(lower) == 1 and column in CLOCK:
        raise _Refusal(f"asks the clock ({shown}); use run.today")
    known = {name.lower(): name for name in ({**RUN} if root == "run" else roots.get(root, {}))}
    if len(lower) > 2 or column not in known:
        every = [f"{each}.{name}" if each else name for each in (*roots, "run") for name in roots.get(each, RUN)]
        near = [name for name in every if name.lower().rpartition(".")[2] == lower[-1]]
        raise _Refusal(f"reads {shown}, which does not exist; use {' or '.join(near) or _shown(roots)}")
    yield root, known[column]


def _shown(roots: Roots) -> str:
    parts = [", ".join(columns) if not root else f"{root}.{{{', '.join(columns)}}}" for root, columns in roots.items()]
    return "one of " + "; ".join([*parts, "run.today"])


def _allow_function(name: str, node: Mapping[str, Any], depth: int = 0) -> None:
    """_Refusal unless the function is scalar and gives the same answer for the same row in every run."""
    types, steady, macros = _functions().get(name, (frozenset(), frozenset(), ()))
    if not types:
        raise _Refusal(f"calls {name}, which is not a function of DuckDB; see its list of scalar functions")
    if name in CLOCK:
        raise _Refusal(f"asks the clock ({name}); use run.today")
    if "aggregate" in types or "window" in types or node.get("distinct") or node.get("filter"):
        raise _Refusal(f"calls {name}, which needs more than one row; use the columns of the row alone")
    if name in UNSTEADY or name == "unnest" or not steady <= {"CONSISTENT"}:
        raise _Refusal(f"calls {name}, whose answer may differ between two runs; use the columns of the row")
    if "scalar" in types:
        return
    if "macro" not in types:
        raise _Refusal(f"calls {name}, which gives a table; use a scalar function")
    for parameters, definition in macros:
        if depth > 3:
            raise _Refusal(f"calls {name}, which is nested too deeply; use the functions it is made of")
        try:
            list(_columns(_tree(definition), {"": dict.fromkeys(parameters, pl.String())}))
        except _Refusal as refusal:
            raise _Refusal(f"calls {name}, which {refusal}") from None


def check(expression: str, *, roots: Roots) -> str | None:
    """What is wrong with an expression, with its remedy (`problem; remedy`); null when it may be used.

    `roots`: types of the columns by root. Parses, looks at every node, and lets DuckDB bind it to empty columns of these types.
    """
    try:
        used = sorted(_read(expression, roots))
    except _Refusal as refusal:
        return str(refusal)
    frames = {root: pl.DataFrame(schema=dict(columns)) for root, columns in roots.items()}
    with _sealed() as connection:
        connection.register("rows", _table(frames, used, date(2000, 1, 1), 0))
        try:
            connection.sql(f"SELECT ({_quoted(expression)}\n) AS value FROM rows").pl()  # noqa: S608 - checked above
        except duckdb.Error as error:
            return f"does not fit its columns ({_words(error)}); correct it"
    return None


class _Kept(threading.local):
    """Sealed databases by their memory limit, each used by one thread alone."""

    def __init__(self) -> None:
        self.databases: dict[str, duckdb.DuckDBPyConnection] = {}


_KEPT = _Kept()


@contextmanager
def _sealed(memory: str = "1GB") -> Iterator[duckdb.DuckDBPyConnection]:
    """This thread's sealed database, empty. Opening one takes longer than most expressions, so it is kept."""
    connection = _KEPT.databases.pop(memory, None) or _database(memory)
    yield connection
    try:
        connection.unregister("rows")
        connection.execute("SELECT 1").fetchall()
    except duckdb.Error:  # what broke it was told as the expression's failure: the next one gets a new database
        connection.close()
    else:
        _KEPT.databases[memory] = connection


def _database(memory: str, threads: int = 2) -> duckdb.DuckDBPyConnection:
    """An in-memory database that reaches nothing outside of it.

    Common subexpressions stay where they are: DuckDB 2.0 would lift a failing cast that occurs twice out of TRY.
    """
    connection = duckdb.connect(
        ":memory:",
        config={"enable_external_access": "false", "memory_limit": memory, "threads": str(threads)},
    )
    for setting in (
        "TimeZone = 'UTC'",
        "autoinstall_known_extensions = false",
        "autoload_known_extensions = false",
        "python_enable_replacements = false",
        "enable_progress_bar = false",
        "disabled_optimizers = 'common_subexpressions'",
        "lock_configuration = true",
    ):
        connection.execute(f"SET {setting}")
    return connection


def _table(frames: Mapping[str, pl.DataFrame], used: list[tuple[str, str]], today: date, height: int) -> pl.DataFrame:
    """One frame with a struct column a root, holding only what is read; bare columns stand beside them."""
    columns: list[pl.Series] = [pl.int_range(height, eager=True).alias(ROW)]
    by_root: dict[str, list[str]] = defaultdict(list)
    for root, column in used:
        by_root[root].append(column)
    for root, names in by_root.items():
        if root == "run":
            day = pl.Series("today", [today], dtype=pl.Date).new_from_index(0, height)
            columns.append(pl.select(pl.struct(day).alias("run")).to_series() if height else _empty_run())
        elif root:
            columns.append(frames[root].select(pl.struct(names).alias(root)).to_series())
        else:
            columns += [frames[root].get_column(name) for name in names]
    return pl.DataFrame(columns)


def _empty_run() -> pl.Series:
    return pl.Series("run", [], dtype=pl.Struct(dict(RUN)))


def _words(error: Exception) -> str:
    return str(error).split("\n", 1)[0].strip()


@dataclass(frozen=True)
class _Bench:
    """The sealed database with its rows, and what one statement may cost."""

    connection: duckdb.DuckDBPyConnection
    seconds: float

    def ask(self, sql: str) -> pl.DataFrame:
        """Rows in the order of ROW; duckdb.Error on failure or after the time is up."""
        timer = threading.Timer(self.seconds, self.connection.interrupt)
        timer.start()
        try:
            frame: pl.DataFrame = self.connection.sql(sql).pl()
        finally:
            timer.cancel()
        return frame if frame.get_column(ROW).is_sorted() else frame.sort(ROW)


def evaluate(
    expressions: Mapping[str, str],
    *,
    frames: Mapping[str, pl.DataFrame],
    key: pl.Series,
    today: date,
    memory: str = "1GB",
    seconds: float = 30.0,
) -> Evaluated:
    """Every expression for every row.

    `frames`: by root, all as high as `key`, row i of each speaks of the same thing; the root `""` holds bare columns.
    A row that an expression cannot work out is null and counted; an expression that is refused, or takes more than
    `seconds` or `memory`, is null in every row. DuckDB looks at the clock between batches of 2,048 rows, not within one.
    Never raises because of data.
    """
    height = len(key)
    roots = {root: dict(frame.schema) for root, frame in frames.items()}
    failed: dict[str, Failure] = {}
    sound: dict[str, str] = {}
    used: set[tuple[str, str]] = set()
    for name, expression in expressions.items():
        try:
            used |= _read(expression, roots)
            sound[name] = _quoted(expression)
        except _Refusal as refusal:
            failed[name] = Failure(height, _first(key), str(refusal))
    values: dict[str, pl.Series] = {}
    if sound:
        with _sealed(memory) as connection:
            connection.register("rows", _table(frames, sorted(used), today, height))
            bench = _Bench(connection, seconds)
            values = _together(bench, sound) or _apart(bench, sound, key, failed)
    columns = [values.get(name, pl.Series([None]).new_from_index(0, height)).alias(name) for name in expressions]
    return Evaluated(pl.DataFrame([key, *columns]), failed)


def _first(key: pl.Series) -> object:
    return key[0] if len(key) else None


def _together(bench: _Bench, sound: Mapping[str, str]) -> dict[str, pl.Series]:
    """All expressions in one statement; empty when anything fails."""
    numbered = ", ".join(f"({sql}\n) AS c{place}" for place, sql in enumerate(sound.values()))
    try:
        frame = bench.ask(f"SELECT {ROW}, {numbered} FROM rows")  # noqa: S608 - every expression was checked
    except duckdb.Error:
        return {}  # which one, and for which rows, is found out by `_apart`
    return {name: frame.get_column(f"c{place}") for place, name in enumerate(sound)}


def _apart(bench: _Bench, sound: Mapping[str, str], key: pl.Series, failed: dict[str, Failure]) -> dict[str, pl.Series]:
    """Each expression alone, row by row under TRY; what fails is counted in `failed`."""
    values: dict[str, pl.Series] = {}
    for name, sql in sound.items():
        try:
            frame = bench.ask(f"SELECT {ROW}, TRY(struct_pack(v := ({sql}\n))) AS s FROM rows")  # noqa: S608 - checked
        except duckdb.Error as error:
            late = isinstance(error, duckdb.InterruptException)
            words = f"took longer than {bench.seconds:g} seconds" if late else _words(error)
            failed[name] = Failure(len(key), _first(key), words)
            continue
        packed = frame.get_column("s")
        values[name] = packed.struct.field("v")
        if packed.null_count():
            place = int(packed.is_null().arg_max() or 0)
            failed[name] = Failure(packed.null_count(), key[place], _reason(bench, sql, place))
    return values


def _reason(bench: _Bench, sql: str, place: int) -> str:
    """The error of one row, in DuckDB's words."""
    try:
        bench.ask(f"SELECT {ROW}, ({sql}\n) AS v FROM rows WHERE {ROW} = {place}")  # noqa: S608 - checked
    except duckdb.Error as error:
        return _words(error)
    return "failed beside other rows"
