"""What the desired state is worked out from, and what it is made of: the words that the rooms about users and groups share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import polars as pl

from core.config import Config
from core.frames import GROUP_SOURCE, empty
from core.model import TenantFacts


def accepts(_name: str) -> str | None:
    """A target that takes every name."""
    return None


@dataclass(frozen=True)
class TargetSpec:
    """What planning must know of a target: attributes it can hold, verbs it can do, names it would refuse and why."""

    name: str
    attributes: tuple[str, ...]
    verbs: frozenset[str]
    include: str | None = None
    refuses_user_name: Callable[[str], str | None] = accepts
    refuses_group_name: Callable[[str], str | None] = accepts


@dataclass(frozen=True)
class Trouble:
    """What keeps a part of the desired state from being worked out; `persons` and `groups` wait, nothing is removed because of it."""

    kind: str
    problem: str
    remedy: str
    line: int | None = None
    persons: tuple[int, ...] = ()
    groups: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.problem}. {self.remedy}"


@dataclass(frozen=True)
class Desired:
    """DESIRED_USER by person_key, DESIRED_GROUP by group_no, DESIRED_MEMBERSHIP sorted and unique, and what went wrong.

    `sources`: GROUP_SOURCE, of which groups of tenants each group is made.
    """

    users: pl.DataFrame
    groups: pl.DataFrame
    memberships: pl.DataFrame
    troubles: tuple[Trouble, ...] = ()
    sources: pl.DataFrame = field(default_factory=lambda: empty(GROUP_SOURCE))


@dataclass(frozen=True)
class Picture:
    """The directory after merging: PERSON, ACCOUNT, LINK, GROUP and the effective memberships (group_key, account_key)."""

    persons: pl.DataFrame
    accounts: pl.DataFrame
    links: pl.DataFrame
    groups: pl.DataFrame
    effective: pl.DataFrame
    tenants: tuple[TenantFacts, ...]


def tell(path: str, failure: object, nulls: int, config: Config, troubles: list[Trouble]) -> None:
    """Adds what an expression could not work out: its failure, or rows for which it is null."""
    line = config.document.line(path)
    if failure is not None:
        reason = getattr(failure, "error", "")
        count = getattr(failure, "count", 0)
        sample = getattr(failure, "sample", None)
        troubles.append(
            Trouble(
                "expression",
                f"{path} fails for {count} rows (such as {sample}): {reason}",
                "It excludes nobody there; mend the expression",
                line,
            )
        )
    elif nulls:
        troubles.append(
            Trouble(
                "expression",
                f"{path} is null for {nulls} rows",
                "It excludes nobody there; wrap it in coalesce(…)",
                line,
            )
        )
