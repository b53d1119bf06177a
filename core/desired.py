"""What one target should hold: users, groups and memberships, from persons, rules and expressions. What exists is not looked at."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from core.config import Config
from core.expression import evaluate
from core.frames import (
    DESIRED_GROUP,
    DESIRED_MEMBERSHIP,
    DESIRED_USER,
    PERSON,
    PERSON_ATTRIBUTES,
    PUSHED,
    conform,
    empty,
)
from core.model import AccountClass, Evidence, Right, TenantFacts, TenantMode
from core.names import folded


def accepts(_name: str) -> str | None:
    """A target that takes every name."""
    return None


@dataclass(frozen=True)
class TargetSpec:
    """What planning must know of a target: attributes it can hold, verbs it can do, names it would refuse and why."""

    name: str
    attributes: tuple[str, ...]
    verbs: frozenset[str]
    include: str | None = None
    refuses_user_name: Callable[[str], str | None] = accepts
    refuses_group_name: Callable[[str], str | None] = accepts


@dataclass(frozen=True)
class Trouble:
    """What keeps a part of the desired state from being worked out; `persons` and `groups` wait, nothing is removed because of it."""

    kind: str
    problem: str
    remedy: str
    line: int | None = None
    persons: tuple[int, ...] = ()
    groups: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.problem}. {self.remedy}"


@dataclass(frozen=True)
class Desired:
    """DESIRED_USER by person_key, DESIRED_GROUP by group_no, DESIRED_MEMBERSHIP sorted and unique, and what went wrong."""

    users: pl.DataFrame
    groups: pl.DataFrame
    memberships: pl.DataFrame
    troubles: tuple[Trouble, ...] = ()


@dataclass(frozen=True)
class Picture:
    """The directory after merging: PERSON, ACCOUNT, LINK, GROUP and the effective memberships (group_key, account_key)."""

    persons: pl.DataFrame
    accounts: pl.DataFrame
    links: pl.DataFrame
    groups: pl.DataFrame
    effective: pl.DataFrame
    tenants: tuple[TenantFacts, ...]


def desire(target: TargetSpec, picture: Picture, config: Config, *, today: date) -> Desired:
    """What `target` should hold. Never raises because of data: what fails is in `troubles`."""
    persons = picture.persons.select(pl.col(name) for name in PERSON).sort("person_key")
    if persons.is_empty():
        return Desired(empty(DESIRED_USER), empty(DESIRED_GROUP), empty(DESIRED_MEMBERSHIP))
    troubles: list[Trouble] = []
    people = persons.join(_rights(picture), on="person_key", how="left", maintain_order="left")
    people = people.with_columns(_in_scope(target, picture, persons, config, today, troubles))
    people = people.with_columns(_mapped(target, persons, config, today, troubles).get_columns())
    users = _users(people.with_columns(of_class=_of_class(persons, config)))
    troubles += _name_troubles(target, users)
    groups, memberships = _groups(target, picture, users, config, today, troubles)
    return Desired(users, groups, memberships, tuple(troubles))


def _rights(picture: Picture) -> pl.DataFrame:
    """person_key, may_create, may_update, may_deactivate: what the tenants of a person's accounts may cause."""
    rows = []
    for each in picture.tenants:
        writes = each.mode is not TenantMode.OBSERVE
        rows.append(
            {
                "tenant_key": each.tenant_key,
                "may_create": writes and Right.CREATE in each.may and not each.retired,
                "may_update": writes and Right.UPDATE in each.may,
                "may_deactivate": each.mode is TenantMode.LIVE and Right.DEACTIVATE in each.may,
            }
        )
    tenants = pl.DataFrame(
        rows,
        schema={
            "tenant_key": pl.Int16,
            "may_create": pl.Boolean,
            "may_update": pl.Boolean,
            "may_deactivate": pl.Boolean,
        },
    )
    return (
        picture.links.select("account_key", "person_key")
        .join(picture.accounts.select("account_key", "tenant_key", "gone"), on="account_key")
        .join(tenants, on="tenant_key", how="left")
        .group_by("person_key")
        .agg(
            (pl.col("may_create") & pl.col("gone").is_null()).any(),
            pl.col("may_update").any(),
            pl.col("may_deactivate").any(),
        )
        .with_columns(pl.col("may_create", "may_update", "may_deactivate").fill_null(value=False))
    )


