"""Which users a target should hold: who is in scope, what their tenants may cause, and what they are called there. Groups are not known here."""

from __future__ import annotations

from datetime import date

import polars as pl

from core.config import Config
from core.expression import evaluate
from core.frames import DESIRED_USER, PERSON_ATTRIBUTES, PUSHED, conform
from core.model import AccountClass, Evidence, Right, TenantMode
from core.names import folded
from core.picture import Picture, TargetSpec, Trouble, accepts, tell


def rights(picture: Picture) -> pl.DataFrame:
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


def in_scope(
    target: TargetSpec, picture: Picture, persons: pl.DataFrame, config: Config, today: date, troubles: list[Trouble]
) -> pl.Series:
    """One boolean a person. An expression that fails or yields null excludes nobody."""
    inside = pl.Series("in_scope", [True]).new_from_index(0, persons.height)
    for path, expression in (("scope", config.settings.scope), (f"targets.{target.name}.include", target.include)):
        if expression is not None:
            inside &= _holds(path, expression, picture, persons, config, today, troubles)
    inside &= _included(picture, persons, config, today, troubles)
    return (inside & of_class(persons, config)).alias("in_scope")


def of_class(persons: pl.DataFrame, config: Config) -> pl.Series:
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
        tell(path, done.failed.get("value"), values.null_count(), config, troubles)
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
    tell(path, done.failed.get("value"), values.null_count(), config, troubles)
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
            tell(f"tenants.{each.name}.{name}", done.failed.get(name), values.null_count(), config, troubles)
            passes &= values.fill_null(value=True) if name == "include" else ~values.fill_null(value=False)
        out.append(
            rows.select("account_key").with_columns(passes=passes).filter(~pl.col("passes")).select("account_key")
        )
    if not out:
        return pl.Series([True]).new_from_index(0, persons.height)
    left = picture.links.select("account_key", "person_key").join(pl.concat(out), on="account_key", how="anti")
    return persons.get_column("person_key").is_in(left.get_column("person_key").unique().implode())


def mapped(
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
        tell(f"map.{name}", failure, 0, config, troubles)
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


def users_of(people: pl.DataFrame) -> pl.DataFrame:
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


def name_troubles(target: TargetSpec, users: pl.DataFrame) -> list[Trouble]:
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
