"""The contract of a source: what a connector that people come from must offer, and what it may offer beside.

The mandatory part is three generators of pages. A connector yields; counting, judging, landing and retrying belong to
the runner (`tasks/extract.py`). Each further ability is a Protocol of its own that a connector opts into by having it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol, TypeVar, runtime_checkable

from core.errors import RefusedError
from core.model import JSON

if TYPE_CHECKING:
    import httpx
    import polars as pl
    from pydantic import BaseModel

Object = Literal["accounts", "groups", "memberships"]
# One canonical record: keys are names of core.frames.LANDED[...]. A key left out is *absent*, None is *null*.
# `tombstone`/`removed`/`members_complete` may be given; they default to false.
Row = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that cannot be used: kept aside with its raw payload and the reason."""

    object: Object
    native_id: str | None
    field: str
    problem: str
    raw: JSON


@dataclass(frozen=True, slots=True)
class Page:
    """One page as the vendor sent it: rows (dicts, or a frame from columnar sources), and what it says of its place.

    A frame may hold `present` itself; without it, every row speaks of every column of the frame. A membership whose
    `member_kind` is null is a group's when its id is a group's and no account's; the runner finds out.
    `received` is the number of records in the vendor's answer, rejected ones included. `total` is the vendor's claim for
    the whole listing (`total_lags`: from an index that is behind, so that a small difference is a doubt and no gap), `cursor` where the next page starts (None on the last page), `cursor_after` on the last page of a
    listing with deltas: where the next delta read starts. `warnings` are doubts that make the verdict `suspect` at least,
    `gaps` say that rows are missing and make it `partial`.
    """

    object: Object
    rows: Sequence[Row] | pl.DataFrame
    received: int
    total: int | None = None
    cursor: str | None = None
    cursor_after: str | None = None
    rejected: Sequence[Rejected] = ()
    warnings: Sequence[str] = ()
    gaps: Sequence[str] = ()
    total_lags: bool = False


class CursorLost(RefusedError):  # noqa: N818 - what became of it, which is no failure: a full read follows
    """The vendor no longer serves a cursor. Full reads that are forced on many tenants at once are spread over `spread_seconds`."""

    def __init__(self, problem: str, *, spread_seconds: float = 0.0, **place: str | None) -> None:
        self.spread_seconds = spread_seconds
        super().__init__(problem, **place)


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of `check --live`: `level` ok, warning or error; what was found and the remedy."""

    level: Literal["ok", "warning", "error"]
    subject: str
    text: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class SourceContext:
    """What the runner gives a source: its tenant's name, resolved secrets by field, the base folder of relative paths, an httpx transport for tests, the state folder."""

    tenant: str
    now: datetime
    secrets: Mapping[str, str] = field(default_factory=dict)
    base: Path = Path()
    transport: httpx.BaseTransport | None = None
    state: Path | None = None


@runtime_checkable
class Source(Protocol):
    """Reads one tenant. `needs` names the vendor permissions in the vendor's words.

    A source may also say `knows_all = False` (it tells only of what it was told), `last_word_counts = True` (its listings
    legally tell of one object several times; the later word counts) and `full_every` (deltas may not go on for longer).
    """

    Settings: ClassVar[type[BaseModel]]
    needs: ClassVar[tuple[str, ...]]

    def __init__(self, settings: BaseModel, context: SourceContext) -> None: ...

    def accounts(self) -> Iterator[Page]:
        """All user records."""
        ...

    def groups(self) -> Iterator[Page]:
        """All groups. May yield pages of memberships beside them when the vendor delivers both at once."""
        ...

    def memberships(self) -> Iterator[Page]:
        """All direct edges not yielded by `groups`."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


@runtime_checkable
class ReadsDelta(Protocol):
    """Can read only what moved since a cursor; raises CursorLost when the cursor is no longer served (a full read follows)."""

    def delta(self, cursor: str) -> Iterator[Page]:
        """Pages of any object; the last page carries `cursor_after`."""
        ...


@runtime_checkable
class ReadsOne(Protocol):
    """Can read one account by its id, cheaply and at once."""

    def one(self, native_id: str) -> Iterator[Page]:
        """Pages of accounts with that account as it is now, or its tombstone. No row: it was not found, which proves nothing."""


@runtime_checkable
class ChecksItself(Protocol):
    """Can say what its credential may do, lacks and has too much of."""

    def check(self) -> Iterator[Finding]:
        """Findings, cheap and read-only."""
        ...


T = TypeVar("T", bound=type[Source])
_SOURCES: dict[str, type[Source]] = {}


def source(cls: T) -> T:
    """Registers a source under its file's name; mypy fails here when the class does not conform."""
    _SOURCES[cls.__module__.rpartition(".")[2]] = cls
    return cls


def source_kinds() -> tuple[str, ...]:
    """Names of all source connectors: the files of `connectors/sources`."""
    folder = Path(__file__).parent / "sources"
    return tuple(sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("_")))


def source_class(kind: str) -> type[Source]:
    """The connector of that kind, imported on first use. KeyError with the known kinds when there is none."""
    import importlib

    if kind not in source_kinds():
        raise KeyError(f"unknown kind {kind!r}; known: {', '.join(source_kinds())}")
    if kind not in _SOURCES:
        importlib.import_module(f"connectors.sources.{kind}")
    return _SOURCES[kind]


Opener = Callable[[str], Source]
