"""What guards look at and what they find: facts beside the plan, questions that are no change, and the holds to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from core.frames import APPROVAL, WINDOW, empty
from core.model import Verb
from core.settings import Limits, Protect

POPULATION: dict[str, pl.DataType] = {"target": pl.String(), "tenant": pl.Int16(), "persons": pl.Int64()}


@dataclass(frozen=True)
class Question:
    """Something that waits without being a change: a refused name, a doubtful pair. It becomes a hold with a count."""

    target: str
    guard: str
    reason: str
    release: str
    count: int = 0
    line: int | None = None


@dataclass(frozen=True)
class GuardFacts:
    """What guards must know beside the plan.

    `population`: active persons of each tenant in each target; `group_sizes`: target, group_name, members (existing);
    `protected_users`: target, user_key, why; `protected_groups`: target, group_name; `doubtful`: person_key;
    `window`: WINDOW, removals already carried out in the window; `held_before`: fingerprints the last plan held for the
    config; `outside`: target, person_key of persons outside the rollout (None: no rollout); `seats`: remaining by target.
    """

    limits: Limits
    protect: Protect
    tenant_names: Mapping[int, str]
    first_contact: frozenset[str]
    population: pl.DataFrame
    group_sizes: pl.DataFrame
    protected_users: pl.DataFrame
    protected_groups: pl.DataFrame
    doubtful: pl.Series
    window: pl.DataFrame = field(default_factory=lambda: empty(WINDOW))
    approvals: pl.DataFrame = field(default_factory=lambda: empty(APPROVAL))
    config_changed: bool = False
    held_before: pl.Series = field(default_factory=lambda: pl.Series("fingerprint", [], dtype=pl.String))
    outside: pl.DataFrame | None = None
    seats: Mapping[str, int] = field(default_factory=dict)
    rename_line: int | None = None
    questions: Sequence[Question] = ()
    alone: bool = False  # the plan is of one person: what counts a mass holds only where it allows nobody at all


@dataclass(frozen=True)
class Found:
    """One hold to be, and the seqs it keeps."""

    guard: str
    reason: str
    release: str
    seqs: pl.Series
    target: str | None = None
    verb: Verb | None = None
    scope: str | None = None
    line: int | None = None
    releasable: bool = True
    spreads: bool = True  # whether the rest of the unit, and what requires it, waits too


def by(rows: pl.DataFrame, *columns: str) -> list[tuple[tuple[object, ...], pl.DataFrame]]:
    """Rows by these columns, in their order."""
    return list(rows.sort(*columns, "seq").group_by(list(columns), maintain_order=True))
