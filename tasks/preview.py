"""What another configuration would make of the same extracts: persons and plan by both, side by side, on scratch copies of the newest snapshot.

Reads no tenant and no target, takes no lease, and writes nothing to the state: both sides are worked out in a temporary folder.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from connectors.target import Target, TargetContext, target_class
from core import compare
from core.config import Config
from core.errors import ConfigError, Problem
from core.plan import Plan
from core.render import change_documents, counts
from state.scratch import copy_of
from state.snapshot import Snapshot
from state.store import Store
from tasks.consolidate import names_agree
from tasks.identify import identify
from tasks.installation import Installation
from tasks.plan_head import Reading, Side
from tasks.planning import work_out
from tasks.secrets import references

Row = dict[str, Any]


@dataclass(frozen=True)
class _Scratch(Installation):
    """An installation whose state is the copy. Its targets only say what they could hold: they get no credential."""

    folder: Path = Path()

    @property
    def state(self) -> Path:
        """The scratch folder."""
        return self.folder

    def target(self, name: str) -> Target:
        """The connector of a target, to be asked for attributes, verbs and names; it could not log in anywhere."""
        chosen = self.config.targets[name]
        blanks = dict.fromkeys(references(chosen.settings), "none")
        context = TargetContext(target=name, now=self.clock(), secrets=blanks, base=self.base)
        return target_class(chosen.common.kind)(chosen.settings, context)


@dataclass(frozen=True)
class _Worked:
    """One side of the comparison."""

    outcome: compare.Outcome
    plan: Plan
    accounts: pl.DataFrame  # account_key, tenant, native_id
    read: frozenset[str]  # tenants of which something was ever read
    notes: tuple[str, ...]


def preview(live: Installation, other: Config, path: Path) -> Row:
    """The document of `plan --config OTHER --diff`. ConfigError when a run with `other` would end with one."""
    now = live.clock()
    with Snapshot.open(live.state) as snapshot, tempfile.TemporaryDirectory(prefix="onefold-preview-") as temporary:
        published = snapshot.published_at
        sides = []
        for turn, (config, file) in enumerate(((live.config, live.path), (other, path))):
            live.progress("preview", turn, 2)
            folder = Path(temporary) / f"side{turn}"
            copy_of(snapshot, live.state, folder)
            sides.append(_worked(_Scratch(config, file, clock=lambda: now, folder=folder)))
    before, after = sides
    change = compare.moved(before.outcome.links, after.outcome.links)
    both = sorted(set(live.config.targets) & set(other.targets))
    persons = before.outcome.persons, after.outcome.persons
    return {
        "live": str(live.path),
        "other": str(path),
        "snapshot_published_at": published,
        "snapshot_age_seconds": int((now - published).total_seconds()),
        "config": compare.config_lines(live.config.document, other.document),
        "tenants": {**_only(live.config.tenants, other.tenants), "never_read": sorted(set(other.tenants) - after.read)},
        "targets": _only(live.config.targets, other.targets),
        "persons": {
            "before": persons[0].height,
            "after": persons[1].height,
            **compare.moved_rows(change, before.outcome, after.outcome, after.accounts),
            "kept": compare.kept_rows(after.outcome, after.accounts, _keys(live.config) - _keys(other)),
        },
        "status": compare.status_rows(*persons),
        "attributes": compare.attribute_rows(*persons),
        "access": {name: compare.access_rows(before.outcome, after.outcome, name, change) for name in both},
        "user_names": {name: compare.user_name_rows(before.outcome, after.outcome, name) for name in both},
        "groups": {name: compare.group_rows(before.outcome, after.outcome, name) for name in both},
        "plan": _plans(before.plan, after.plan),
        "notes": {"before": list(before.notes), "after": list(after.notes)},
    }


def refuse_same(live: Path, other: Path) -> None:
    """ConfigError when both names mean one file, or the live one does not exist."""
    if not live.exists():
        remedy = "Set ONEFOLD_CONFIG to the live onefold.yaml, or run in its folder; --config names the other one"
        raise ConfigError([Problem("--diff", f"the live config {live} does not exist", remedy)])
    if other.exists() and live.samefile(other):
        raise ConfigError([Problem("--diff", f"{other} is the live config itself", "Name another file with --config")])


def _keys(config: Config) -> set[str]:
    return set(config.settings.match.keys)


def _only(live: dict[str, Any], other: dict[str, Any]) -> Row:
    return {"only_live": sorted(set(live) - set(other)), "only_other": sorted(set(other) - set(live))}


def _worked(inst: _Scratch) -> _Worked:
    """Identifies and plans by one configuration in its own copy."""
    run_id = "preview"
    with Store.open(inst.state, purpose="preview", now=inst.clock) as store:
        store.control.import_into(store)
        names_agree(inst, store)
    identified = identify(inst, run_id)
    kept: list[Side] = []
    with Store.open(inst.state, purpose="preview", now=inst.clock) as store:
        plan = work_out(inst, store, run_id, Reading(), live=False, keep=kept)
        names = pl.DataFrame(
            list(store.tenant_keys().items()), schema={"tenant": pl.String(), "tenant_key": pl.Int16()}, orient="row"
        )
        accounts = store.accounts().select("account_key", "tenant_key", "native_id").join(names, on="tenant_key")
        desired = {side.spec.name: side.desired for side in kept}
        outcome = compare.Outcome(store.links(), store.persons(), desired)
        read = frozenset(store.newest_extracts())
    shown = accounts.select("account_key", "tenant", "native_id")
    return _Worked(outcome, plan, shown, read, (*identified.notes, *plan.header.notes))


def _plans(before: Plan, after: Plan) -> Row:
    fresh = after.changes.join(before.changes, on="fingerprint", how="anti").sort("seq")
    gone = before.changes.join(after.changes, on="fingerprint", how="anti").sort("seq")
    return {
        "before": _plan(before),
        "after": _plan(after),
        "only_other": change_documents(fresh, after.values),
        "only_live": change_documents(gone, before.values),
    }


def _plan(plan: Plan) -> Row:
    return {
        "digest": plan.header.digest,
        "counts": counts(plan.changes),
        "holds": [
            {"id": each.hold_id, "guard": each.guard, "target": each.target, "count": each.count, "reason": each.reason}
            for each in plan.header.holds
        ],
        "writes": {name: each.writes for name, each in plan.header.forecast.items()},
    }
