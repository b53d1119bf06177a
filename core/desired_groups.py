"""Which groups a target should hold, and of what they are made, by the rules of the config. Names are judged in `group_names`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import polars as pl

from core.config import Config
from core.desired_members import memberships_of
from core.expression import evaluate
from core.frames import DESIRED_GROUP, DESIRED_MEMBERSHIP, GROUP_SOURCE, conform, empty
from core.group_names import LONGEST, formed, glob, shortened, without_clashes, without_unfit
from core.match_keys import GUESTS
from core.model import Right, TenantFacts, TenantMode
from core.picture import Picture, TargetSpec, Trouble, tell
from core.settings import GroupFrom, GroupRule

# What the rules take, before names are judged: one row a group of a tenant, or a tenant's everybody, and rule.
TAKEN: dict[str, pl.DataType] = {
    "name": pl.String(),
    "group_key": pl.Int32(),  # null for everybody of a tenant
    "tenant_key": pl.Int16(),
    "tenant": pl.String(),
    "source": pl.String(),  # what the tenant calls it
    "rule": pl.Int32(),
    "side": pl.Int32(),  # its place in the rule's list
    "sides": pl.Int32(),  # how many there are
    "line": pl.Int32(),
    "policy": pl.String(),
    "join": pl.Boolean(),
    "listed": pl.Boolean(),  # joined by a list
    "combine": pl.String(),
    "trusted": pl.Boolean(),
}


@dataclass(frozen=True)
class _Ask:
    """What every step looks at; `troubles` grows."""

    target: TargetSpec
    picture: Picture
    config: Config
    today: date
    troubles: list[Trouble]


def groups_of(
    target: TargetSpec, picture: Picture, users: pl.DataFrame, config: Config, today: date, troubles: list[Trouble]
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """DESIRED_GROUP, DESIRED_MEMBERSHIP and GROUP_SOURCE by the rules that speak of this target."""
    ask = _Ask(target, picture, config, today, troubles)
    crowds: dict[tuple[int, int], pl.DataFrame] = {}
    taken = [
        _side(ask, rule, place, number, crowds)
        for place, rule in enumerate(config.settings.groups)
        if rule.targets is None or target.name in rule.targets
        for number in range(len(rule.sides))
    ]
    rows = pl.concat([each for each in taken if each is not None] or [empty(TAKEN)])
    # A group that two rules push under one name is pushed by the first.
    rows = rows.unique(["group_key", "tenant_key", "name", "listed", "side"], keep="first", maintain_order=True)
    rows = without_clashes(target, without_unfit(target, formed(rows), troubles), troubles)
    rows = _without_gaps(ask, rows)
    if rows.is_empty():
        return empty(DESIRED_GROUP), empty(DESIRED_MEMBERSHIP), empty(GROUP_SOURCE)
    heads = _heads(rows)
    rows = rows.join(heads.select("form", "group_no"), on="form", maintain_order="left")
    memberships = memberships_of(picture, rows, users, crowds)
    sources = rows.filter(pl.col("group_key").is_not_null()).select("group_no", "group_key").unique()
    return conform(heads.sort("group_no"), DESIRED_GROUP), memberships, sources.sort("group_no", "group_key")


def _heads(rows: pl.DataFrame) -> pl.DataFrame:
    """One row a name: it is exact only if every rule behind it says so, trusted only if every tenant is."""
    exact = (pl.col("policy") == "exact").all()
    return (
        rows.sort("form", "rule", "side", "name", "group_key")
        .group_by("form", maintain_order=True)
        .agg(
            pl.col("name").first(),
            pl.when(exact).then(pl.lit("exact")).otherwise(pl.lit("add_only")).first().alias("policy"),
            pl.col("rule").first(),
            pl.col("line").first(),
            pl.col("trusted").all(),
        )
        .with_columns(group_no=pl.int_range(pl.len(), dtype=pl.Int32))
    )


def _side(
    ask: _Ask, rule: GroupRule, place: int, number: int, crowds: dict[tuple[int, int], pl.DataFrame]
) -> pl.DataFrame | None:
    """TAKEN of one side of a rule; None where its tenant does not speak for groups."""
    side = rule.sides[number]
    tenant = next((each for each in ask.picture.tenants if each.name == side.tenant), None)
    if tenant is None or tenant.mode is TenantMode.OBSERVE or Right.GROUPS not in tenant.may:
        return None
    path = f"groups.{place}.from" if rule.source is not None else f"groups.{place}.join.{number}"
    if side.everyone:
        crowds[place, number] = _everyone(ask, side, tenant, path)
        rows = _named(ask, rule, tenant, pl.DataFrame({"source": ["everyone"]}), place)
    else:
        rows = _groups(ask, rule, side, tenant, place, path)
    return conform(
        rows.with_columns(
            tenant_key=pl.lit(tenant.tenant_key),
            tenant=pl.lit(tenant.name),
            rule=pl.lit(place),
            side=pl.lit(number),
            sides=pl.lit(len(rule.sides)),
            line=pl.lit(ask.config.document.line(f"groups.{place}"), dtype=pl.Int32),
            policy=pl.lit(rule.members),
            join=pl.lit(rule.joins),
            listed=pl.lit(isinstance(rule.join, tuple)),
            combine=pl.lit(rule.combine),
            trusted=pl.lit(tenant.trusted and tenant.mode is TenantMode.LIVE),
        ),
        TAKEN,
    )


def _groups(ask: _Ask, rule: GroupRule, side: GroupFrom, tenant: TenantFacts, place: int, path: str) -> pl.DataFrame:
    """source, group_key and name of the tenant's groups that the side means."""
    groups = ask.picture.groups
    rows = groups.filter((pl.col("tenant_key") == tenant.tenant_key) & pl.col("gone").is_null()).sort("group_key")
    if side.name is not None:
        rows = rows.filter(pl.col("name").str.contains(glob(side.name)))
    if side.native_id is not None:
        rows = rows.filter(pl.col("native_id") == side.native_id)
    if side.where is not None and rows.height:
        frame = rows.select("native_id", "name", "description", "kind")
        done = evaluate({"where": side.where}, frames={"group": frame, "": rows.select(group_name="name")}, key=rows.get_column("group_key"), today=ask.today)  # fmt: skip
        values = done.frame.get_column("where").cast(pl.Boolean, strict=False)
        tell(f"{path}.where", done.failed.get("where"), 0, ask.config, ask.troubles)
        rows = rows.filter(values.fill_null(value=False))
    return _named(ask, rule, tenant, rows.with_columns(source="name"), place)


