"""Reads a tenant from exported files: CSV, JSONL, Parquet. Which file counts, how old and how long it must be, what its columns mean."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path, PurePath
from typing import Annotated, ClassVar, Literal, Self

import polars as pl
from pydantic import AfterValidator, BaseModel, Field, model_validator

from connectors.source import Finding, Object, Page, Rejected, SourceContext, source
from connectors.tables import SUFFIXES, Batch, Format, UnreadableError, batches
from core.errors import RefusedError
from core.expression import evaluate
from core.frames import BIT, LANDED
from core.settings import Span, Sql, Strict

KEYS: Mapping[Object, tuple[str, ...]] = {
    "accounts": ("native_id",),
    "groups": ("native_id",),
    "memberships": ("group_id", "member_id"),
}
OURS = frozenset({"present", "members_complete"})  # what no file can say
NAME_DATE = re.compile(r"(?<!\d)(20\d\d)[-_.]?(0[1-9]|1[0-2])[-_.]?([0-2]\d|3[01])(?!\d)")


def _inside(glob: str) -> str:
    if PurePath(glob).is_absolute() or ".." in PurePath(glob).parts:
        raise ValueError("leaves the folder; write it relative to `folder`, without ..")
    return glob


class FileSet(Strict):
    """Which files hold one kind of object, when they are trusted, and what their columns mean."""

    glob: Annotated[str, Field(min_length=1), AfterValidator(_inside)]
    pick: Literal["newest", "name_date", "all"] = Field(
        default="newest", description="newest by time of change; by the date in the name; every one that matches"
    )
    max_age: Span | None = Field(default=None, description="an older file makes the read suspect: it removes nobody")
    min_rows: int = Field(default=0, ge=0, description="fewer rows make the read suspect")
    columns: dict[str, Sql] = Field(
        default_factory=dict, description="canonical column: column of the file, or SQL over them"
    )


class FilesSettings(Strict):
    """What is special to exported files."""

    folder: str = Field(default=".", description="nothing outside is read; relative to the config file")
    accounts: FileSet
    groups: FileSet | None = None
    memberships: FileSet | None = None
    columns: dict[str, Sql] = Field(default_factory=dict, description="columns of accounts, written one level higher")
    format: Format | None = Field(default=None, description="default: by the file's suffix")
    delimiter: str | None = Field(default=None, min_length=1, max_length=1, description="default: found in the header")
    encoding: Literal["utf-8", "utf-16", "latin-1", "cp1252", "iso-8859-15"] = "utf-8"

    @model_validator(mode="after")
    def _known_columns(self) -> Self:
        if both := sorted(set(self.columns) & set(self.accounts.columns)):
            raise ValueError(f"columns and accounts.columns both map {both[0]}; keep one of them")
        for name in KEYS:
            canonical = [each for each in LANDED[name] if each not in OURS]
            if strange := sorted(set(self.mapped(name)) - set(canonical)):
                near = difflib.get_close_matches(strange[0], canonical, n=1) or canonical
                raise ValueError(
                    f"columns of {name} map {strange[0]!r}, which does not exist; write {' or '.join(near)}"
                )
        return self

    def chosen(self, name: Object) -> FileSet | None:
        """The files of one kind of object."""
        return {"accounts": self.accounts, "groups": self.groups, "memberships": self.memberships}[name]

    def mapped(self, name: Object) -> dict[str, str]:
        """Canonical columns that the config maps."""
        files = self.chosen(name)
        return {**(self.columns if name == "accounts" else {}), **(files.columns if files else {})}


@dataclass
class _Doubts:
    """What went wrong in single rows of one read, by column: how many, and an example."""

    failed: dict[str, tuple[int, str]] = field(default_factory=dict)

    def add(self, name: str, many: int, words: str) -> None:
        before = self.failed.get(name)
        self.failed[name] = (many + (before[0] if before else 0), before[1] if before else words)

    def told(self) -> list[str]:
        return [
            f"columns.{name} failed for {many} rows: {words}" for name, (many, words) in sorted(self.failed.items())
        ]


@source
class Files:
    """Exports in a folder. A file says nothing about how many rows it should have: age, `min_rows` and the last read judge it."""

    Settings: ClassVar[type[BaseModel]] = FilesSettings
    needs: ClassVar[tuple[str, ...]] = ("read access to the exported files",)

    def __init__(self, settings: FilesSettings, context: SourceContext) -> None:
        self.settings = settings
        self._tenant = context.tenant
        self._now = context.now
        self._folder = (context.base / settings.folder).resolve()

    def accounts(self) -> Iterator[Page]:
        """Pages of frames. RefusedError when no file matches, or it has no column for native_id."""
        return self._pages("accounts")

    def groups(self) -> Iterator[Page]:
        """Pages of frames; nothing when no groups are configured."""
        return self._pages("groups")

    def memberships(self) -> Iterator[Page]:
        """Pages of frames; nothing when no memberships are configured."""
        return self._pages("memberships")

    def one(self, native_id: str) -> Iterator[Page]:
        """The account as the newest files have it. A file has no way to one row: it is read through."""
        for page in self._pages("accounts"):
            rows = page.rows
            if isinstance(rows, pl.DataFrame):
                rows = rows.filter(pl.col("native_id").cast(pl.String, strict=False) == native_id)
                yield Page("accounts", rows, rows.height)
            else:
                yield Page("accounts", [], 0, warnings=page.warnings)

    def close(self) -> None:
        """Nothing is held open."""

    def check(self) -> Iterator[Finding]:
        """Which files would be read, and how old they are."""
        for name in KEYS:
            if (files := self.settings.chosen(name)) is None:
                continue
            try:
                paths = self._chosen(name, files)
            except RefusedError as error:
                yield Finding("error", f"{self._tenant} {name}", error.problem, error.remedy or "")
                continue
            warnings = self._too_old(files, paths)
            text = warnings[0] if warnings else ", ".join(self._shown(path) for path in paths)
            yield Finding("warning" if warnings else "ok", f"{self._tenant} {name}", text)

    def _pages(self, name: Object) -> Iterator[Page]:
        files = self.settings.chosen(name)
        if files is None:
            return
        paths = self._chosen(name, files)
        warnings, doubts, rows = self._too_old(files, paths), _Doubts(), 0
        for path in paths:
            before = _state(path)
            for batch in self._batches(path):
                frame = self._mapped(name, path, batch, rows, doubts)
                aside = [Rejected(name, None, self._shown(path), problem, text) for text, problem in batch.broken]
                rows += frame.height + len(aside)
                yield Page(name, frame, frame.height + len(aside), rejected=aside)
            if _state(path) != before:
                warnings.append(f"{self._shown(path)} changed while it was read")
        if rows < files.min_rows:
            warnings.append(
                f"{' and '.join(map(self._shown, paths))} holds {rows} rows, fewer than min_rows {files.min_rows}"
            )
        yield Page(name, [], 0, warnings=[*warnings, *doubts.told()])

    def _batches(self, path: Path) -> Iterator[Batch]:
        shape = self.settings.format or SUFFIXES.get(path.suffix.lower())
        if shape is None:
            raise self._refused(path, "has a suffix that says nothing", "Write `format: csv`, jsonl or parquet")
        try:
            yield from batches(path, format=shape, delimiter=self.settings.delimiter, encoding=self.settings.encoding)
        except UnreadableError as error:
            raise self._refused(path, error.problem, error.remedy) from error
        except OSError as error:
            raise self._refused(
                path, f"cannot be read: {error.strerror}", "Give the account of Onefold the right"
            ) from error

    def _mapped(self, name: Object, path: Path, batch: Batch, first: int, doubts: _Doubts) -> pl.DataFrame:
        """The batch in canonical columns, with `present` for accounts."""
        mapped = self.settings.mapped(name)
        there = {column.casefold(): column for column in reversed(batch.frame.columns)}
        canonical = [each for each in LANDED[name] if each not in OURS]
        plain = {
            each: there[wanted.casefold()]
            for each in canonical
            if (wanted := mapped.get(each, each)).casefold() in there
        }
        computed = {each: sql for each, sql in mapped.items() if each not in plain}
        for key in KEYS[name]:
            if key not in plain and key not in computed:
                raise self._refused(
                    path,
                    f"has no column {key}",
                    f"Map it with `columns: {{{key}: …}}` to one of {', '.join(batch.frame.columns)}",
                    field=f"columns.{key}",
                )
        frame = batch.frame.select(pl.col(column).alias(each) for each, column in plain.items())
        silent = {each: ~batch.said[column] for each, column in plain.items() if column in batch.said}
        if computed:
            values, failed = self._computed(name, path, batch.frame, computed, first=first, doubts=doubts)
            frame = frame.hstack(values)
            silent |= {each: values.get_column(each).is_null() for each in failed}
        if name == "groups" and "name" not in frame.columns:
            frame = frame.with_columns(name=pl.col("native_id"))
        return _with_present(frame, silent) if name == "accounts" else frame

    def _computed(
        self, name: Object, path: Path, raw: pl.DataFrame, computed: dict[str, str], *, first: int, doubts: _Doubts
    ) -> tuple[pl.DataFrame, list[str]]:
        """Columns by expression. A key that no row has is an error; another column that fails is left unsaid."""
        row = pl.int_range(first + 1, first + raw.height + 1, eager=True).alias("row")
        done = evaluate(computed, frames={"": raw}, key=row, today=self._now.date())
        for each, failure in done.failed.items():
            if each in KEYS[name] and failure.count == raw.height:
                raise self._refused(
                    path, f"{computed[each]!r} {failure.error}", "Correct the expression", field=f"columns.{each}"
                )
            sample = f", such as row {failure.sample}" if failure.sample is not None else ""
            if failure.count:
                doubts.add(each, failure.count, f"{failure.error}{sample}")
        return done.frame.drop("row"), list(done.failed)

    def _chosen(self, name: Object, files: FileSet) -> list[Path]:
        """The files to read, in the order of their names. RefusedError when there is none, or one leads out of the folder."""
        paths = sorted(path for path in self._folder.glob(files.glob) if path.is_file())
        for path in paths:
            if not path.resolve().is_relative_to(self._folder):
                raise self._refused(path, "is a link that leads out of the folder", "Widen `folder`, or copy the file")
        if not paths:
            raise RefusedError(
                f"no file matches {files.glob} in {self._folder}",
                tenant=self._tenant,
                object=name,
                field="glob",
                remedy="Look at the job that exports it",
            )
        if files.pick == "all":
            return paths
        if files.pick == "newest":
            return [max(paths, key=lambda path: (path.stat().st_mtime_ns, path.name))]
        dated = [(day, path.name, path) for path in paths if (day := name_date(path.name))]
        if not dated:
            raise self._refused(
                paths[0], "holds no date in its name", "Name it like staff-2026-11-24.csv, or `pick: newest`"
            )
        return [max(dated)[2]]

    def _too_old(self, files: FileSet, paths: list[Path]) -> list[str]:
        if files.max_age is None:
            return []
        ages = [(self._now - self._made(files, path), path) for path in paths]
        age, path = max(ages)
        if age <= files.max_age:
            return []
        return [f"{self._shown(path)} is {_hours(age)} old, and max_age is {_hours(files.max_age)}"]

    @staticmethod
    def _made(files: FileSet, path: Path) -> datetime:
        """When the file was made, in UTC: the day in its name where the name decides, else its time of change."""
        day = name_date(path.name) if files.pick == "name_date" else None
        if day is not None:
            return datetime(day.year, day.month, day.day)  # noqa: DTZ001 - times are UTC without zone
        return datetime.fromtimestamp(path.stat().st_mtime, UTC).replace(tzinfo=None)

    def _shown(self, path: Path) -> str:
        return str(path.relative_to(self._folder))

    def _refused(self, path: Path, problem: str, remedy: str, field: str | None = None) -> RefusedError:
        return RefusedError(f"{self._shown(path)} {problem}", tenant=self._tenant, field=field, remedy=remedy)


def name_date(name: str) -> date | None:
    """The last date in a file name (2026-11-24, 20261124, 2026_11_24), if there is one."""
    for year, month, day in reversed(NAME_DATE.findall(name)):
        try:
            return date(int(year), int(month), int(day))
        except ValueError:
            continue
    return None


def _with_present(frame: pl.DataFrame, silent: Mapping[str, pl.Series]) -> pl.DataFrame:
    """Which columns each row speaks of: all, less those where its record is silent."""
    every = sum(BIT[each] for each in frame.columns if each in BIT)
    less = [pl.lit(mask).cast(pl.UInt64) * BIT[each] for each, mask in silent.items() if each in BIT]
    present = pl.lit(every, dtype=pl.UInt64)
    for each in less:
        present -= each
    return frame.with_columns(present=present)


def _state(path: Path) -> tuple[int, int, int]:
    """What changes when somebody writes the file or puts another in its place."""
    try:
        now = path.stat()
    except FileNotFoundError:
        return (0, 0, 0)
    return now.st_ino, now.st_size, now.st_mtime_ns


def _hours(age: timedelta) -> str:
    hours = age.total_seconds() / 3600
    return f"{hours:.0f} hours" if hours < 72 else f"{hours / 24:.0f} days"
