"""The shadow: what we believe a target holds, per object read (`observed_at`) or written (`written_at`). Never observed is not absent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from core.errors import RefusedError
from core.existing import Existing
from core.frames import (
    EXISTING_GROUP,
    EXISTING_MEMBERSHIP,
    EXISTING_USER,
    GROUP_MEMORY,
    KNOWN,
    PUSHED,
    TIME,
    conform,
)
from state.history import KEYS, close_rows, differing, open_rows, replace_rows
from state.session import Session

OBSERVED_USER: dict[str, pl.DataType] = {
    "remote_id": pl.String(),
    **{name: pl.String() for name in PUSHED},
    "active": pl.Boolean(),  # null: the answer did not say
    "known": pl.UInt32(),  # attributes that the answer contained
    "protected": pl.String(),  # why nobody may touch it
}
OBSERVED_GROUP: dict[str, pl.DataType] = {
    "remote_id": pl.String(),
    "name": pl.String(),
    "grants_admin": pl.Boolean(),
    "implicit": pl.Boolean(),
    "members_complete": pl.Boolean(),  # its edges are among those observed, all of them
}
OBSERVED_MEMBERSHIP: dict[str, pl.DataType] = {"group_id": pl.String(), "user_id": pl.String()}
STAMPS: dict[str, pl.DataType] = {"target_key": pl.Int16(), "observed_at": TIME, "written_at": TIME}
USER_ROW = {**EXISTING_USER, "protected": pl.String(), **STAMPS}
GROUP_ROW = {**EXISTING_GROUP, "grants_admin": pl.Boolean(), "implicit": pl.Boolean(), **STAMPS}
MEMBERSHIP_ROW = {**EXISTING_MEMBERSHIP, "target_key": pl.Int16()}


@dataclass(frozen=True, slots=True)
class Kind:
    """Users or groups: the table (its counter has the same name), its key and its columns."""

    table: str
    key: str
    schema: dict[str, pl.DataType]


USERS = Kind("target_user", "user_key", USER_ROW)
GROUPS = Kind("target_group", "group_key", GROUP_ROW)


@dataclass(frozen=True, slots=True)
class Observed:
    """What a reading changed in the shadow; `strays` counts edges of users or groups that the target did not show."""

    users_added: int = 0
    users_changed: int = 0
    users_vanished: int = 0
    groups_added: int = 0
    groups_vanished: int = 0
    edges_added: int = 0
    edges_removed: int = 0
    strays: int = 0


def target_key(session: Session, target: str) -> int:
    """The target's number; a new one is given when the name is new."""
    if found := session.rows("target_by_name", {"name": target}):
        return int(str(found[0][0]))
    with session.transaction():
        number = session.take("target", 1)
        session.insert("target", pl.DataFrame({"target_key": [number], "name": [target]}))
    return number


def first_contact(session: Session, target: str) -> bool:
    """True until an adoption plan was applied there."""
    found = session.rows("target_by_name", {"name": target})
    return not found or found[0][1] is None


def mark_adopted(session: Session, target: str, run_id: str, now: datetime) -> None:
    """Ends first contact."""
    number = target_key(session, target)
    with session.transaction():
        session.run("target_adopt", {"target_key": number, "run_id": run_id, "now": now})


def rows_of(session: Session, table: str, number: int, schema: dict[str, pl.DataType]) -> pl.DataFrame:
    """All rows of one shadow table for one target, without validity, sorted by key."""
    return session.frame(f"{table}_rows", {"target_key": number}, schema).sort(KEYS[table])


def existing(session: Session, target: str) -> Existing:
    """The shadow of one target; empty when it was never observed."""
    number = target_key(session, target)
    users = rows_of(session, "target_user", number, USER_ROW)
    groups = rows_of(session, "target_group", number, GROUP_ROW)
    return Existing(
        users.select(list(EXISTING_USER)),
        groups.select(list(EXISTING_GROUP)),
        rows_of(session, "target_membership", number, EXISTING_MEMBERSHIP),
        users.filter(pl.col("protected").is_not_null()).select("user_key", "protected"),
        groups.select("group_key", pl.col("grants_admin").fill_null(False), pl.col("implicit").fill_null(False)),
    )


def observe(
    session: Session,
    target: str,
    users: pl.DataFrame,
    groups: pl.DataFrame,
    edges: pl.DataFrame,
    *,
    complete: bool,
    run_id: str,
    now: datetime,
) -> Observed:
    """Merges a reading. `complete`: all users and groups are in it, so that unseen ones are no longer present.

    Attributes that an answer did not contain keep what was read or written before. Edges of a group are replaced when
    `members_complete` says so (left out: when `complete`), else added. Raises RefusedError on two rows with one remote id.
    """
    if "known" not in users.columns:
        bits = sum(KNOWN[name] for name in PUSHED if name in users.columns)
        users = users.with_columns(known=pl.lit(bits, pl.UInt32))
    if "members_complete" not in groups.columns:
        groups = groups.with_columns(members_complete=pl.lit(complete))
    for what, frame in (("users", users), ("groups", groups)):
        if frame["remote_id"].n_unique() != frame.height:
            raise RefusedError(f"two {what} with one remote id", target=target, remedy="Read the target again")
    number = target_key(session, target)
    with session.transaction():
        run_no = session.run_no(run_id, now)
        seen_users = _observe_users(session, number, conform(users, OBSERVED_USER), run_no, now, complete=complete)
        seen_groups = conform(groups, OBSERVED_GROUP).with_columns(pl.col("members_complete").fill_null(False))
        moved_groups = _observe_groups(session, number, seen_groups, run_no, now, complete=complete)
        moved_edges = _observe_edges(session, number, conform(edges, OBSERVED_MEMBERSHIP), seen_groups, run_no)
        if complete:
            session.run("target_listed", {"target_key": number, "now": now})
    return Observed(*seen_users, *moved_groups, *moved_edges)


