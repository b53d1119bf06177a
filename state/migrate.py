"""Opens `state.duckdb`, creating or migrating it. Forward only, on a copy that is synced and swapped by rename."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import duckdb

from core.errors import RefusedError
from state.private import private_file, sync_file, sync_folder
from state.statements import migrations

NAME = "state.duckdb"


def open_database(folder: Path) -> duckdb.DuckDBPyConnection:
    """The one writing connection. RefusedError when another process has it open, or a newer program wrote it."""
    path = folder / NAME
    newest = len(migrations())
    if not path.exists():
        _swap(folder, path, 0)
    con = _connect(path)
    found = _version(con)
    if found > newest:
        con.close()
        raise RefusedError(
            f"{path} was written by a newer Onefold (its shape is {found}, this program knows {newest})",
            remedy="Use the newer program",
        )
    if found < newest:
        con.close()
        _swap(folder, path, found)
        con = _connect(path)
    private_file(path)
    return con


def _connect(path: Path) -> duckdb.DuckDBPyConnection:
    try:
        return duckdb.connect(str(path))
    except duckdb.IOException as error:
        holder = re.search(r"PID (\d+)", str(error))
        if holder or "lock" in str(error).lower():
            who = f"process {holder[1]}" if holder else "another process"
            raise RefusedError(f"{path} is open in {who}", remedy="Wait for it, or end it") from error
        raise RefusedError(
            f"{path} cannot be read: {str(error).splitlines()[0]}",
            remedy="A newer DuckDB may have written it; else restore a backup",
        ) from error
    except (duckdb.SerializationException, duckdb.InvalidInputException) as error:
        raise RefusedError(f"{path} was written by a newer DuckDB", remedy="Use the newer program") from error


def _version(con: duckdb.DuckDBPyConnection) -> int:
    there = con.execute("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'migration'").fetchall()[0][0]
    if not there:
        return 0
    return int(con.execute("SELECT coalesce(max(number), 0) FROM migration").fetchall()[0][0])


def _swap(folder: Path, path: Path, found: int) -> None:
    """Migrates a copy and puts it in the place of the original; dying anywhere leaves the original as it was."""
    copy = folder / f"{NAME}.migrating"
    for stale in (copy, copy.with_name(f"{copy.name}.wal")):
        stale.unlink(missing_ok=True)
    if path.exists():
        _settle(path)
        shutil.copyfile(path, copy)
    con = duckdb.connect(str(copy))
    try:
        con.execute("CREATE TABLE IF NOT EXISTS migration (number INTEGER PRIMARY KEY, name VARCHAR NOT NULL)")
        for number, name, text in migrations():
            if number <= found:
                continue
            con.begin()
            con.execute(text)
            con.execute("INSERT INTO migration VALUES (?, ?)", [number, name])
            con.commit()
        con.execute("CHECKPOINT")
    finally:
        con.close()
    private_file(copy)
    sync_file(copy)
    copy.replace(path)
    sync_folder(folder)


def _settle(path: Path) -> None:
    """Folds a write-ahead log into its file: the copy takes the file alone, and no old log may meet the swapped file."""
    with duckdb.connect(str(path)) as con:
        con.execute("CHECKPOINT")
    log = path.with_name(f"{path.name}.wal")
    if log.exists():
        raise RefusedError(f"{log} could not be folded into {path.name}", remedy="Look who else has it open")