def _person_frame(persons: pl.DataFrame) -> pl.DataFrame:
    """What `person.…` may read."""
    return persons.select("person_id", *PERSON_ATTRIBUTES, pl.col("person_class").alias("class"))


def _in_scope(
    target: TargetSpec, picture: Picture, persons: pl.DataFrame, config: Config, today: date, troubles: list[Trouble]
) -> pl.Series:
    """One boolean a person. An expression that fails or yields null excludes nobody."""
    inside = pl.Series("in_scope", [True]).new_from_index(0, persons.height)
    for path, expression in (("scope", config.settings.scope), (f"targets.{target.name}.include", target.include)):
        if expression is not None:
            inside &= _holds(path, expression, picture, persons, config, today, troubles)
    inside &= _included(picture, persons, config, today, troubles)
    return (inside & _of_class(persons, config)).alias("in_scope")


def _of_class(persons: pl.DataFrame, config: Config) -> pl.Series:
    """True for persons of a class that becomes users; a class nobody told yet is a human's."""
    wanted = [each.value for each in config.settings.classes.desired]
    return persons.get_column("person_class").fill_null(AccountClass.HUMAN.value).is_in(wanted)


def _holds(
    path: str,
    expression: str,
    picture: Picture,
    persons: pl.DataFrame,
    config: Config,
    today: date,
    troubles: list[Trouble],
) -> pl.Series:
    """True for a person if the expression is true for any of its accounts."""
    if "account." not in expression:
        done = evaluate(
            {"value": expression},
            frames={"person": _person_frame(persons)},
            key=persons.get_column("person_key"),
            today=today,
        )
        values = done.frame.get_column("value").cast(pl.Boolean, strict=False)
        _tell(path, done.failed.get("value"), values.null_count(), config, troubles)
        return values.fill_null(value=True)
    rows = (
        picture.links.select("account_key", "person_key", "class")
        .join(picture.accounts, on="account_key")
        .sort("account_key")
    )
    spread = rows.select("person_key").join(persons, on="person_key", how="left", maintain_order="left")
    done = evaluate(
        {"value": expression},
        frames={"account": rows.drop("account_key", "person_key", "present"), "person": _person_frame(spread)},
        key=rows.get_column("account_key"),
        today=today,
    )
    values = done.frame.get_column("value").cast(pl.Boolean, strict=False)
    _tell(path, done.failed.get("value"), values.null_count(), config, troubles)
    any_of = (
        rows.select("person_key")
        .with_columns(value=values.fill_null(value=True))
        .group_by("person_key")
        .agg(pl.col("value").any())
    )
    joined = persons.select("person_key").join(any_of, on="person_key", how="left", maintain_order="left")
    return joined.get_column("value").fill_null(value=True)


def _included(
    picture: Picture, persons: pl.DataFrame, config: Config, today: date, troubles: list[Trouble]
) -> pl.Series:
    """A person stays desired while one account passes its tenant's include and exclude."""
    out: list[pl.DataFrame] = []
    for each in picture.tenants:
        expressions = {name: text for name, text in (("include", each.include), ("exclude", each.exclude)) if text}
        if not expressions:
            continue
        rows = picture.accounts.filter(pl.col("tenant_key") == each.tenant_key)
        done = evaluate(
            expressions,
            frames={"account": rows.drop("account_key", "present")},
            key=rows.get_column("account_key"),
            today=today,
        )
        passes = pl.Series([True]).new_from_index(0, rows.height)
        for name in expressions:
            values = done.frame.get_column(name).cast(pl.Boolean, strict=False)
            _tell(f"tenants.{each.name}.{name}", done.failed.get(name), values.null_count(), config, troubles)
            passes &= values.fill_null(value=True) if name == "include" else ~values.fill_null(value=False)
        out.append(
            rows.select("account_key").with_columns(passes=passes).filter(~pl.col("passes")).select("account_key")
        )
    if not out:
        return pl.Series([True]).new_from_index(0, persons.height)
    left = picture.links.select("account_key", "person_key").join(pl.concat(out), on="account_key", how="anti")
    return persons.get_column("person_key").is_in(left.get_column("person_key").unique().implode())


