"""Groups of tenants that are called otherwise than before: recognised by their ids, never by their names.

No target renames groups by its API (atlassian-targets.md, section 0). What has permissions there keeps its name and its
members; or, where the rule says `rename: move`, a new group is made and members leave the old one once they are in the new.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import polars as pl

from core.config import Config
from core.existing import Existing
from core.frames import DESIRED_GROUP, GROUP_MEMORY, conform, empty
from core.names import folded
from core.picture import Desired, Trouble


@dataclass(frozen=True)
class Settled:
    """The desired state with renamed groups in their place, what to remember of it (GROUP_MEMORY), and notes."""

    desired: Desired
    memory: pl.DataFrame
    notes: tuple[str, ...] = ()


def settle(target: str, desired: Desired, existing: Existing, memory: pl.DataFrame, config: Config) -> Settled:
    """Recognises renames. `memory`: GROUP_MEMORY, of which groups of tenants each group of the target was last made.

    A group is a renamed one if its sources made exactly one group of ours that nothing makes any more. A name that now means other groups than before, while those still exist under another name, waits.
    """
    here = existing.groups.filter("present")
    here = here.with_columns(form=folded(here.get_column("name")))
    ours = here.filter("owned")
    groups = desired.groups.with_columns(form=folded(desired.groups.get_column("name")))
    made = desired.sources.join(groups.select("group_no", "form"), on="group_no")
    groups, foreign = _taken_over(target, groups, made, memory, ours, config)
    kept, moved = _renamed(
        groups, made.join(groups.select("group_no"), on="group_no", how="semi"), memory, ours, config
    )
    over = _over(moved, existing)
    moved = moved.join(over, on="old", how="anti", maintain_order="left")
    troubles = [*foreign, *(_stays(target, row) for row in kept.iter_rows(named=True))]
    old_names = dict(kept.select("group_no", "held").iter_rows())
    groups = groups.with_columns(
        name=pl.col("group_no").replace_strict(old_names, default=pl.col("name"), return_dtype=pl.String)
    )
    groups = groups.with_columns(form=folded(groups.get_column("name")))
    edges = desired.memberships.join(groups.select("group_no"), on="group_no", how="semi", maintain_order="left")
    leaving, staying = _moving(moved, groups, edges, existing)
    whole = pl.concat([conform(groups, DESIRED_GROUP), leaving]).sort("group_no")
    members = pl.concat([edges, staying]).sort("group_no", "person_key")
    result = replace(desired, groups=whole, memberships=members, troubles=(*desired.troubles, *troubles))
    made = desired.sources.join(groups.select("group_no", "form"), on="group_no").select(list(GROUP_MEMORY))
    forms = pl.concat([groups.get_column("form"), over.get_column("old")])
    past = memory.filter(~pl.col("form").is_in(forms.implode())).join(
        ours.select("form").unique(), on="form", how="semi"
    )
    notes = _orphans(target, ours, whole, desired)
    return Settled(result, pl.concat([made, past]).unique().sort("form", "group_key"), notes)


def _renamed(
    groups: pl.DataFrame, made: pl.DataFrame, memory: pl.DataFrame, ours: pl.DataFrame, config: Config
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The desired groups that are renamed ones, those that keep their old name and those that move.

    Their columns, and `held`, `key` and `old` (name, key, form) of what they were. A group that moves is one as long as
    members are left behind, one that keeps its name only while its sources never made the new one.
    """
    moves = [rule is not None and config.settings.groups[rule].rename == "move" for rule in groups.get_column("rule")]
    groups = groups.with_columns(moves=pl.Series(moves, dtype=pl.Boolean))
    idle = ours.join(groups.select("form"), on="form", how="anti").select(old="form", held="name", key="group_key")
    before = made.join(memory, on=["form", "group_key"], how="semi").select("group_no").unique()
    pairs = (
        made.select("group_no", "group_key")
        .join(memory.rename({"form": "old"}), on="group_key")
        .join(idle, on="old")
        .select("group_no", "old", "held", "key")
        .unique()
        .sort("group_no", "old")
    )
    pairs = pairs.filter(~pl.col("old").is_duplicated())
    kept = groups.filter(~pl.col("moves")).join(before, on="group_no", how="anti", maintain_order="left")
    kept = kept.join(pairs.filter(~pl.col("group_no").is_duplicated()), on="group_no", maintain_order="left")
    return kept, groups.filter("moves").join(pairs, on="group_no", maintain_order="left")


