"""The ledger's receipts become knowledge in the shadow, each exactly once: rows and the receipt number commit together."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from core.errors import RefusedError
from core.frames import KNOWN, PUSHED, conform
from core.model import Outcome, Verb
from state.history import KEYS, close_rows, replace_rows
from state.ledger import Ledger
from state.session import Session
from state.shadow import (
    GROUP_ROW,
    GROUPS,
    MEMBERSHIP_ROW,
    USER_ROW,
    USERS,
    Kind,
    number_rows,
    rows_of,
    target_key,
)

WATERMARK = "ledger_absorbed"
DONE = [Outcome.APPLIED.value, Outcome.ALREADY.value]
USER = [
    verb.value
    for verb in (
        Verb.ADOPT_USER,
        Verb.CREATE_USER,
        Verb.UPDATE_USER,
        Verb.RENAME_USER,
        Verb.DEACTIVATE_USER,
        Verb.REACTIVATE_USER,
        Verb.DELETE_USER,
    )
]
GROUP = [verb.value for verb in (Verb.ADOPT_GROUP, Verb.CREATE_GROUP, Verb.DELETE_GROUP)]
EDGE = [verb.value for verb in (Verb.ADD_MEMBER, Verb.REMOVE_MEMBER)]


def absorb(session: Session, ledger: Ledger, run_id: str | None = None, now: datetime | None = None) -> int:
    """Takes in receipts that the shadow does not hold yet, in their order; returns how many. Again: nothing.

    RefusedError when the ledger is older than the state: its numbers would begin anew and be taken for known ones.
    Without `run_id` and `now` the history names the run and the time of the newest of these receipts.
    """
    before = int(session.get(WATERMARK) or 0)
    newest_receipt = ledger.newest_receipt()
    if newest_receipt < before:
        raise RefusedError(
            f"the ledger ends at receipt {newest_receipt}, but the state holds receipts up to {before}: it is not its ledger",
            remedy="Restore ledger.sqlite and state.duckdb from one backup",
        )
    if newest_receipt == before:
        return 0
    answers, values = ledger.answered_after(before)
    with session.transaction():
        newest = answers.row(-1, named=True)
        run_no = session.run_no(run_id or newest["run_id"], now or newest["received_at"])
        session.insert("ledger_change", answers)
        session.insert("ledger_value", values)
        done = answers.filter(pl.col("outcome").is_in(DONE))
        for name in sorted(done["target"].unique()):
            mine = done.filter(pl.col("target") == name)
            number = target_key(session, name)
            _users(session, number, mine.filter(pl.col("verb").is_in(USER)), values, run_no)
            _groups(session, number, mine.filter(pl.col("verb").is_in(GROUP)), values, run_no)
            _edges(session, number, mine.filter(pl.col("verb").is_in([*EDGE, Verb.DELETE_GROUP.value])), run_no)
        session.put(WATERMARK, str(answers["receipt_no"].max()))
    return answers.height


def _last(column: str, *verbs: Verb) -> pl.Expr:
    """The column's last value among rows of these verbs; null when there is none."""
    return pl.col(column).filter(pl.col("verb").is_in([verb.value for verb in verbs])).last()