def _tell(path: str, failure: object, nulls: int, config: Config, troubles: list[Trouble]) -> None:
    line = config.document.line(path)
    if failure is not None:
        reason = getattr(failure, "error", "")
        count = getattr(failure, "count", 0)
        sample = getattr(failure, "sample", None)
        troubles.append(
            Trouble(
                "expression",
                f"{path} fails for {count} rows (such as {sample}): {reason}",
                "It excludes nobody there; mend the expression",
                line,
            )
        )
    elif nulls:
        troubles.append(
            Trouble(
                "expression",
                f"{path} is null for {nulls} rows",
                "It excludes nobody there; wrap it in coalesce(…)",
                line,
            )
        )


def _mapped(
    target: TargetSpec, persons: pl.DataFrame, config: Config, today: date, troubles: list[Trouble]
) -> pl.DataFrame:
    """`to_<attribute>` for every attribute the target holds; null where nobody says anything."""
    rules = config.settings.map
    expressions: dict[str, str] = {}
    for name in target.attributes:
        text = getattr(rules, name, None)
        expressions[name] = text or f"person.{name}"
    done = evaluate(
        expressions, frames={"person": _person_frame(persons)}, key=persons.get_column("person_key"), today=today
    )
    for name, failure in sorted(done.failed.items()):
        _tell(f"map.{name}", failure, 0, config, troubles)
    return pl.DataFrame(
        [
            (
                done.frame.get_column(name).cast(pl.String).str.strip_chars().replace("", None)
                if name in expressions
                else pl.Series(name, [None], dtype=pl.String).new_from_index(0, persons.height)
            ).alias(f"to_{name}")
            for name in PUSHED
        ]
    )


def _users(people: pl.DataFrame) -> pl.DataFrame:
    """DESIRED_USER of everybody a tenant in force speaks of."""
    inactive = ~pl.col("active").fill_null(value=True)
    evidence = (
        pl.when(inactive)
        .then(pl.col("status_evidence").fill_null(Evidence.EXPLICIT.value))
        .when(~pl.col("in_scope"))
        .then(pl.lit(Evidence.OUT_OF_SCOPE.value))
        .otherwise(pl.lit(Evidence.GRANT.value))
    )
    reason = (
        pl.when(inactive)
        .then(pl.col("status_reason"))
        .when(~pl.col("of_class"))
        .then(pl.format("of class {}, which `classes.desired` does not name", "person_class"))
        .when(~pl.col("in_scope"))
        .then(pl.lit("out of scope"))
        .otherwise(pl.lit(None, dtype=pl.String))
    )
    # Inactive on no tenant's word is inactive by an override: no tenant's rights bind the one who set it.
    people = people.with_columns(
        may_deactivate=pl.col("may_deactivate") | (inactive & pl.col("status_tenant").is_null())
    )
    users = people.filter(pl.col("may_create") | pl.col("may_update") | pl.col("may_deactivate")).select(
        "person_key",
        *(pl.col(f"to_{name}").alias(name) for name in PUSHED),
        active=~inactive & pl.col("in_scope"),
        evidence=evidence,
        evidence_tenant=pl.coalesce("status_tenant", "home_tenant"),
        reason=reason,
        in_scope=pl.col("in_scope"),
        may_create=pl.col("may_create"),
        may_update=pl.col("may_update"),
        may_deactivate=pl.col("may_deactivate"),
    )
    return conform(users, DESIRED_USER).sort("person_key")