def _taken_over(  # noqa: PLR0917 - judged between what is made, remembered and held
    target: str, groups: pl.DataFrame, made: pl.DataFrame, memory: pl.DataFrame, ours: pl.DataFrame, config: Config
) -> tuple[pl.DataFrame, list[Trouble]]:
    """Groups less those whose name belonged to other sources that are still pushed, now under another name."""
    known = memory.join(ours.select("form"), on="form", how="semi")
    told = made.join(known.select("form").unique(), on="form", how="semi")
    same = told.join(known, on=["form", "group_key"], how="semi").select("form").unique()
    elsewhere = known.join(made.select("group_key", now="form"), on="group_key").filter(pl.col("form") != pl.col("now"))
    other = (
        told.select("form")
        .unique()
        .join(same, on="form", how="anti")
        .join(elsewhere.select("form").unique(), on="form", how="semi")
    )
    waiting = groups.join(other, on="form", how="semi").sort("form")
    by_name = [config.settings.groups[rule].rename == "move" for rule in waiting.get_column("rule")]
    waiting = waiting.filter(~pl.Series(by_name, dtype=pl.Boolean))
    troubles = [
        Trouble(
            "group_rename",
            f"{row['name']} of {target} was made of another group so far, which is pushed under another name now",
            "It waits as it is: its permissions were meant for others. Tell the two apart in `to`, or write `rename: move` "
            "at the rule to go by names",
            row["line"],
            groups=(row["name"],),
        )
        for row in waiting.iter_rows(named=True)
    ]
    return groups.join(waiting.select("form"), on="form", how="anti", maintain_order="left"), troubles


def _stays(target: str, row: dict[str, object]) -> Trouble:
    return Trouble(
        "group_rename",
        f"{row['held']} would be called {row['name']} now, and {target} cannot rename groups: it keeps its name, its "
        "permissions and its members",
        "Leave it; or write `rename: move` at the rule to make a new group and move the members",
        row["line"] if isinstance(row["line"], int) else None,
        groups=(str(row["held"]),),
    )


def _holders(existing: Existing, key: str) -> pl.DataFrame:
    """The persons of ours who are in these groups now: the groups' key, named `key`, and person_key."""
    users = existing.users.filter(pl.col("owned") & pl.col("present")).select("user_key", "person_key").drop_nulls()
    return existing.memberships.join(users, on="user_key").select(pl.col("group_key").alias(key), "person_key")


def _moving(
    moved: pl.DataFrame, groups: pl.DataFrame, edges: pl.DataFrame, existing: Existing
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The old groups of those that move, as groups whose members may leave: who must, stays until the new group holds them.

    DESIRED_GROUP, whose `successor` is the new name, and DESIRED_MEMBERSHIP of those who are not over there yet.
    """
    if moved.is_empty():
        return empty(DESIRED_GROUP), edges.clear()
    here = existing.groups.filter("present")
    here = here.select(new="group_key", form=folded(here.get_column("name")))
    first = 1 + int(groups.get_column("group_no").cast(pl.Int64).max() or 0)  # type: ignore[arg-type]  # of an integer column
    ways = moved.sort("group_no", "old").with_columns(number=pl.int_range(first, first + pl.len(), dtype=pl.Int32))
    ways = ways.join(here, on="form", how="left", maintain_order="left")
    arrived = ways.join(_holders(existing, "new"), on="new").select("number", "person_key")
    staying = (
        ways.join(edges, on="group_no")
        .join(_holders(existing, "key"), on=["key", "person_key"], how="semi")
        .join(arrived, on=["number", "person_key"], how="anti")
        .select(group_no="number", person_key="person_key")
    )
    leaving = ways.select(
        pl.col("number").alias("group_no"),
        pl.col("held").alias("name"),
        pl.lit("exact").alias("policy"),
        "rule",
        "line",
        "trusted",
        pl.col("name").alias("successor"),
    )
    return conform(leaving, DESIRED_GROUP), staying


def _over(moved: pl.DataFrame, existing: Existing) -> pl.DataFrame:
    """`old`: forms of old groups that nobody of ours is in any more. The move is over, and is forgotten."""
    if moved.is_empty():
        return moved.select("old")
    peopled = _holders(existing, "key").select("key").unique()
    return moved.join(peopled, on="key", how="anti").select("old").unique()


def _orphans(target: str, ours: pl.DataFrame, groups: pl.DataFrame, desired: Desired) -> tuple[str, ...]:
    """A note on groups of ours that no rule makes any more, and that nothing waits for."""
    wanted = folded(groups.get_column("name"))
    waiting = folded(pl.Series([name for each in desired.troubles for name in each.groups], dtype=pl.String))
    known = pl.concat([wanted, waiting]).unique()
    left = ours.filter(~pl.col("form").is_in(known.implode())).sort("name").get_column("name")
    if left.is_empty():
        return ()
    shown = ", ".join(left.head(3)) + (f" and {len(left) - 3} more" if len(left) > 3 else "")
    return (
        f"{len(left)} groups of ours in {target} are made by no rule any more: {shown}; they and their members stay",
    )