def _observe_users(
    session: Session, number: int, seen: pl.DataFrame, run_no: int, now: datetime, *, complete: bool
) -> tuple[int, int, int]:
    held = rows_of(session, "target_user", number, USER_ROW)
    both = seen.join(held, on="remote_id", how="left", suffix="_held")
    contained = pl.col("known").fill_null(0)
    both = both.with_columns(
        *(
            pl.when((contained & pl.lit(bit, pl.UInt32)) == 0)
            .then(pl.col(f"{name}_held"))
            .otherwise(pl.col(name))
            .alias(name)
            for name, bit in KNOWN.items()
        ),
        active=pl.coalesce("active", "active_held"),
        known=contained | pl.col("known_held").fill_null(0),
        owned=pl.col("owned").fill_null(False),
        present=pl.lit(True),
        target_key=pl.lit(number, pl.Int16),
        observed_at=pl.lit(now, TIME),
    )
    return _store(session, USERS, held, both, run_no, complete=complete)


def _observe_groups(
    session: Session, number: int, seen: pl.DataFrame, run_no: int, now: datetime, *, complete: bool
) -> tuple[int, int]:
    held = rows_of(session, "target_group", number, GROUP_ROW)
    both = seen.join(held, on="remote_id", how="left", suffix="_held").with_columns(
        owned=pl.col("owned").fill_null(False),
        present=pl.lit(True),
        grants_admin=pl.coalesce("grants_admin", "grants_admin_held"),
        implicit=pl.coalesce("implicit", "implicit_held"),
        target_key=pl.lit(number, pl.Int16),
        observed_at=pl.lit(now, TIME),
    )
    added, _changed, vanished = _store(session, GROUPS, held, both, run_no, complete=complete)
    return added, vanished


def number_rows(session: Session, kind: Kind, rows: pl.DataFrame, run_no: int) -> int:
    """Opens rows of objects never met before under fresh keys, in the order of their remote ids; returns how many."""
    if rows.height:
        first = session.take(kind.table, rows.height)
        keys = pl.int_range(first, first + rows.height, dtype=pl.Int32, eager=True)
        numbered = rows.sort("remote_id").with_columns(keys.alias(kind.key))
        open_rows(session, kind.table, conform(numbered, kind.schema), run_no)
    return rows.height


def _store(
    session: Session, kind: Kind, held: pl.DataFrame, seen: pl.DataFrame, run_no: int, *, complete: bool
) -> tuple[int, int, int]:
    """Writes what differs: rows added, changed, and no longer present. Times of observation move without history."""
    table, key, schema = kind.table, kind.key, kind.schema
    fresh = number_rows(session, kind, seen.filter(pl.col(key).is_null()), run_no)
    known = conform(seen.filter(pl.col(key).is_not_null()), schema)
    unstamped = [name for name in schema if name not in {key, *STAMPS}]
    moved = differing(held, known, [key], unstamped)
    replace_rows(session, table, moved, run_no)
    vanished = held.clear()
    if complete:
        vanished = held.filter("present").join(known.select(key), on=key, how="anti")
        replace_rows(session, table, vanished.with_columns(present=pl.lit(False)), run_no)
    same = known.select(key, "observed_at").join(moved.select(key), on=key, how="anti")
    if same.height:
        with session.lent(seen=same):
            session.run(f"{table}_seen")
    return fresh, moved.height, vanished.height


def _observe_edges(
    session: Session, number: int, seen: pl.DataFrame, groups: pl.DataFrame, run_no: int
) -> tuple[int, int, int]:
    held = rows_of(session, "target_membership", number, MEMBERSHIP_ROW)
    user_keys = session.frame("target_user_keys", {"target_key": number})
    group_keys = session.frame("target_group_keys", {"target_key": number})
    ends = (
        seen.unique()
        .join(group_keys.select(group_id="remote_id", group_key="group_key"), on="group_id", how="left")
        .join(user_keys.select(user_id="remote_id", user_key="user_key"), on="user_id", how="left")
    )
    sound = ends.filter(pl.col("group_key").is_not_null() & pl.col("user_key").is_not_null())
    keys = list(KEYS["target_membership"])
    fresh = sound.select(keys).join(held.select(keys), on=keys, how="anti").sort(keys)
    listed = group_keys.join(groups.filter("members_complete").select("remote_id"), on="remote_id", how="semi")
    gone = held.join(listed, on="group_key", how="semi").join(sound.select(keys), on=keys, how="anti")
    close_rows(session, "target_membership", gone, run_no)
    rows = fresh.with_columns(owned=pl.lit(False), target_key=pl.lit(number, pl.Int16))
    open_rows(session, "target_membership", conform(rows, MEMBERSHIP_ROW), run_no)
    return fresh.height, gone.height, ends.height - sound.height


def group_memory(session: Session, target: str) -> pl.DataFrame:
    """GROUP_MEMORY: of which groups of tenants each group of the target was last made, by its folded name."""
    return session.frame("target_group_source_rows", {"target": target}, GROUP_MEMORY).sort("form", "group_key")


def remember_groups(session: Session, target: str, memory: pl.DataFrame) -> None:
    """Makes the state hold exactly this GROUP_MEMORY of the target; writes only when it differs."""
    if group_memory(session, target).equals(memory):
        return
    number = target_key(session, target)
    with session.transaction():
        session.run("target_group_source_forget", {"target_key": number})
        session.insert("target_group_source", memory.with_columns(target_key=pl.lit(number, pl.Int16)))
