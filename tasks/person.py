"""One person, now: whom a word means, and reading tenants and targets for that person alone. Planning is in `planning`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import polars as pl

from connectors.target import RemoteUser
from core.adopt import follow
from core.errors import OnefoldError
from core.model import Manifest, Verdict
from state.shadow import OBSERVED_GROUP, OBSERVED_MEMBERSHIP
from state.snapshot import Snapshot
from state.store import Store
from tasks.installation import Installation
from tasks.observe import Seen, observe, user_frame
from tasks.planning import heir
from tasks.read import read_accounts
from tasks.who import the_one


def whom(inst: Installation, who: str) -> str:
    """The person_id that WHO means in the newest snapshot. ConfigError when it means nobody, or several, whom it lists."""
    with Snapshot.open(inst.state) as snapshot:
        return str(the_one(snapshot, who)["person_id"])


@dataclass(frozen=True)
class Read:
    """What was read of one person: extracts of single accounts, and per tenant a word on what the plan rests on."""

    extracts: tuple[Manifest, ...]
    notes: tuple[str, ...]


def read_person(inst: Installation, person_id: str, tenants: Iterable[str], *, frozen: frozenset[str]) -> Read:
    """Reads the person's accounts anew where the tenant can read one; elsewhere the newest extract is used, and said so."""
    with Snapshot.open(inst.state) as snapshot:
        found = snapshot.ask("person_accounts", {"person_id": person_id})
        newest = snapshot.newest_extracts()
    extracts: list[Manifest] = []
    notes: list[str] = []
    chosen = set(tenants) & set(inst.config.tenants)
    for (tenant,), rows in found.sort("tenant", "native_id").group_by(["tenant"], maintain_order=True):
        name = str(tenant)
        kept = newest.get(name)
        age = f"its extract of {kept.finished_at:%Y-%m-%d %H:%M} UTC is used" if kept else "it was never read"
        if name not in chosen or name in frozen:
            notes.append(f"{name} was not read ({'frozen' if name in frozen else 'not asked for'}); {age}")
            continue
        manifest = read_accounts(inst, name, rows.get_column("native_id").to_list())
        if manifest is None:
            notes.append(f"{name} cannot be read for one person; {age}")
            continue
        extracts.append(manifest)
        if manifest.verdict is Verdict.FAILED:
            notes.append(f"{name} could not be read ({'; '.join(manifest.reasons)}); {age}")
        else:
            doubts = f": {'; '.join(manifest.reasons)}" if manifest.reasons else ""
            notes.append(f"{name}: {manifest.accounts} of {rows.height} accounts were read anew for this plan{doubts}")
    return Read(tuple(extracts), tuple(notes))


def look(inst: Installation, run_id: str, person_id: str, *, frozen: frozenset[str]) -> tuple[Seen, ...]:
    """Reads the person's users anew in every target that is not frozen. A target of which nothing is known yet is read whole."""
    with Store.open(inst.state, purpose="observe", now=inst.clock) as store:
        users = owned_users(inst, store, heir(store, person_id))
        blank = [name for name in inst.config.targets if store.existing(name).users.is_empty()]
        fresh = [name for name in blank if store.first_contact(name)]
    seen = list(observe(inst, run_id)) if fresh else []
    for name, remote_ids in users.items():
        if name in frozen:
            continue
        try:
            seen.append(_look(inst, run_id, name, remote_ids))
        except OnefoldError as error:
            seen.append(Seen(name, problem=str(error)))
    return tuple(seen)


def owned_users(inst: Installation, store: Store, person_id: str) -> dict[str, list[str]]:
    """Per target the remote ids of users that are this person's, also those of persons who merged into it."""
    persons, ids, links = store.persons(), store.person_ids(), store.links()
    key = persons.filter(pl.col("person_id") == person_id).select("person_key")
    found = {}
    for name in sorted(inst.config.targets):
        existing = follow(store.existing(name), persons, ids, links)
        mine = existing.users.filter("present").join(key, on="person_key", how="semi")
        if mine.height:
            found[name] = mine.get_column("remote_id").to_list()
    return found


def _look(inst: Installation, run_id: str, name: str, remote_ids: list[str]) -> Seen:
    found = live_users(inst, name, remote_ids)
    there = [each for each in found.values() if each is not None]
    target = inst.target(name)
    try:
        able = target.capabilities()
    finally:
        target.close()
    none = pl.DataFrame(schema=OBSERVED_GROUP), pl.DataFrame(schema=OBSERVED_MEMBERSHIP)
    with Store.open(inst.state, purpose="observe", now=inst.clock) as store:
        store.observe(name, user_frame(there, able), *none, complete=False, run_id=run_id, now=inst.clock())
    return Seen(name, len(there))


def live_users(inst: Installation, name: str, remote_ids: Sequence[str]) -> dict[str, RemoteUser | None]:
    """Users of a target as it shows them right now, by remote id; None for one that it does not have."""
    target = inst.target(name)
    try:
        return {each: target.user(remote_id=each) for each in remote_ids}
    finally:
        target.close()
