"""Frames out of CSV, JSONL and Parquet files, batch by batch. What their columns mean is not known here."""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import polars as pl
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pa_parquet

from core.model import JSON

Format = Literal["csv", "jsonl", "parquet"]
SUFFIXES: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}
DELIMITERS = ",;\t|"
BLOCK_BYTES = 8 * 1024 * 1024  # about 50,000 rows of an export; a single row must fit
BATCH_ROWS = 50_000
MARKS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


class UnreadableError(Exception):
    """A file that is not what it should be: `problem` follows its name in a sentence, `remedy` says what to do."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.problem, self.remedy = problem, remedy


@dataclass(frozen=True)
class Batch:
    """Some rows of a file. `broken`: records that could not be read, as (text, problem).

    `said`: of columns that not every record has (JSONL), in which rows the record has it.
    """

    frame: pl.DataFrame
    broken: list[tuple[JSON, str]] = field(default_factory=list)
    said: dict[str, pl.Series] = field(default_factory=dict)


def batches(path: Path, *, format: Format, delimiter: str | None, encoding: str) -> Iterator[Batch]:  # noqa: A002 - the setting's word
    """The file's rows in its order; at least one batch, so that the columns of an empty file are seen.

    CSV columns are text, an empty cell is null. UnreadableError when the file as a whole cannot be read.
    """
    if format == "parquet":
        yield from _parquet(path)
        return
    if not path.stat().st_size:
        raise UnreadableError("is empty", "Look at the job that writes it")
    quotes = _decodes(path, encoding)
    if format == "csv" and quotes % 2:  # it would swallow every row behind it into one cell
        raise UnreadableError("holds a quotation mark that is never closed", "Look at the last rows, and at its writer")
    yield from _jsonl(path, encoding) if format == "jsonl" else _csv(path, delimiter, encoding)


def _decodes(path: Path, encoding: str) -> int:
    """Looks at every byte before any row is believed, and counts quotation marks: half a file is worse than none."""
    decoder = codecs.getincrementaldecoder(encoding)()
    lines, quotes = 1, 0
    with path.open("rb") as file:
        while True:
            block = file.read(BLOCK_BYTES)
            mark = MARKS.get(block[:2]) if lines == 1 else None
            if mark and not encoding.startswith("utf-16"):
                raise UnreadableError(f"is written in {mark}", f"Write `encoding: {mark}`, or export it as UTF-8")
            try:
                quotes += decoder.decode(block, final=not block).count('"')
            except UnicodeDecodeError as error:
                line = lines + block.count(b"\n", 0, error.start)
                raise UnreadableError(
                    f"is not {encoding}: line {line} holds the byte 0x{error.object[error.start]:02x}",
                    "Write `encoding: cp1252` if a Windows program wrote it (or latin-1), or export it as UTF-8",
                ) from error
            if not block:
                break
            lines += block.count(b"\n")
    return quotes


def _csv(path: Path, delimiter: str | None, encoding: str) -> Iterator[Batch]:
    with path.open(encoding="utf-8-sig" if encoding == "utf-8" else encoding, newline="") as file:
        first = file.readline(BLOCK_BYTES)
        while first.count('"') % 2 and (more := file.readline(BLOCK_BYTES)):
            first += more  # a name may hold a line break
    separator = delimiter or _sniffed(first)
    header = next(csv.reader(io.StringIO(first), delimiter=separator), [])
    if double := sorted(name for name, many in Counter(header).items() if many > 1):
        raise UnreadableError(f"has two columns named {double[0]!r}", "Give each column a name of its own")
    broken: list[tuple[JSON, str]] = []

    def keep(row: Any) -> str:
        broken.append((row.text, f"has {row.actual_columns} cells, and the header has {row.expected_columns}"))
        return "skip"

    try:
        reader = pa_csv.open_csv(
            path,
            read_options=pa_csv.ReadOptions(encoding=encoding, block_size=BLOCK_BYTES, use_threads=False),
            parse_options=pa_csv.ParseOptions(delimiter=separator, newlines_in_values=True, invalid_row_handler=keep),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(header, pa.string()), null_values=[""], strings_can_be_null=True
            ),
        )
        yield Batch(_frame(reader.schema.empty_table()))
        for each in reader:
            yield Batch(_frame(each), broken=broken.copy())
            broken.clear()
    except pa.ArrowInvalid as error:
        words = str(error).split("\n", 1)[0]
        raise UnreadableError(f"is no CSV ({words[:200]})", "Look for a quotation mark that is never closed") from error
    if broken:
        yield Batch(_frame(reader.schema.empty_table()), broken=broken)


def _sniffed(header: str) -> str:
    """The delimiter that stands most often in the header outside of quotation marks; a comma when there is one column."""
    outside = "".join(header.split('"')[::2])
    return max(DELIMITERS, key=lambda each: (outside.count(each), -DELIMITERS.index(each)))


def _jsonl(path: Path, encoding: str) -> Iterator[Batch]:
    columns: set[str] = set()
    with path.open(encoding="utf-8-sig" if encoding == "utf-8" else encoding) as file:
        first = True
        while (lines := file.readlines(BLOCK_BYTES)) or first:
            first = False
            batch = _records([line for line in lines if line.strip()], columns)
            columns |= set(batch.frame.columns)
            yield batch


def _records(lines: list[str], columns: set[str]) -> Batch:
    records: list[dict[str, Any]] = []
    broken: list[tuple[JSON, str]] = []
    for line in lines:  # a broken line must not take the others with it: no reader of whole blocks tells them apart
        try:
            record = json.loads(line)
        except ValueError:
            broken.append((line.rstrip("\n"), "is no JSON"))
            continue
        if isinstance(record, dict):
            records.append(record)
        else:
            broken.append((record, "is no JSON object"))
    names = sorted(columns.union(*records))
    said: dict[str, pl.Series] = {}
    series = []
    for name in names:
        has = [name in record for record in records]
        if not all(has):
            said[name] = pl.Series(has, dtype=pl.Boolean)
        series.append(_values(name, [record.get(name) for record in records]))
    return Batch(pl.DataFrame(series), broken, said)


def _values(name: str, values: list[Any]) -> pl.Series:
    """A typed series; values of mixed types, and texts without a UTF-8 form, as JSON text."""
    try:
        return pl.Series(name, values)
    except (TypeError, UnicodeEncodeError, OverflowError, pl.exceptions.PolarsError):
        texts = [
            each if isinstance(each, str) and each.isascii() else None if each is None else json.dumps(each)
            for each in values
        ]
        return pl.Series(name, texts, dtype=pl.String)


def _parquet(path: Path) -> Iterator[Batch]:
    try:
        with pa_parquet.ParquetFile(path) as file:
            yield Batch(_frame(file.schema_arrow.empty_table()))
            for each in file.iter_batches(BATCH_ROWS):
                yield Batch(_frame(each))
    except (pa.ArrowInvalid, OSError) as error:
        words = str(error).split("\n", 1)[0]
        raise UnreadableError(f"is no Parquet file ({words[:200]})", "Look at the job that writes it") from error


def _frame(table: Any) -> pl.DataFrame:
    frame = pl.from_arrow(table)
    return frame if isinstance(frame, pl.DataFrame) else frame.to_frame()
