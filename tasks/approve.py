"""Releases held changes of a stored plan by their fingerprints, recorded with who and when. Needs no lease: a run may go on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from core.errors import RefusedError
from core.model import Hold
from state.control import Control
from state.plans import StoredPlan
from state.snapshot import Snapshot
from tasks.installation import Installation


@dataclass(frozen=True)
class Approved:
    """What an approval released, and what it could not: changes that other holds keep too, holds that nobody can release."""

    digest: str
    holds: tuple[str, ...]
    released: int
    still_held: int
    not_releasable: tuple[str, ...]


def approve(
    inst: Installation, prefix: str, holds: Sequence[str], *, approved_by: str, until: datetime | None = None
) -> Approved:
    """Approves the named holds of the plan, or all that can be released. RefusedError when nothing can be."""
    with Snapshot.open(inst.state) as snapshot:
        stored = snapshot.plan(prefix)
    known = {each.hold_id: each for each in stored.header.holds}
    if unknown := sorted(set(holds) - set(known)):
        raise RefusedError(
            f"plan {stored.header.digest[:8]} has no hold {', '.join(unknown)}",
            remedy=f"Its holds: {', '.join(known) or 'none'}",
        )
    chosen = [known[each] for each in holds] if holds else list(known.values())
    fixed = [each for each in chosen if not each.releasable]
    open_ = [each.hold_id for each in chosen if each.releasable]
    if not open_:
        raise RefusedError(_why(fixed), remedy="Each hold says what releases it: see `onefold show`")
    marked = _touched(stored, open_)
    others = pl.col("held_by").list.set_difference(pl.lit(open_, dtype=pl.List(pl.String))).list.len() > 0
    firm = marked.filter(others)
    free = marked.filter(~others)
    with Control.open(inst.state) as control:
        released = control.approve(
            free.get_column("fingerprint").to_list(),
            digest=stored.header.digest,
            approved_by=approved_by,
            now=inst.clock(),
            until=until,
            hold_id=",".join(open_),
        )
    return Approved(stored.header.digest, tuple(open_), released, firm.height, tuple(each.hold_id for each in fixed))


def _why(fixed: Sequence[Hold]) -> str:
    if not fixed:
        return "nothing is held"
    return "; ".join(f"{each.hold_id} is not released by approval: {each.release}" for each in fixed)


def _touched(stored: StoredPlan, open_: Sequence[str]) -> pl.DataFrame:
    mine = pl.col("held_by").list.set_intersection(pl.lit(list(open_), dtype=pl.List(pl.String))).list.len() > 0
    return stored.changes.filter(pl.col("held_by").is_not_null()).filter(mine)
