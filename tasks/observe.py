"""Reads what a target holds into the shadow: at first contact and when asked to, never on an ordinary sync."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import polars as pl

from connectors.target import Capabilities, RemoteGroup, RemoteUser, Target
from core.errors import OnefoldError
from core.frames import KNOWN, PUSHED
from state.store import Store
from tasks.installation import Installation
from tasks.settle import settle

AT_ONCE = 8  # groups whose members are read side by side; below the ten connections a host gets


@dataclass(frozen=True, slots=True)
class Seen:
    """One reading of a target; `problem` says why there was none."""

    target: str
    users: int = 0
    groups: int = 0
    memberships: int = 0
    problem: str | None = None


def observe(inst: Installation, run_id: str, again: Iterable[str] = ()) -> tuple[Seen, ...]:
    """Reads targets that were never adopted, and those named in `again`. A target that does not answer is told, not raised.

    Calls that an earlier run left without an answer are settled first, so that the plan starts from what is true.
    """
    seen = []
    with Store.open(inst.state, purpose="observe", now=inst.clock) as store:
        wanted = {name for name in inst.config.targets if store.first_contact(name)} | set(again)
        for name in sorted({each.intent.target for each in store.ledger.open_intents()} & set(inst.config.targets)):
            try:
                target = inst.target(name)
                try:
                    settle(store, run_id, target, name, inst.clock())
                finally:
                    target.close()
            except OnefoldError as error:
                seen.append(Seen(name, problem=str(error)))
    for name in sorted(wanted):
        try:
            seen.append(_observe(inst, run_id, name))
        except OnefoldError as error:
            seen.append(Seen(name, problem=str(error)))
    return tuple(seen)


def _observe(inst: Installation, run_id: str, name: str) -> Seen:
    target = inst.target(name)
    try:
        able = target.capabilities()
        users = _users(inst, name, target)
        groups = [group for page in target.groups() for group in page.groups]
        edges = _edges(inst, name, target, groups)
    finally:
        target.close()
    frames = user_frame(users, able), group_frame(groups), edge_frame(edges)
    with Store.open(inst.state, purpose="observe", now=inst.clock) as store:
        store.observe(name, *frames, complete=able.complete_listing, run_id=run_id, now=inst.clock())
    return Seen(name, len(users), len(groups), len(edges))


def _users(inst: Installation, name: str, target: Target) -> list[RemoteUser]:
    found: list[RemoteUser] = []
    for page in target.users():
        found += page.users
        inst.progress(f"read users of {name}", len(found), page.total)
    return found


def _edges(inst: Installation, name: str, target: Target, groups: Sequence[RemoteGroup]) -> list[tuple[str, str]]:
    def members(group: RemoteGroup) -> list[tuple[str, str]]:
        return [(group.remote_id, member) for page in target.members(group) for member in page.members]

    edges: list[tuple[str, str]] = []
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="observe") as pool:
        for place, found in enumerate(pool.map(members, groups)):
            edges += found
            inst.progress(f"read groups of {name}", place + 1, len(groups))
    return edges


def user_frame(users: Sequence[RemoteUser], able: Capabilities) -> pl.DataFrame:
    """OBSERVED_USER rows: remote_id, the PUSHED attributes, active, known (bits of what the answer contained), protected."""
    columns: dict[str, list[object]] = {name: [user.values.get(name) for user in users] for name in PUSHED}
    schema = {
        "remote_id": pl.String(),
        **{name: pl.String() for name in PUSHED},
        "active": pl.Boolean(),
        "known": pl.UInt32(),
        "protected": pl.String(),
    }
    unreadable = set(able.unreadable)
    return pl.DataFrame(
        {
            "remote_id": [user.remote_id for user in users],
            **columns,
            "active": [user.active for user in users],
            "known": [sum(KNOWN[name] for name in user.values if name not in unreadable) for user in users],
            "protected": [user.protected for user in users],
        },
        schema=schema,
    )


def group_frame(groups: Sequence[RemoteGroup]) -> pl.DataFrame:
    """OBSERVED_GROUP rows: remote_id, name, grants_admin, implicit."""
    return pl.DataFrame(
        {
            "remote_id": [group.remote_id for group in groups],
            "name": [group.name for group in groups],
            "grants_admin": [group.grants_admin for group in groups],
            "implicit": [group.implicit for group in groups],
        },
        schema={"remote_id": pl.String(), "name": pl.String(), "grants_admin": pl.Boolean(), "implicit": pl.Boolean()},
    )


def edge_frame(edges: Sequence[tuple[str, str]]) -> pl.DataFrame:
    """OBSERVED_MEMBERSHIP rows: group_id, user_id (remote ids)."""
    return pl.DataFrame(edges, schema={"group_id": pl.String(), "user_id": pl.String()}, orient="row")
