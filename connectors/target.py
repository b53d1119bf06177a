"""The contract of a target: a tiny mandatory part, and each further ability as a Protocol of its own.

A target never retries, paces, logs or builds frames: `connectors/http.py` and the steps do. Every write method returns a
Receipt; an answer that means "already in the desired state" is a receipt with outcome `already`. Errors are
TransientError (retry), TerminalError (quarantine this object), RefusedError (stop: rights, licence, read-only).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol, TypeVar, runtime_checkable

from connectors.source import Finding
from core.model import Receipt

if TYPE_CHECKING:
    import httpx
    from pydantic import BaseModel


@dataclass(frozen=True, slots=True)
class RemoteUser:
    """A user as the target shows it. `values` holds only attributes that the answer contained (names of core.frames.PUSHED)."""

    remote_id: str
    active: bool | None
    values: Mapping[str, str | None]
    protected: str | None = None  # why nobody may touch it: administrator, the sync account itself


@dataclass(frozen=True, slots=True)
class RemoteGroup:
    """A group as the target shows it; `grants_admin` marks groups that protect their members."""

    remote_id: str
    name: str
    grants_admin: bool = False
    implicit: bool = False  # a default group: the target itself puts new users into it


@dataclass(frozen=True, slots=True)
class RemotePage:
    """One page of a listing: users, groups, or remote ids of members. `total` is the target's claim, if it makes one."""

    users: Sequence[RemoteUser] = ()
    groups: Sequence[RemoteGroup] = ()
    members: Sequence[str] = ()
    received: int = 0
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Seats:
    """Licence seats: `None` total means unlimited."""

    application: str
    total: int | None
    remaining: int | None


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What this instance can do, found by asking it. `complete_listing` false: look up by name before creating."""

    product: str
    version: str
    own_account: str
    complete_listing: bool
    attributes: tuple[str, ...]  # names of core.frames.PUSHED that it can hold
    unreadable: tuple[str, ...] = ()  # of these, what it never shows (kept from our own receipts)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TargetContext:
    """What the steps give a target: its name in the config, resolved secrets by field, an httpx transport for tests."""

    target: str
    now: datetime
    secrets: Mapping[str, str] = field(default_factory=dict)
    base: Path = Path()
    transport: httpx.BaseTransport | None = None


@runtime_checkable
class Target(Protocol):
    """The mandatory part: say what you are, show what exists, count the requests you sent."""

    Settings: ClassVar[type[BaseModel]]
    needs: ClassVar[tuple[str, ...]]
    attributes: ClassVar[tuple[str, ...]]  # of core.frames.PUSHED; known before any connection is made
    verbs: ClassVar[frozenset[str]]  # what it can do at all; a verb outside is not planned but reported
    rate: ClassVar[float]  # default writes per second, with its source beside it

    def __init__(self, settings: BaseModel, context: TargetContext) -> None: ...

    @property
    def requests(self) -> int:
        """Requests sent so far."""
        ...

    def capabilities(self) -> Capabilities:
        """Version, rights and listing ability of this instance. RefusedError when the credential is not an administrator's."""
        ...

    def users(self) -> Iterator[RemotePage]:
        """All users, inactive ones too."""
        ...

    def user(self, *, remote_id: str | None = None, user_name: str | None = None) -> RemoteUser | None:
        """One user, or None when the target is sure that there is none. Protected is filled in."""
        ...

    def groups(self) -> Iterator[RemotePage]:
        """All groups."""
        ...

    def members(self, group: RemoteGroup) -> Iterator[RemotePage]:
        """Remote ids of the members, inactive ones too; inherited ones left out where the target can tell."""
        ...

    def groups_of(self, user: RemoteUser) -> Sequence[str]:
        """Names of the user's groups, to settle an edge by looking."""
        ...

    def refuses_user_name(self, user_name: str) -> str | None:
        """Why this target would refuse that user name, or None. Pure; asked while planning."""
        ...

    def refuses_group_name(self, name: str) -> str | None:
        """Why this target would refuse that group name, or None."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


@runtime_checkable
class WritesUsers(Protocol):
    """Creates and amends users. `values` holds what to set and nothing else."""

    def create_user(self, values: Mapping[str, str | None]) -> Receipt:
        """Creates an active user; the receipt carries its remote id. Looks up by name when the answer is a conflict."""
        ...

    def update_user(self, user: RemoteUser, values: Mapping[str, str | None]) -> Receipt:
        """Sets the given attributes, none of them user_name."""
        ...

    def deactivate_user(self, user: RemoteUser) -> Receipt:
        """Deactivates and, where the target can, ends the user's sessions."""
        ...

    def reactivate_user(self, user: RemoteUser) -> Receipt:
        """The opposite."""
        ...


@runtime_checkable
class RenamesUsers(Protocol):
    """Changes a user name and keeps the remote id."""

    def rename_user(self, user: RemoteUser, user_name: str) -> Receipt:
        """Renames."""
        ...


@runtime_checkable
class DeletesUsers(Protocol):
    """Deletes users; only ever called when deletion was switched on."""

    def delete_user(self, user: RemoteUser) -> Receipt:
        """Deletes, waiting for the target's long task where it has one."""
        ...


@runtime_checkable
class WritesGroups(Protocol):
    """Creates and deletes groups."""

    def create_group(self, name: str) -> Receipt:
        """Creates an empty group; an existing one of that name is `already`."""
        ...

    def delete_group(self, group: RemoteGroup) -> Receipt:
        """Deletes a group that we created."""
        ...


@runtime_checkable
class WritesMembers(Protocol):
    """Adds and removes one edge per call."""

    def add_member(self, group_name: str, user: RemoteUser) -> Receipt:
        """Adds; a member already there is `already`."""
        ...

    def remove_member(self, group_name: str, user: RemoteUser) -> Receipt:
        """Removes; nobody there is `already`."""
        ...


@runtime_checkable
class CountsSeats(Protocol):
    """Knows its licence seats."""

    def seats(self) -> Sequence[Seats]:
        """Seats per application."""
        ...


@runtime_checkable
class ChecksTarget(Protocol):
    """Can say what its credential may do, lacks and has too much of."""

    def check(self) -> Iterator[Finding]:
        """Findings, cheap and read-only."""
        ...


T = TypeVar("T", bound=type[Target])
_TARGETS: dict[str, type[Target]] = {}


def target(cls: T) -> T:
    """Registers a target under its file's name; mypy fails here when the class does not conform."""
    _TARGETS[cls.__module__.rpartition(".")[2]] = cls
    return cls


def target_kinds() -> tuple[str, ...]:
    """Names of all target connectors: the files of `connectors/targets`."""
    folder = Path(__file__).parent / "targets"
    return tuple(sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("_")))


def target_class(kind: str) -> type[Target]:
    """The connector of that kind, imported on first use. KeyError with the known kinds when there is none."""
    import importlib

    if kind not in target_kinds():
        raise KeyError(f"unknown kind {kind!r}; known: {', '.join(target_kinds())}")
    if kind not in _TARGETS:
        importlib.import_module(f"connectors.targets.{kind}")
    return _TARGETS[kind]