def _named(ask: _Ask, rule: GroupRule, tenant: TenantFacts, rows: pl.DataFrame, place: int) -> pl.DataFrame:
    """Rows with the name that the rule's `to` gives them in the target; those that it gives none wait."""
    path = f"groups.{place}.to"
    if rows.is_empty():
        return rows
    frames = {"tenant": pl.DataFrame({"name": [tenant.name]}).select(pl.all().repeat_by(rows.height).explode())}
    if "group_key" in rows.columns:
        frames |= {"group": rows.select("native_id", "name", "description", "kind"), "": rows.select(group_name="name")}
    key = pl.int_range(rows.height, eager=True).alias("row") if "group_key" not in rows.columns else rows["group_key"]
    done = evaluate({"to": rule.to}, frames=frames, key=key, today=ask.today)
    names = done.frame.get_column("to").cast(pl.String).str.strip_chars().replace("", None)
    failure = done.failed.get("to")
    tell(path, failure, 0, ask.config, ask.troubles)
    if rule.too_long == "shorten" and (long := (names.str.len_chars() > LONGEST).fill_null(value=False)).any():
        names = names.scatter(long.arg_true(), pl.Series([shortened(name) for name in names.filter(long)]))
    if failure is None and names.null_count():
        unnamed = rows.filter(names.is_null()).get_column("source").sort()
        ask.troubles.append(
            Trouble(
                "group_name",
                f"{path} gives {len(unnamed)} groups of {tenant.name} no name (such as {unnamed[0]})",
                "They are not pushed; wrap it in coalesce(…), or take fewer groups",
                ask.config.document.line(path),
                groups=tuple(unnamed.to_list()),
            )
        )
    return rows.with_columns(name=names).filter(pl.col("name").is_not_null())


def _everyone(ask: _Ask, side: GroupFrom, tenant: TenantFacts, path: str) -> pl.DataFrame:
    """account_key of everybody of the tenant whom the side means."""
    rows = ask.picture.accounts.filter(pl.col("tenant_key") == tenant.tenant_key)
    if side.everyone != "with_guests":
        rows = rows.filter(~pl.col("user_type").is_in(GUESTS).fill_null(value=False))
    if side.where is not None:
        done = evaluate(
            {"where": side.where},
            frames={"account": rows.drop("account_key", "present")},
            key=rows.get_column("account_key"),
            today=ask.today,
        )
        values = done.frame.get_column("where").cast(pl.Boolean, strict=False)
        tell(f"{path}.where", done.failed.get("where"), 0, ask.config, ask.troubles)
        rows = rows.filter(values.fill_null(value=False))
    return rows.select("account_key")


def _without_gaps(ask: _Ask, rows: pl.DataFrame) -> pl.DataFrame:
    """Intersections of which a side is missing wait: the members of all cannot be worked out, and nobody is removed or added."""
    strict = rows.filter(pl.col("combine") == "intersection")
    if strict.is_empty():
        return rows
    there = strict.group_by("form").agg(
        pl.col("side").n_unique().alias("there"), pl.col("sides", "rule", "line", "name").first()
    )
    short = there.filter(pl.col("there") < pl.col("sides")).sort("rule", "form")
    for (rule, line), mine in short.group_by(["rule", "line"], maintain_order=True):
        names = mine.get_column("name").to_list()
        ask.troubles.append(
            Trouble(
                "group_join",
                f"{len(names)} groups of groups.{rule} are not in every tenant that it joins (such as {names[0]})",
                "They wait as they are: nobody is in all of them while one is missing; name the groups that exist, or combine: union",
                int(str(line)) if line is not None else None,
                groups=tuple(names),
            )
        )
    return rows.join(short.select("form"), on="form", how="anti", maintain_order="left")