def _users(session: Session, number: int, rows: pl.DataFrame, values: pl.DataFrame, run_no: int) -> None:
    if not rows.height:
        return
    held = rows_of(session, "target_user", number, USER_ROW)
    by_key = held.select("user_key", key_id="remote_id")
    adopted = pl.when(pl.col("verb") == Verb.ADOPT_USER.value).then(pl.col("object_id"))
    rows = (
        rows.join(by_key, on="user_key", how="left", maintain_order="left")
        .with_columns(remote_id=pl.coalesce("remote_id", "key_id", adopted))
        .filter(pl.col("remote_id").is_not_null())
    )
    alive = pl.when(pl.col("verb").is_in([Verb.CREATE_USER.value, Verb.REACTIVATE_USER.value])).then(True)
    active = alive.when(pl.col("verb") == Verb.DEACTIVATE_USER.value).then(False)
    deleted = pl.when(pl.col("verb") == Verb.DELETE_USER.value).then(False)
    there = deleted.when(pl.col("verb") != Verb.ADOPT_USER.value).then(True)
    facts = rows.group_by("remote_id", maintain_order=True).agg(
        active.drop_nulls().last().alias("is_active"),
        there.drop_nulls().last().alias("is_there"),
        pl.col("verb").is_in([Verb.CREATE_USER.value, Verb.ADOPT_USER.value]).any().alias("taken"),
        _last("person_key", Verb.CREATE_USER, Verb.ADOPT_USER).alias("whose"),
        pl.col("received_at").filter(pl.col("verb") != Verb.ADOPT_USER.value).last().alias("written"),
    )
    written = _written(rows, values)
    both = facts.join(held, on="remote_id", how="left").join(written, on="remote_id", how="left")
    both = both.with_columns(
        *(
            pl.when((pl.col("said").fill_null(0) & pl.lit(bit, pl.UInt32)) == 0)
            .then(pl.col(name))
            .otherwise(pl.col(f"new_{name}"))
            .alias(name)
            for name, bit in KNOWN.items()
        ),
        active=pl.coalesce("is_active", "active"),
        known=pl.col("known").fill_null(0) | pl.col("said").fill_null(0),
        owned=pl.col("owned").fill_null(False) | pl.col("taken"),
        person_key=pl.coalesce("whose", "person_key"),
        present=pl.coalesce("is_there", "present", pl.lit(True)),
        target_key=pl.lit(number, pl.Int16),
        written_at=pl.coalesce("written", "written_at"),
    )
    _put(session, USERS, both, run_no)
    made = rows.filter(pl.col("verb") == Verb.CREATE_USER.value).select("remote_id").unique()
    _join_default_groups(session, number, made, run_no)
    dead = both.filter(~pl.col("present") & pl.col("user_key").is_not_null()).select("user_key")
    edges = rows_of(session, "target_membership", number, MEMBERSHIP_ROW)
    close_rows(session, "target_membership", edges.join(dead, on="user_key", how="semi"), run_no)


def _join_default_groups(session: Session, number: int, made: pl.DataFrame, run_no: int) -> None:
    """The target itself puts a user it creates into its default groups; such an edge is there and is not ours."""
    implicit = rows_of(session, "target_group", number, GROUP_ROW).filter("implicit", "present").select("group_key")
    if implicit.is_empty() or made.is_empty():
        return
    users = session.frame("target_user_keys", {"target_key": number}).join(made, on="remote_id", how="semi")
    held = rows_of(session, "target_membership", number, MEMBERSHIP_ROW)
    keys = list(KEYS["target_membership"])
    fresh = implicit.join(users.select("user_key"), how="cross").join(held.select(keys), on=keys, how="anti")
    edges = fresh.with_columns(owned=pl.lit(False), target_key=pl.lit(number, pl.Int16)).sort(keys)
    replace_rows(session, "target_membership", conform(edges, MEMBERSHIP_ROW), run_no)


def _written(rows: pl.DataFrame, values: pl.DataFrame) -> pl.DataFrame:
    """Per remote_id: `new_<attribute>`, the value written last, and `said`, the bits of attributes written."""
    wanted = [Verb.CREATE_USER.value, Verb.UPDATE_USER.value, Verb.RENAME_USER.value]
    long = (
        rows.filter(pl.col("verb").is_in(wanted))
        .select("receipt_no", "intent_id", "remote_id")
        .join(values.filter(pl.col("attribute").is_in(list(PUSHED))), on="intent_id")
        .sort("receipt_no", "attribute")
        .group_by("remote_id", "attribute", maintain_order=True)
        .agg(pl.col("after").last())
    )
    return long.group_by("remote_id").agg(
        *(pl.col("after").filter(pl.col("attribute") == name).last().alias(f"new_{name}") for name in PUSHED),
        pl.col("attribute").replace_strict(KNOWN, return_dtype=pl.UInt32).sum().cast(pl.UInt32).alias("said"),
    )


