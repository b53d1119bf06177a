"""Rebuilds the picture of tenants from kept extracts in a scratch state, holds it against the live one, and puts it in its place when asked."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from core.errors import RefusedError
from core.frames import LANDED
from core.model import ExtractKind, Manifest, Verdict
from state.consolidate import Consolidated
from state.landing import KEYS, LandingWriter, manifest, manifests, read_part
from state.picture import TenantPicture
from state.store import Store
from tasks.consolidate import names_agree
from tasks.installation import Installation
from tasks.read import REBUILT

Row = dict[str, Any]
SHOWN = 20  # differences of one tenant that are named


@dataclass(frozen=True)
class Rebuilt:
    """One tenant from its chain of extracts: the picture, what became of each extract, and how it differs from the live one.

    `differences`: object, key (native ids), found (only_live, only_rebuilt, differs), columns.
    """

    tenant: str
    chain: tuple[Manifest, ...]
    outcomes: tuple[Consolidated, ...]
    picture: TenantPicture
    differences: pl.DataFrame

    @property
    def document(self) -> Row:
        """For machines."""
        told = self.differences.head(SHOWN).to_dicts()
        return {
            "tenant": self.tenant,
            "extracts": [
                {"id": each.extract_id, "kind": each.kind.value, "outcome": done.outcome, "reason": done.reason}
                for each, done in zip(self.chain, self.outcomes, strict=True)
            ],
            **{f"{name}": self.picture.landed(name).height for name in ("accounts", "groups", "memberships")},
            "differences": self.differences.height,
            "shown": told,
        }


def chains(
    inst: Installation, store: Store, *, extracts: Sequence[str], since: datetime | None, tenants: Sequence[str]
) -> dict[str, tuple[Manifest, ...]]:
    """Which extracts rebuild which tenant. RefusedError where a chain does not begin with a full read, or is not kept whole.

    `extracts`: exactly these, in the order in which they were read. Else of each tenant those that were taken in, from its
    last complete full read before `since` on (UTC; None: the newest).
    """
    if extracts:
        named: dict[str, list[Manifest]] = {}
        for each in (manifest(inst.landing, name) for name in dict.fromkeys(extracts)):
            named.setdefault(each.tenant, []).append(each)
        if strangers := sorted(set(named) - set(tenants)) if tenants else []:
            raise RefusedError(
                f"extracts of {', '.join(strangers)} are named too", remedy="Leave out --tenant, or them"
            )
        found = {name: tuple(sorted(each, key=lambda one: one.started_at)) for name, each in named.items()}
    else:
        chosen = sorted(tenants or inst.config.tenants)
        found = {name: _since(inst, store, name, since) for name in chosen if tenants or store.accepted_extracts(name)}
    for name, chain in found.items():
        if chain[0].kind is not ExtractKind.FULL:
            raise RefusedError(
                f"{chain[0].extract_id} holds only what moved, and nothing before it is named",
                tenant=name,
                remedy="Name the full read before it and what lies between, or use --since",
            )
    return found


def _since(inst: Installation, store: Store, tenant: str, since: datetime | None) -> tuple[Manifest, ...]:
    accepted = store.accepted_extracts(tenant)
    if not accepted:
        raise RefusedError("it was never read", tenant=tenant, remedy="Run `onefold plan`")
    kept = {each.extract_id: each for each in manifests(inst.landing, tenant)}
    starts = [
        place
        for place, name in enumerate(accepted)
        if name in kept and kept[name].kind is ExtractKind.FULL and kept[name].verdict is Verdict.COMPLETE
    ]
    before = [place for place in starts if since is None or kept[accepted[place]].started_at <= since]
    if not starts or (since is not None and not before):
        when = f" before {since:%Y-%m-%d %H:%M} UTC" if since is not None else ""
        raise RefusedError(
            f"no complete full read{when} is kept",
            tenant=tenant,
            remedy="`keep.landing_days` says for how long; use a later --since",
        )
    chain = accepted[before[-1] :]
    if missing := [name for name in chain if name not in kept]:
        raise RefusedError(
            f"{len(missing)} extracts after {chain[0]} are no longer kept, such as {missing[0]}",
            tenant=tenant,
            remedy="Use a later --since",
        )
    return tuple(kept[name] for name in chain)


def rebuild(inst: Installation, store: Store, found: Mapping[str, Sequence[Manifest]]) -> list[Rebuilt]:
    """Consolidates each chain into an empty scratch state and compares. Writes nothing to the live state, which `store` has open."""
    done = []
    with (
        tempfile.TemporaryDirectory(prefix="onefold-backfill-") as folder,
        Store.open(Path(folder), purpose="backfill", now=inst.clock) as scratch,
    ):
        for place, (tenant, chain) in enumerate(sorted(found.items())):
            inst.progress("backfill", place, len(found))
            outcomes = tuple(
                scratch.consolidate(each, partial(read_part, inst.landing, each), "backfill", each.finished_at)
                for each in chain
            )
            picture = scratch.picture(tenant)
            found_now = differences(store.picture(tenant), picture)
            done.append(Rebuilt(tenant, tuple(chain), outcomes, picture, found_now))
    return done


def differences(live: TenantPicture, rebuilt: TenantPicture) -> pl.DataFrame:
    """What differs between two pictures of a tenant: object, key, found, columns; in the order of keys.

    Who went before the chain began is known to the live one alone, and is no difference.
    """
    parts = [
        _differing(name, live.landed(name), rebuilt.landed(name)) for name in ("accounts", "groups", "memberships")
    ]
    return pl.concat(parts)


def _differing(name: str, live: pl.DataFrame, rebuilt: pl.DataFrame) -> pl.DataFrame:
    keys = list(KEYS[name])
    gone = "removed" if name == "memberships" else "tombstone"
    there, then = (frame.filter(~pl.col(gone)) for frame in (live, rebuilt))
    values = [column for column in LANDED[name] if column not in {*keys, gone}]
    both = there.join(then, on=keys, suffix="_then", nulls_equal=True)
    unequal = [pl.when(pl.col(column).ne_missing(pl.col(f"{column}_then"))).then(pl.lit(column)) for column in values]
    columns = pl.concat_list(unequal).list.drop_nulls() if unequal else pl.lit([], dtype=pl.List(pl.String))
    shape = {"object": pl.String(), "key": pl.String(), "found": pl.String(), "columns": pl.List(pl.String())}
    key = pl.concat_str(keys, separator=" / ", ignore_nulls=True)
    nothing = pl.lit([], dtype=pl.List(pl.String))
    rows = [
        both.select(key=key, found=pl.lit("differs"), columns=columns).filter(pl.col("columns").list.len() > 0),
        there.join(then, on=keys, how="anti", nulls_equal=True).select(
            key=key, found=pl.lit("only_live"), columns=nothing
        ),
        then.join(there, on=keys, how="anti", nulls_equal=True).select(
            key=key, found=pl.lit("only_rebuilt"), columns=nothing
        ),
    ]
    return pl.concat(rows).select(pl.lit(name).alias("object"), *list(shape)[1:]).cast(shape).sort("key", "found")  # type: ignore[arg-type]  # a schema by name


def swap(inst: Installation, store: Store, run_id: str, rebuilt: Rebuilt) -> Consolidated:
    """Makes the live picture of a tenant what was rebuilt: landed as one full read, with history, under the same account keys.

    RefusedError when the tenant was read later than the chain ends: its next read is better than its past.
    """
    names_agree(inst, store)
    newest = store.newest_extracts().get(rebuilt.tenant)
    last = rebuilt.chain[-1]
    if newest is not None and newest.started_at > last.started_at:
        raise RefusedError(
            f"{newest.extract_id} was read after the last of these extracts, {last.extract_id}",
            tenant=rebuilt.tenant,
            remedy="Use --since, which goes up to now, or read the tenant anew with `onefold plan --full`",
        )
    picture = rebuilt.picture
    extract_id = f"{rebuilt.tenant}-{run_id}{REBUILT}"
    writer = LandingWriter(inst.landing, rebuilt.tenant, extract_id)
    for name in ("accounts", "groups", "memberships"):
        writer.write(name, picture.landed(name))
    whole = Manifest(
        extract_id=extract_id,
        tenant=rebuilt.tenant,
        kind=ExtractKind.FULL,
        cursor_before=None,
        cursor_after=last.cursor_after,
        started_at=last.started_at,
        finished_at=last.finished_at,
        accounts=picture.accounts.height,
        groups=picture.groups.height,
        memberships=picture.memberships.height,
        rejected=0,
        claimed={},
        parts=tuple(writer.parts),
        verdict=Verdict.COMPLETE,
        reasons=(f"rebuilt from {len(rebuilt.chain)} extracts",),
        config_digest=inst.config.digest,
        knows_all=last.knows_all,
    )
    writer.commit(whole)
    return store.consolidate(whole, partial(read_part, inst.landing, whole), run_id, inst.clock())
