"""How commands speak: one JSON document or plain text on stdout, progress and errors on stderr."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from enum import Enum
from pathlib import Path
from typing import Any

from core.errors import ConfigError, OnefoldError
from tasks.installation import Progress

PATIENCE = 2.0  # seconds before progress shows


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds") + "Z"
    if isinstance(value, date | Path):
        return str(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def aged(seconds: float) -> str:
    """How long ago, in words."""
    minutes = int(seconds // 60)
    if minutes < 1:
        return "less than a minute"
    return f"{minutes} minutes" if minutes < 120 else f"{minutes // 60} hours"


def emit(document: Any, text: str, *, as_json: bool) -> None:
    """Prints the document as JSON, or the text."""
    if as_json:
        sys.stdout.write(json.dumps(document, default=_plain, ensure_ascii=False, indent=2) + "\n")
    else:
        sys.stdout.write(text.rstrip("\n") + "\n")
    sys.stdout.flush()


def complain(error: OnefoldError, *, as_json: bool) -> None:
    """Prints an error: to stderr in words, to stdout as a document where JSON was asked for."""
    if as_json:
        problems = [
            {"path": each.path, "problem": each.problem, "remedy": each.remedy, "line": each.line}
            for each in (error.problems if isinstance(error, ConfigError) else ())
        ]
        place = {
            name: value
            for name in ("tenant", "target", "object", "field", "remedy")
            if (value := getattr(error, name)) is not None
        }
        document = {"error": type(error).__name__, "problem": error.problem, **place}
        emit({**document, "problems": problems} if problems else document, "", as_json=True)
    sys.stderr.write(f"{error}\n")


@contextmanager
def progress(*, quiet: bool) -> Iterator[Progress]:
    """Shows what goes on once it takes over two seconds and somebody watches a terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda _subject, _done, _total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    began = time.monotonic()
    bars = Bars(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    rows: dict[str, Any] = {}
    shown = False

    def tell(subject: str, done: int, total: int | None) -> None:
        nonlocal shown
        if subject not in rows:
            rows[subject] = bars.add_task(subject, total=total)
        bars.update(rows[subject], completed=done, total=total)
        if not shown and time.monotonic() - began > PATIENCE:
            shown = True
            bars.start()

    try:
        yield tell
    finally:
        if shown:
            bars.stop()


def table(rows: list[list[str]], header: list[str]) -> str:
    """Plain text columns, padded; numbers to the right."""
    everything = [header, *rows]
    widths = [max(len(row[place]) for row in everything) for place in range(len(header))]
    numeric = [
        all(row[place].replace(",", "").lstrip("-").isdigit() or not row[place] for row in rows)
        for place in range(len(header))
    ]
    lines = []
    for row in everything:
        cells = [
            cell.rjust(width) if right and rows else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