def _groups(session: Session, number: int, rows: pl.DataFrame, values: pl.DataFrame, run_no: int) -> None:
    if not rows.height:
        return
    held = rows_of(session, "target_group", number, GROUP_ROW)
    by_name = held.sort("present").select(pl.col("name").str.to_lowercase().alias("folded"), name_id="remote_id")
    rows = (
        rows.with_columns(folded=pl.col("group_name").str.to_lowercase())
        .join(
            by_name.unique("folded", keep="last", maintain_order=True), on="folded", how="left", maintain_order="left"
        )
        .with_columns(remote_id=pl.coalesce("remote_id", "name_id", "object_id"))
    )
    there = pl.when(pl.col("verb") == Verb.DELETE_GROUP.value).then(False).otherwise(True)
    facts = rows.group_by("remote_id", maintain_order=True).agg(
        there.last().alias("is_there"),
        pl.col("verb").is_in([Verb.CREATE_GROUP.value, Verb.ADOPT_GROUP.value]).any().alias("taken"),
        pl.col("group_name").last().alias("called"),
        pl.col("received_at").filter(pl.col("verb") != Verb.ADOPT_GROUP.value).last().alias("written"),
    )
    both = facts.join(held, on="remote_id", how="left").with_columns(
        name=pl.coalesce("name", "called"),
        owned=pl.col("owned").fill_null(False) | pl.col("taken"),
        present=pl.col("is_there"),
        target_key=pl.lit(number, pl.Int16),
        written_at=pl.coalesce("written", "written_at"),
    )
    _put(session, GROUPS, both, run_no)
    exact = values.filter((pl.col("attribute") == "policy") & (pl.col("after") == "exact"))
    adopted = rows.filter(pl.col("verb") == Verb.ADOPT_GROUP.value).join(exact, on="intent_id", how="semi")
    _own_edges(session, number, both.join(adopted.select("remote_id"), on="remote_id", how="semi"), run_no)


def _own_edges(session: Session, number: int, groups: pl.DataFrame, run_no: int) -> None:
    """Every edge of an adopted exact group is ours from now on."""
    edges = rows_of(session, "target_membership", number, MEMBERSHIP_ROW).filter(~pl.col("owned"))
    ours = edges.join(groups.select("group_key"), on="group_key", how="semi").with_columns(owned=pl.lit(True))
    replace_rows(session, "target_membership", ours, run_no)


def _edges(session: Session, number: int, rows: pl.DataFrame, run_no: int) -> None:
    """Edges added are ours, edges removed are gone; of a deleted group all."""
    if not rows.height:
        return
    users = session.frame("target_user_keys", {"target_key": number}).select("remote_id", found_key="user_key")
    groups = session.frame("target_group_keys", {"target_key": number})
    groups = (
        groups.with_columns(folded=pl.col("name").str.to_lowercase())
        .sort("present")
        .unique("folded", keep="last", maintain_order=True)
        .select("folded", "group_key")
    )
    ends = (
        rows.with_columns(folded=pl.col("group_name").str.to_lowercase())
        .join(groups, on="folded", how="left", maintain_order="left")
        .join(users, on="remote_id", how="left", maintain_order="left")
        .with_columns(user_key=pl.coalesce("user_key", "found_key"))
    )
    held = rows_of(session, "target_membership", number, MEMBERSHIP_ROW)
    keys = list(KEYS["target_membership"])
    deleted = ends.filter(pl.col("verb") == Verb.DELETE_GROUP.value).select("group_key").drop_nulls()
    last = (
        ends.filter(pl.col("verb").is_in(EDGE) & pl.col("group_key").is_not_null() & pl.col("user_key").is_not_null())
        .group_by(keys, maintain_order=True)
        .agg(pl.col("verb").last())
    )
    gone = last.filter(pl.col("verb") == Verb.REMOVE_MEMBER.value).select(keys)
    gone = pl.concat([gone, held.join(deleted, on="group_key", how="semi").select(keys)]).unique()
    close_rows(session, "target_membership", held.join(gone, on=keys, how="semi"), run_no)
    added = last.filter(pl.col("verb") == Verb.ADD_MEMBER.value).select(keys).join(deleted, on="group_key", how="anti")
    added = added.join(held.filter("owned").select(keys), on=keys, how="anti")
    rows = added.with_columns(owned=pl.lit(True), target_key=pl.lit(number, pl.Int16)).sort(keys)
    replace_rows(session, "target_membership", conform(rows, MEMBERSHIP_ROW), run_no)


def _put(session: Session, kind: Kind, rows: pl.DataFrame, run_no: int) -> None:
    """Replaces rows that have a key and numbers those that have none."""
    replace_rows(session, kind.table, conform(rows.filter(pl.col(kind.key).is_not_null()), kind.schema), run_no)
    number_rows(session, kind, rows.filter(pl.col(kind.key).is_null()), run_no)
