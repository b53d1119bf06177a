"""One open state: its connection, transactions, numbers, and frames in and out. What the tables mean is told elsewhere."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

import duckdb
import polars as pl

from core.errors import OnefoldError
from core.frames import conform
from state.statements import statement

Params = Mapping[str, object]


@dataclass
class Session:
    """An open connection and its transactions."""

    con: duckdb.DuckDBPyConnection
    _open: int = field(default=0, init=False)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; nested uses join the outer one."""
        if self._open:
            self._open += 1
            try:
                yield
            finally:
                self._open -= 1
            return
        self.con.begin()
        self._open = 1
        try:
            yield
        except BaseException:
            self._open = 0
            self.con.rollback()
            raise
        self._open = 0
        self.con.commit()

    def run(self, name: str, params: Params | None = None) -> None:
        """Executes `sql/<name>.sql`."""
        self.con.execute(statement(name), dict(params or {})).fetchall()

    def rows(self, name: str, params: Params | None = None) -> list[tuple[object, ...]]:
        """All rows of `sql/<name>.sql`."""
        return self.con.execute(statement(name), dict(params or {})).fetchall()

    def frame(
        self,
        name: str,
        params: Params | None = None,
        schema: Mapping[str, pl.DataType] | None = None,
        *,
        columns: Collection[str] | None = None,
    ) -> pl.DataFrame:
        """The answer of `sql/<name>.sql` as a frame, brought to `schema` when one is given. `columns`: no others are read."""
        relation = self.con.sql(statement(name), params=dict(params or {}))
        answer = (relation if columns is None else relation.select(*sorted(columns))).pl()
        return answer if schema is None else conform(answer, dict(schema))

    @contextmanager
    def lent(self, **frames: pl.DataFrame) -> Iterator[None]:
        """Makes frames readable for SQL under their names."""
        for name, frame in frames.items():
            self.con.register(name, frame)
        try:
            yield
        finally:
            for name in frames:
                self.con.unregister(name)

    def insert(self, table: str, frame: pl.DataFrame) -> None:
        """Appends rows by column names; columns left out become null."""
        if not frame.height:
            return
        with self.lent(incoming=frame):
            self.con.execute(statement("insert_rows").format(table=table)).fetchall()

    def take(self, counter: str, many: int) -> int:
        """Reserves `many` numbers and returns the first; numbers are never given twice."""
        first = self.rows("counter_next", {"name": counter})[0][0]
        if not isinstance(first, int):
            raise OnefoldError(f"the state's counter {counter} is damaged", remedy="Restore a backup")
        self.run("counter_advance", {"name": counter, "many": many})
        return first

    def get(self, name: str) -> str | None:
        """One small fact by name."""
        found = self.rows("meta_get", {"name": name})
        return None if not found else str(found[0][0])

    def put(self, name: str, value: str) -> None:
        """Remembers one small fact."""
        self.run("meta_put", {"name": name, "value": value})

    def run_no(self, run_id: str, now: datetime) -> int:
        """The number under which this run writes history: windows of validity are ordered by it.

        A run that was interrupted by another writer gets a fresh number, so that numbers always grow with time.
        """
        newest = self.rows("history_run_newest")
        if newest and newest[0][1] == run_id:
            return int(str(newest[0][0]))
        number = self.take("history_run", 1)
        self.run("history_run_add", {"run_no": number, "run_id": run_id, "now": now})
        return number
