"""Applies a plan to stand-ins seeded with what the targets hold, in a scratch state: what would be answered, and what would be left.

The real targets are not asked, the state is not touched. Whoever calls gives the stand-ins; none of ours is known here.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from connectors.target import Target, TargetContext, target_class
from core.config import TargetConfig
from core.errors import RefusedError
from core.model import Outcome, TargetMode
from core.render import shown_object
from state.scratch import copy_of
from state.snapshot import Snapshot
from state.store import Store
from tasks.apply import Applied, apply
from tasks.installation import Installation
from tasks.observe import observe
from tasks.plan_head import Reading
from tasks.planning import work_out

Row = dict[str, Any]
SHOWN = 200
RUN = "rehearsal"


@dataclass(frozen=True)
class Stage:
    """Where a stand-in of a target answers, and the token that it takes."""

    url: str
    token: str


Staging = Callable[[str, str, Mapping[str, Any]], AbstractContextManager[Stage]]
"""target, kind, seed → a stand-in while the context lasts. A seed has `users` (name, key, email, display_name, active,
groups), `groups` (names), `admin_groups` and `implicit` (names of groups)."""


@dataclass(frozen=True)
class _Scratch(Installation):
    """An installation whose state is a copy and whose targets are stand-ins."""

    folder: Path = Path()
    stages: Mapping[str, Stage] | None = None

    @property
    def state(self) -> Path:
        """The scratch folder."""
        return self.folder

    def target(self, name: str) -> Target:
        """The connector, sent to the stand-in: without the real one's proxy, certificates and pace."""
        stage = (self.stages or {})[name]
        chosen = self.config.targets[name]
        known = type(chosen.settings).model_fields
        there: dict[str, Any] = {each: None for each in ("proxy", "ca_bundle", "rate") if each in known}
        settings = chosen.settings.model_copy(update={"url": stage.url, **there})
        context = TargetContext(target=name, now=self.clock(), secrets={"token": stage.token}, base=self.base)
        return target_class(chosen.common.kind)(settings, context)


def rehearse(inst: Installation, prefix: str, staging: Staging) -> Row:
    """The document of `rehearse --json`: digest, targets, and by target what was answered otherwise and what is left.

    RefusedError where there is no such plan, or none of its targets has a stand-in.
    """
    with Snapshot.open(inst.state) as snapshot, tempfile.TemporaryDirectory(prefix="onefold-rehearsal-") as folder:
        scratch = Path(folder) / "state"
        copy_of(snapshot, inst.state, scratch)
        with Store.open(scratch, purpose="rehearse", now=inst.clock) as store:
            stored = store.plan(prefix)
            names = sorted({each.target for each in stored.header.targets} & set(inst.config.targets))
            seeds = {name: seed_of(store, name) for name in names}
        stages: dict[str, Stage] = {}
        with ExitStack() as acting_out:
            for name in names:
                kind = str(inst.config.targets[name].common.kind)
                stages[name] = acting_out.enter_context(staging(name, kind, seeds[name]))
            acting = {name: _applying(each) for name, each in inst.config.targets.items() if name in stages}
            there = _Scratch(
                replace(inst.config, targets=acting), inst.path, clock=inst.clock, progress=inst.progress, folder=scratch,
                stages=stages,
            )  # fmt: skip
            done = apply(there, RUN, stored.header.digest)
            seen = {each.target: each.problem for each in observe(there, RUN, names)}
            with Store.open(scratch, purpose="rehearse", now=inst.clock) as store:
                left = work_out(there, store, RUN, Reading(), only=stored.header.person).ready
                answers = store.ledger.states(RUN)
    return _document(stored.header.digest, names, done, seen=seen, answers=answers, left=left)


def seed_of(store: Store, target: str) -> Row:
    """What we believe the target to hold, as a seed of a stand-in. RefusedError when it was never read."""
    existing = store.existing(target)
    users = existing.users.filter("present")
    if users.is_empty():
        raise RefusedError(
            "it was never read, so that nothing can be seeded", target=target, remedy="Run `onefold plan`"
        )
    groups = existing.groups.filter("present")
    inside = (
        existing.memberships.join(groups.select("group_key", "name"), on="group_key")
        .group_by("user_key")
        .agg(pl.col("name").sort().alias("groups"))
    )
    rows = users.join(inside, on="user_key", how="left").sort("user_key")
    traits = groups.join(existing.traits, on="group_key", how="left")
    return {
        "users": [
            {
                "name": row["user_name"] or row["remote_id"],
                "key": row["remote_id"],
                "email": row["email"],
                "display_name": row["display_name"],
                "active": row["active"] is not False,
                "groups": row["groups"] or [],
            }
            for row in rows.iter_rows(named=True)
        ],
        "groups": groups.get_column("name").sort().to_list(),
        "admin_groups": traits.filter(pl.col("grants_admin").fill_null(value=False)).get_column("name").to_list(),
        "implicit": traits.filter(pl.col("implicit").fill_null(value=False)).get_column("name").to_list(),
    }


def _applying(chosen: TargetConfig) -> TargetConfig:
    """The target as if it might be written."""
    return replace(chosen, common=chosen.common.model_copy(update={"mode": TargetMode.APPLY}))


def _document(
    digest: str,
    names: Iterable[str],
    done: Applied,
    *,
    seen: Mapping[str, str | None],
    answers: pl.DataFrame,
    left: pl.DataFrame,
) -> Row:
    good = [Outcome.APPLIED.value, Outcome.ALREADY.value]
    other = answers.filter(~pl.col("state").is_in(good))
    remaining = left.with_columns(pl.col(pl.Enum).cast(pl.String))
    return {
        **done.document(),
        "digest": digest,
        "targets": list(names),
        "unread": {name: why for name, why in seen.items() if why is not None},
        "answers": [
            {name: row[name] for name in ("target", "verb", "object_id", "user_name", "group_name", "state", "detail")}
            for row in other.head(SHOWN).iter_rows(named=True)
        ],
        "differing": other.height,
        "left": [
            {"target": row["target"], "verb": row["verb"], "object": shown_object(row)}
            for row in remaining.head(SHOWN).iter_rows(named=True)
        ],
        "left_count": left.height,
    }
