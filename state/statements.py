"""Finds SQL: one statement per file in `sql/`, numbered migrations in `migrations/`. Nothing is executed here."""

from __future__ import annotations

from functools import cache
from pathlib import Path

HERE = Path(__file__).parent


@cache
def statement(name: str) -> str:
    """The text of `sql/<name>.sql`; its first line is a comment that says the question."""
    return (HERE / "sql" / f"{name}.sql").read_text(encoding="utf-8")


@cache
def migrations(prefix: str = "") -> tuple[tuple[int, str, str], ...]:
    """(number, name, text) of every migration in order; `prefix` chooses `control_` or `ledger_` instead of the state's own."""
    found = []
    for path in sorted((HERE / "migrations").glob(f"{prefix}[0-9]*.sql")):
        number, _, _name = path.stem.removeprefix(prefix).partition("_")
        found.append((int(number), path.stem, path.read_text(encoding="utf-8")))
    if [number for number, _, _ in found] != list(range(1, len(found) + 1)):
        raise AssertionError(f"migrations {prefix or 'of the state'} are not numbered 1..n")
    return tuple(found)


def views() -> tuple[str, ...]:
    """Statements that create the documented views of a snapshot, in the order of their file names."""
    return tuple(path.read_text(encoding="utf-8") for path in sorted((HERE / "sql").glob("view_*.sql")))
