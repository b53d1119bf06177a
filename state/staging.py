"""Rows of an extract that is being read, until they are landed in the order of their keys: in memory while few, in private files when many."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import polars as pl

from state.landing import KEYS
from state.private import private_folder

ARRIVAL = "arrival"  # the number of a row in the order in which it came
ROWS_IN_MEMORY = 50_000
ROWS_OF_A_PART = {"memberships": 250_000}  # narrow rows, about 100 MB while they are sorted; others are ROWS_IN_MEMORY


class Staging:
    """Takes typed frames in any order and gives them back by ranges of keys, each range at most about one part long."""

    def __init__(self, root: Path | str, *, rows_in_memory: int = ROWS_IN_MEMORY) -> None:
        """`root` is the landing root: staged files lie beside what they become; of a URL, in the system's folder for such files."""
        self._root = None if isinstance(root, str) and "://" in root else Path(root)
        self._limit = rows_in_memory
        self._folder: Path | None = None
        self._held: dict[str, list[pl.DataFrame]] = {}
        self._files: dict[str, list[Path]] = {}
        self._rows: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder)

    def rows(self, object: str) -> int:  # noqa: A002 - the vocabulary's word
        """How many rows were added, repeats included."""
        return self._rows.get(object, 0)

    def add(self, object: str, frame: pl.DataFrame) -> None:  # noqa: A002 - the vocabulary's word
        """Takes rows of LANDED[object]."""
        if not frame.height:
            return
        first = self.rows(object)
        numbers = pl.int_range(first, first + frame.height, dtype=pl.UInt64, eager=True)
        held = self._held.setdefault(object, [])
        held.append(frame.with_columns(numbers.alias(ARRIVAL)))
        self._rows[object] = first + frame.height
        if sum(each.height for each in held) >= self._limit:
            self._spill(object)

    def ranges(self, object: str) -> Iterator[pl.DataFrame]:  # noqa: A002 - the vocabulary's word
        """All rows, in the order of their keys, then of their arrival; all rows of one first key come in one frame."""
        key, order = KEYS[object][0], [*KEYS[object], ARRIVAL]
        if not self.rows(object):
            return
        rows = self._lazy(object)
        most = max(self._limit, ROWS_OF_A_PART.get(object, 0))
        if self.rows(object) <= most:
            yield rows.collect().sort(order, nulls_last=True)
            return
        sizes = rows.group_by(key).len().collect().sort(key, nulls_last=True)
        number = (sizes.get_column("len").cum_sum() - 1) // most
        starts = sizes.filter(number != number.shift(1).fill_null(0)).get_column(key).to_list()
        for low, high in zip([None, *starts], [*starts, None], strict=True):
            inside = pl.lit(value=True)
            if low is not None:
                inside &= pl.col(key) >= low
            if high is not None:
                inside &= pl.col(key) < high
            yield rows.filter(inside).collect().sort(order, nulls_last=True)

    def _lazy(self, object: str) -> pl.LazyFrame:  # noqa: A002 - the vocabulary's word
        parts = [pl.scan_parquet(path) for path in self._files.get(object, ())]
        return pl.concat([*parts, *(frame.lazy() for frame in self._held.get(object, ()))])

    def _spill(self, object: str) -> None:  # noqa: A002 - the vocabulary's word
        if self._folder is None:
            if self._root is not None:
                private_folder(self._root)
            self._folder = Path(tempfile.mkdtemp(prefix=".reading-", dir=self._root))
        files = self._files.setdefault(object, [])
        path = self._folder / f"{object}-{len(files):05}.parquet"
        pl.concat(self._held.pop(object)).write_parquet(path, compression="lz4", statistics=True)
        files.append(path)