def _name_troubles(target: TargetSpec, users: pl.DataFrame) -> list[Trouble]:
    """User names that two persons would share, that are missing, or that the target would refuse."""
    wanted = users.filter(pl.col("active") & pl.col("may_create")).select("person_key", "user_name")
    troubles = []
    missing = wanted.filter(pl.col("user_name").is_null()).get_column("person_key").to_list()
    if missing:
        troubles.append(
            Trouble(
                "user_name",
                f"map.user_name gives {len(missing)} persons no name",
                "They are not created; extend the expression",
                persons=tuple(missing),
            )
        )
    named = wanted.drop_nulls().with_columns(form=folded(wanted.drop_nulls().get_column("user_name")))
    shared = named.filter(pl.col("form").is_duplicated()).sort("form", "person_key")
    for (form,), rows in shared.group_by(["form"], maintain_order=True):
        troubles.append(
            Trouble(
                "user_name",
                f"{rows.height} persons would get the user name {form!r}",
                "Neither is created; make map.user_name tell them apart, or pin them as one person",
                persons=tuple(rows.get_column("person_key").to_list()),
            )
        )
    if target.refuses_user_name is not accepts:
        for person, name in named.select("person_key", "user_name").iter_rows():
            if why := target.refuses_user_name(name):
                troubles.append(
                    Trouble(
                        "user_name",
                        f"{target.name} refuses the user name {name!r}: {why}",
                        "Change map.user_name for this person",
                        persons=(person,),
                    )
                )
    return troubles


