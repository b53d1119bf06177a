"""Versioned tables: rows are closed and opened, never overwritten. The cost is that of what changed."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from state.session import Session
from state.statements import statement

KEYS: dict[str, tuple[str, ...]] = {
    "raw_account": ("account_key",),
    "raw_group": ("group_key",),
    "raw_membership": ("group_key", "member_key", "nested"),
    "core_link": ("account_key",),
    "core_person_id": ("person_key",),
    "core_person": ("person_key",),
    "core_doubt": ("account_a", "account_b"),
    "core_decided": ("account_a", "account_b"),
    "core_undone": ("account_key", "from_run", "to_run"),
    "target_user": ("user_key",),
    "target_group": ("group_key",),
    "target_membership": ("group_key", "user_key"),
}


def close_rows(session: Session, table: str, gone: pl.DataFrame, run_no: int) -> None:
    """Ends the validity of the rows with the keys in `gone`. A row opened by the same run leaves no trace."""
    if not gone.height:
        return
    keys = KEYS[table]
    with session.lent(closing=gone.select(keys)):
        for name in ("close_rows_keep", "close_rows_delete"):
            text = statement(name).format(table=table, keys=", ".join(keys))
            session.con.execute(text, {"run_no": run_no} if name == "close_rows_keep" else {}).fetchall()


def open_rows(session: Session, table: str, rows: pl.DataFrame, run_no: int) -> None:
    """Adds rows that are valid from this run on; their keys must not be there."""
    session.insert(table, rows.with_columns(valid_from_run=pl.lit(run_no, pl.Int32)))


def replace_rows(session: Session, table: str, rows: pl.DataFrame, run_no: int) -> None:
    """Closes what stands under the keys of `rows` and opens `rows`."""
    close_rows(session, table, rows, run_no)
    open_rows(session, table, rows, run_no)


def differing(
    existing: pl.DataFrame, desired: pl.DataFrame, keys: Sequence[str], columns: Sequence[str]
) -> pl.DataFrame:
    """Rows of `desired` whose key is in `existing` with another value in any of `columns`; absent keys are not compared."""
    if not existing.height or not desired.height:
        return desired.clear()
    old, new = existing.sort(keys), desired.sort(keys)
    if old.height != new.height or not old.select(keys).equals(new.select(keys)):
        new = new.join(old.select(keys), on=list(keys), how="semi", nulls_equal=True).sort(keys)
        old = old.join(new.select(keys), on=list(keys), how="semi", nulls_equal=True).sort(keys)
    if not new.height:
        return new
    changed = pl.zeros(new.height, pl.Boolean, eager=True)
    for name in columns:
        changed |= old[name].ne_missing(new[name])
    return new.filter(changed)


def sync_rows(
    session: Session, table: str, existing: pl.DataFrame, desired: pl.DataFrame, run_no: int
) -> tuple[int, int, int]:
    """Makes the table hold exactly `desired` (same columns as `existing`): rows added, changed, ended."""
    keys = list(KEYS[table])
    fresh = desired.join(existing.select(keys), on=keys, how="anti").sort(keys)
    ended = existing.join(desired.select(keys), on=keys, how="anti")
    moved = differing(existing, desired, keys, [name for name in desired.columns if name not in keys])
    close_rows(session, table, pl.concat([ended.select(keys), moved.select(keys)]), run_no)
    open_rows(session, table, pl.concat([fresh, moved]), run_no)
    return fresh.height, moved.height, ended.height
