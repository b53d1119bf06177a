"""Two outcomes side by side, made from the same accounts by two configurations: what would differ, as plain rows. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from core.desired import Desired
from core.document import Document
from core.frames import PERSON_ATTRIBUTES
from core.names import folded

FIRST = 20  # rows shown in full of what may be many
COMPARED = tuple(name for name in PERSON_ATTRIBUTES if name not in {"active", "status"})
Row = dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """Who is who by one configuration: LINK, PERSON, and what each target should hold."""

    links: pl.DataFrame
    persons: pl.DataFrame
    desired: Mapping[str, Desired]


def config_lines(before: Document, after: Document) -> list[Row]:
    """Every setting that differs, by path, with both values and lines."""
    old, wanted = dict(_leaves(before.data)), dict(_leaves(after.data))
    return [
        {
            "path": path,
            "before": old.get(path),
            "after": wanted.get(path),
            "line_before": before.line(path) if path in old else None,
            "line_after": after.line(path) if path in wanted else None,
        }
        for path in sorted({*old, *wanted})
        if old.get(path) != wanted.get(path) or (path in old) != (path in wanted)
    ]


def _leaves(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for name, each in value.items():
            yield from _leaves(each, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list) and value:
        for place, each in enumerate(value):
            yield from _leaves(each, f"{path}.{place}")
    else:
        yield path, str(value)


def named(persons: pl.DataFrame) -> pl.DataFrame:
    """person_key, person_id and what a human calls the person."""
    return persons.select(
        "person_key", "person_id", name=pl.coalesce("display_name", "user_name", "email", "person_id")
    )


@dataclass(frozen=True)
class Moved:
    """`merge` and `split`: person_key of the one and the list of the others; `appear` and `vanish`: person_key."""

    merge: pl.DataFrame
    split: pl.DataFrame
    appear: pl.DataFrame
    vanish: pl.DataFrame


def moved(before: pl.DataFrame, after: pl.DataFrame) -> Moved:
    """How the persons of two LINK frames over the same accounts differ. Keys of the two sides are never mixed: they only meet in accounts."""
    both = before.select("account_key", old="person_key").join(
        after.select("account_key", wanted="person_key"), on="account_key", how="full", coalesce=True
    )
    shared = both.drop_nulls()
    several = pl.col("others").list.len() > 1
    merge = shared.group_by(person_key="wanted").agg(others=pl.col("old").unique().sort()).filter(several)
    split = shared.group_by(person_key="old").agg(others=pl.col("wanted").unique().sort()).filter(several)
    appear = both.drop_nulls("wanted").join(shared, on="wanted", how="anti").select(person_key="wanted").unique()
    vanish = both.drop_nulls("old").join(shared, on="old", how="anti").select(person_key="old").unique()
    return Moved(*(each.sort("person_key") for each in (merge, split, appear, vanish)))


def moved_rows(change: Moved, before: Outcome, after: Outcome, accounts: pl.DataFrame) -> dict[str, list[Row]]:
    """The same with names and, for merges and splits, the edges that join (by the later) or joined (by the earlier).

    `accounts`: account_key, tenant (a name), native_id.
    """
    old, wanted = named(before.persons), named(after.persons)
    return {
        "merge": _whole(change.merge, one=wanted, others=old, links=after.links, accounts=accounts),
        "split": _whole(change.split, one=old, others=wanted, links=before.links, accounts=accounts),
        "appear": _plain(change.appear.join(wanted, on="person_key", how="left", maintain_order="left")),
        "vanish": _plain(change.vanish.join(old, on="person_key", how="left", maintain_order="left")),
    }


def _plain(rows: pl.DataFrame) -> list[Row]:
    return rows.select("person_id", "name").sort("name", "person_id").to_dicts()


def _whole(
    rows: pl.DataFrame, *, one: pl.DataFrame, others: pl.DataFrame, links: pl.DataFrame, accounts: pl.DataFrame
) -> list[Row]:
    heads = rows.join(one, on="person_key", how="left", maintain_order="left")
    parts = (
        rows.explode("others")
        .join(others, left_on="others", right_on="person_key", how="left", maintain_order="left")
        .group_by("person_key", maintain_order=True)
        .agg(parts=pl.struct("person_id", "name"))
    )
    edges = (
        links.join(rows, on="person_key", how="semi")
        .join(accounts, on="account_key", how="left")
        .sort("tenant", "native_id")
        .group_by("person_key", maintain_order=True)
        .agg(edges=pl.struct("tenant", "native_id", "rule", "evidence"))
    )
    whole = heads.join(parts, on="person_key", how="left").join(edges, on="person_key", how="left")
    return whole.select("person_id", "name", "parts", "edges").sort("name", "person_id").to_dicts()


def kept_rows(after: Outcome, accounts: pl.DataFrame, dropped: Collection[str]) -> Row:
    """Accounts that a key joined which the later side no longer has (`dropped`): only their former link would hold them."""
    rows = after.links.filter(pl.col("rule").is_in(sorted(dropped))).join(accounts, on="account_key", how="left")
    rows = rows.join(named(after.persons), on="person_key", how="left").sort("name", "tenant", "native_id")
    columns = ["person_id", "name", "tenant", "native_id", "rule", "evidence"]
    return {"count": rows.height, "first": rows.select(columns).head(FIRST).to_dicts()}


def attribute_rows(before: pl.DataFrame, after: pl.DataFrame) -> dict[str, Row]:
    """Per attribute that differs for anybody who is a person on both sides: how many, and the first in full."""
    both = _both(before, after, [*COMPARED])
    found: dict[str, Row] = {}
    for name in COMPARED:
        old, wanted = _text(before, name, f"old_{name}"), _text(after, name, f"new_{name}")
        rows = both.select("person_id", "name", before=old, after=wanted).filter(
            pl.col("before").ne_missing(pl.col("after"))
        )
        if rows.height:
            found[name] = {"count": rows.height, "first": rows.sort("name", "person_id").head(FIRST).to_dicts()}
    return found


def _text(frame: pl.DataFrame, name: str, column: str) -> pl.Expr:
    listed = isinstance(frame.schema[name], pl.List)
    return pl.col(column).list.join(", ") if listed else pl.col(column).cast(pl.String)


def _both(before: pl.DataFrame, after: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """person_id, name, and the columns of both sides (`old_…`, `new_…`) of persons that both have."""
    old = before.select("person_id", *(pl.col(name).alias(f"old_{name}") for name in columns))
    wanted = after.select(
        "person_id",
        *(pl.col(name).alias(f"new_{name}") for name in columns),
        name=pl.coalesce("display_name", "user_name", "email", "person_id"),
    )
    return wanted.join(old, on="person_id")


def status_rows(before: pl.DataFrame, after: pl.DataFrame) -> dict[str, list[Row]]:
    """Everyone who would become inactive (`lose`) or active (`gain`), in full, with the reason."""
    both = _both(before, after, ["active", "status_reason"])
    on, was = pl.col("new_active").fill_null(value=True), pl.col("old_active").fill_null(value=True)
    rows = both.with_columns(reason=pl.when(on).then("old_status_reason").otherwise("new_status_reason"))
    shown = rows.filter(on != was).sort("name", "person_id")
    return {
        "lose": shown.filter(~on).select("person_id", "name", "reason").to_dicts(),
        "gain": shown.filter(on).select("person_id", "name", "reason").to_dicts(),
    }


def _people(outcome: Outcome, target: str) -> pl.DataFrame:
    return outcome.desired[target].users.join(named(outcome.persons), on="person_key")


def access_rows(before: Outcome, after: Outcome, target: str, change: Moved) -> dict[str, list[Row]]:
    """Everyone who should have access to the target by one side only, in full. Who merges away or is split off is told as such."""
    columns = ["person_id", "name", "user_name", "reason"]
    old = _people(before, target).filter("active")
    wanted = _people(after, target).filter("active")
    words = _people(after, target).select("person_id", why="reason")
    lost = old.join(wanted, on="person_id", how="anti").join(words, on="person_id", how="left")
    won = wanted.join(old, on="person_id", how="anti")
    gone = named(before.persons).join(named(after.persons), on="person_id", how="anti").select("person_id")
    fresh = named(after.persons).join(named(before.persons), on="person_id", how="anti").select("person_id")
    away = (
        change.merge.explode("others")
        .join(named(before.persons), left_on="others", right_on="person_key")
        .join(gone, on="person_id", how="semi")
        .join(named(after.persons).select("person_key", into="name"), on="person_key")
        .select("person_id", "into")
    )
    off = (
        change.split.explode("others")
        .join(named(after.persons), left_on="others", right_on="person_key")
        .join(fresh, on="person_id", how="semi")
        .join(named(before.persons).select("person_key", source="name"), on="person_key")
        .select("person_id", "source")
    )
    lost = lost.join(away, on="person_id", how="left").with_columns(
        reason=pl.coalesce(
            pl.format("merges into {}", "into"), "why", pl.lit("no tenant in force speaks of the person")
        )
    )
    won = won.join(off, on="person_id", how="left").with_columns(
        reason=pl.coalesce(pl.format("is split off from {}", "source"), "reason")
    )
    return {
        "lose": lost.select(columns).sort("name", "person_id").to_dicts(),
        "gain": won.select(columns).sort("name", "person_id").to_dicts(),
    }


def user_name_rows(before: Outcome, after: Outcome, target: str) -> Row:
    """Persons with access on both sides whose user name should differ: how many, and the first in full."""
    old = _people(before, target).filter("active").select("person_id", before="user_name")
    rows = (
        _people(after, target).filter("active").select("person_id", "name", after="user_name").join(old, on="person_id")
    )
    rows = rows.filter(pl.col("before").ne_missing(pl.col("after"))).sort("name", "person_id")
    return {"count": rows.height, "first": rows.head(FIRST).select("person_id", "name", "before", "after").to_dicts()}


def group_rows(before: Outcome, after: Outcome, target: str) -> list[Row]:
    """Groups whose members or policy should differ, most changed first: members before and after, how many join and leave."""
    old, wanted = _edges(before, target), _edges(after, target)
    keys = ["form", "person_id"]
    joins = wanted.join(old, on=keys, how="anti").group_by("form").agg(joins=pl.len())
    leaves = old.join(wanted, on=keys, how="anti").group_by("form").agg(leaves=pl.len())
    heads = _heads(before, target, old, "before").join(
        _heads(after, target, wanted, "after"), on="form", how="full", coalesce=True
    )
    rows = heads.join(joins, on="form", how="left").join(leaves, on="form", how="left")
    rows = rows.with_columns(pl.col("joins", "leaves").fill_null(0), group=pl.coalesce("group_after", "group_before"))
    differs = (
        (pl.col("joins") + pl.col("leaves") > 0)
        | pl.col("members_before").is_null()
        | pl.col("members_after").is_null()
        | pl.col("policy_before").ne_missing(pl.col("policy_after"))
    )
    shown = rows.filter(differs).sort(pl.col("joins") + pl.col("leaves"), "group", descending=[True, False])
    columns = ["group", "members_before", "members_after", "joins", "leaves", "policy_before", "policy_after"]
    return shown.select(columns).to_dicts()


def _edges(outcome: Outcome, target: str) -> pl.DataFrame:
    desired = outcome.desired[target]
    forms = desired.groups.select("group_no", form=folded(desired.groups.get_column("name")))
    ids = outcome.persons.select("person_key", "person_id")
    return desired.memberships.join(forms, on="group_no").join(ids, on="person_key").select("form", "person_id")


def _heads(outcome: Outcome, target: str, edges: pl.DataFrame, side: str) -> pl.DataFrame:
    groups = outcome.desired[target].groups
    sizes = edges.group_by("form").agg(members=pl.len())
    rows = groups.select("policy", group="name", form=folded(groups.get_column("name"))).join(
        sizes, on="form", how="left"
    )
    return rows.select(
        "form",
        pl.col("group").alias(f"group_{side}"),
        pl.col("members").fill_null(0).alias(f"members_{side}"),
        pl.col("policy").alias(f"policy_{side}"),
    )