def _groups(
    target: TargetSpec, picture: Picture, users: pl.DataFrame, config: Config, today: date, troubles: list[Trouble]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """DESIRED_GROUP and DESIRED_MEMBERSHIP by the rules that speak of this target."""
    taken: list[pl.DataFrame] = []
    facts = {each.name: each for each in picture.tenants}
    for place, rule in enumerate(config.settings.groups):
        tenant = facts.get(rule.source.tenant)
        if tenant is None or (rule.targets is not None and target.name not in rule.targets):
            continue
        if tenant.mode is TenantMode.OBSERVE or Right.GROUPS not in tenant.may:
            continue
        rows = picture.groups.filter((pl.col("tenant_key") == tenant.tenant_key) & pl.col("gone").is_null()).sort(
            "group_key"
        )
        if rule.source.name is not None:
            rows = rows.filter(pl.col("name").str.contains(f"(?s){_glob(rule.source.name)}"))
        if rule.source.native_id is not None:
            rows = rows.filter(pl.col("native_id") == rule.source.native_id)
        expressions = {"to": rule.to, **({"where": rule.source.where} if rule.source.where else {})}
        if rows.is_empty():
            continue
        frame = rows.select("native_id", "name", "description", "kind")
        bare = rows.select(group_name="name")
        done = evaluate(expressions, frames={"group": frame, "": bare}, key=rows.get_column("group_key"), today=today)
        for name, failure in done.failed.items():
            _tell(f"groups.{place}.{'to' if name == 'to' else 'from.where'}", failure, 0, config, troubles)
        named = rows.select("group_key", "tenant_key", source="name").with_columns(
            name=done.frame.get_column("to").cast(pl.String).str.strip_chars().replace("", None),
            chosen=done.frame.get_column("where").cast(pl.Boolean, strict=False).fill_null(value=False)
            if "where" in done.frame.columns
            else pl.lit(value=True),
            policy=pl.lit(rule.members),
            rule=pl.lit(place, dtype=pl.Int32),
            line=pl.lit(config.document.line(f"groups.{place}"), dtype=pl.Int32),
            join=pl.lit(rule.join),
            trusted=pl.lit(tenant.trusted and tenant.mode is TenantMode.LIVE),
        )
        taken.append(named.filter(pl.col("chosen") & pl.col("name").is_not_null()))
    if not taken:
        return empty(DESIRED_GROUP), empty(DESIRED_MEMBERSHIP)
    rows = pl.concat(taken).unique(["group_key", "name"], keep="first", maintain_order=True)
    rows = rows.with_columns(form=folded(rows.get_column("name")))
    rows = _without_clashes(target, rows, troubles)
    if rows.is_empty():
        return empty(DESIRED_GROUP), empty(DESIRED_MEMBERSHIP)
    heads = (
        rows.sort("form", "rule", "name", "group_key")
        .group_by("form", maintain_order=True)
        .agg(
            pl.col("name").first(),
            pl.when((pl.col("policy") == "exact").all())
            .then(pl.lit("exact"))
            .otherwise(pl.lit("add_only"))
            .first()
            .alias("policy"),
            pl.col("rule").first(),
            pl.col("line").first(),
            pl.col("trusted").all(),
        )
        .with_columns(group_no=pl.int_range(pl.len(), dtype=pl.Int32))
    )
    numbers = rows.select("group_key", "form").join(heads.select("form", "group_no"), on="form")
    active = users.filter(pl.col("active")).select("person_key")
    members = (
        picture.effective.join(numbers.select("group_key", "group_no"), on="group_key")
        .join(picture.links.select("account_key", "person_key"), on="account_key")
        .join(_standing(picture), on="account_key", how="semi")
        .join(active, on="person_key", how="semi")
        .select("group_no", "person_key")
    )
    packed = (
        (members.get_column("group_no").cast(pl.Int64) * (1 << 32) + members.get_column("person_key").cast(pl.Int64))
        .unique()
        .sort()
    )
    memberships = pl.DataFrame({"packed": packed}).select(
        group_no=(pl.col("packed") // (1 << 32)).cast(pl.Int32),
        person_key=(pl.col("packed") % (1 << 32)).cast(pl.Int32),
    )
    return conform(heads.sort("group_no"), DESIRED_GROUP), memberships


def _standing(picture: Picture) -> pl.DataFrame:
    """account_key of accounts that may carry memberships: there, not disabled in their own tenant, and no admin twins.

    What an administrator holds with a second account is kept away from the daily one on purpose.
    """
    here = picture.accounts.filter(pl.col("gone").is_null() & pl.col("active").fill_null(value=True))
    twins = picture.links.filter(pl.col("class") == AccountClass.ADMIN_TWIN).select("account_key")
    return here.select("account_key").join(twins, on="account_key", how="anti")


def _glob(pattern: str) -> str:
    return re.sub(
        r"\\Z|\\z$",
        "$",
        "^" + fnmatch.translate(pattern).removeprefix("(?s:").removesuffix(r")\Z").removesuffix(r")\z") + "$",
    )


def _without_clashes(target: TargetSpec, rows: pl.DataFrame, troubles: list[Trouble]) -> pl.DataFrame:
    """Groups that would land on one name without being joined wait, all of them; so do names the target refuses."""
    held: set[str] = set()
    crowded = rows.filter(pl.col("form").is_duplicated() & ~pl.col("join"))
    for (form,), clash in (
        rows.join(crowded.select("form").unique(), on="form", how="semi")
        .sort("form", "name")
        .group_by(["form"], maintain_order=True)
    ):
        names = ", ".join(sorted(set(clash.get_column("source").to_list())))
        held.add(str(form))
        troubles.append(
            Trouble(
                "group_name",
                f"{clash.height} groups would become the group {form} of {target.name}: {names}",
                "Tell them apart in `to`, or write `join: true` at every rule that makes it",
                clash.get_column("line")[0],
                groups=tuple(clash.get_column("name").to_list()),
            )
        )
    for name, line in rows.select("name", "line").unique().sort("name").iter_rows():
        if why := target.refuses_group_name(name):
            held.add(name.strip().casefold())
            troubles.append(
                Trouble(
                    "group_name",
                    f"{target.name} refuses the group name {name!r}: {why}",
                    "Change `to` of its rule",
                    line,
                    groups=(name,),
                )
            )
    return rows.filter(~pl.col("form").is_in(sorted(held))) if held else rows


def facts_by_key(tenants: Sequence[TenantFacts]) -> dict[int, TenantFacts]:
    """Facts by tenant_key."""
    return {each.tenant_key: each for each in tenants}
