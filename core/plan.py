"""A plan: the drafts of all targets in the order of application, with units, fingerprints, a digest, and its inverse."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from core.diff import Difference
from core.draft import RENAME_OFF
from core.frames import CHANGE, CHANGE_VALUE, EVIDENCES, VERBS, conform
from core.model import INVERSE, Evidence, Hold, PlanHeader, Verb
from core.names import folded

# Changes of one person in one target that stand or fall together.
UNIT_VERBS = [
    verb.value for verb in (Verb.ADOPT_USER, Verb.CREATE_USER, Verb.REACTIVATE_USER, Verb.UPDATE_USER, Verb.RENAME_USER)
]
GROUP_VERBS = [verb.value for verb in (Verb.ADOPT_GROUP, Verb.CREATE_GROUP)]
EDGE_VERBS = [verb.value for verb in (Verb.ADD_MEMBER, Verb.REMOVE_MEMBER)]
ADOPTIONS = [Verb.ADOPT_USER.value, Verb.ADOPT_GROUP.value]


@dataclass(frozen=True)
class Plan:
    """A frozen plan: header, `changes` (CHANGE by seq) and `values` (CHANGE_VALUE by seq and attribute)."""

    header: PlanHeader
    changes: pl.DataFrame
    values: pl.DataFrame

    @property
    def ready(self) -> pl.DataFrame:
        """Changes that nothing keeps back."""
        return self.changes.filter(pl.col("held_by").is_null())


@dataclass(frozen=True)
class Ordered:
    """Changes in order (CHANGE, `held_by` still null), their values, and `caution` by seq for the guards."""

    changes: pl.DataFrame
    values: pl.DataFrame
    cautions: pl.DataFrame


def order(differences: Sequence[Difference]) -> Ordered:
    """Numbers the drafts of all targets in the order of `Verb`, then target and name; the same for every order of input."""
    drafts = pl.concat([each.drafts.with_columns(part=pl.lit(place)) for place, each in enumerate(differences)])
    values = pl.concat([each.values.with_columns(part=pl.lit(place)) for place, each in enumerate(differences)])
    drafts = drafts.sort(
        pl.col("verb").to_physical(),
        "target",
        "group_name",
        "user_name",
        "object_id",
        nulls_last=True,
        maintain_order=True,
    ).with_columns(seq=pl.int_range(pl.len(), dtype=pl.Int32))
    values = (
        values.join(drafts.select("part", "row", "seq"), on=["part", "row"])
        .select(pl.col(name) for name in CHANGE_VALUE)
        .sort("seq", "attribute")
    )
    drafts = drafts.with_columns(_units(drafts), _reversible(drafts, values), _fingerprints(drafts, values))
    return Ordered(conform(drafts, CHANGE), values, drafts.select("seq", "caution").drop_nulls())


def _units(drafts: pl.DataFrame) -> pl.Series:
    """The smallest seq among the changes of one person in one target; every other change is its own unit."""
    own = pl.col("verb").cast(pl.String).is_in(UNIT_VERBS) & pl.col("caution").ne_missing(pl.lit(RENAME_OFF))
    shared = pl.col("seq").filter(own).min().over("target", "person_key")
    return drafts.select(pl.when(own & pl.col("person_key").is_not_null()).then(shared).otherwise("seq").alias("unit"))[
        "unit"
    ].cast(pl.Int32)


def _reversible(drafts: pl.DataFrame, values: pl.DataFrame) -> pl.Series:
    """Whether there is an inverse: none for adoptions and deletions, nor where a value was unknown before."""
    blind = (
        values.join(drafts.filter(pl.col("verb").cast(pl.String) == Verb.UPDATE_USER.value), on="seq", how="semi")
        .filter(pl.col("before").is_null())
        .get_column("seq")
        .unique()
    )
    able = [verb.value for verb, inverse in INVERSE.items() if inverse is not None]
    return drafts.select(
        (pl.col("verb").cast(pl.String).is_in(able) & ~pl.col("seq").is_in(blind.implode())).alias("reversible")
    )["reversible"]


def _sized(column: pl.Expr) -> pl.Expr:
    """Text that cannot run into its neighbour: its length before it; `-` for null."""
    text = column.cast(pl.String)
    return pl.format("{}:{}", text.str.len_bytes(), text).fill_null("-")


def _fingerprints(drafts: pl.DataFrame, values: pl.DataFrame) -> pl.Series:
    """32 hex characters of sha256 over target, object, verb, evidence and every value before and after."""
    told = values.group_by("seq", maintain_order=True).agg(
        pl.concat_str(_sized(pl.col("attribute")), _sized(pl.col("before")), _sized(pl.col("after")))
        .str.join("")
        .alias("told")
    )
    text = drafts.select(
        "seq", text=pl.concat_str([_sized(pl.col(name)) for name in ("target", "object_id", "verb", "evidence")])
    ).join(told, on="seq", how="left", maintain_order="left")
    whole = text.select(text=pl.concat_str("text", pl.col("told").fill_null("")))
    texts = whole.get_column("text").to_list()
    return pl.Series("fingerprint", [hashlib.sha256(text.encode()).hexdigest()[:32] for text in texts], dtype=pl.String)


def digest(config_digest: str, changes: pl.DataFrame, holds: Sequence[Hold]) -> str:
    """sha256, hex, over the config's digest, the fingerprints in order with what holds them, and the holds' subjects."""
    lines = changes.select(
        pl.concat_str("fingerprint", pl.lit(" "), pl.col("held_by").list.join(",").fill_null("")).str.join("\n")
    )
    subjects = "\n".join(
        "|".join(str(part) for part in (each.hold_id, each.guard, each.target, each.verb, each.scope, each.releasable))
        for each in holds
    )
    body = lines.item() if changes.height else ""
    return hashlib.sha256(f"{config_digest}\n{subjects}\n\n{body}".encode()).hexdigest()


def spread(changes: pl.DataFrame, held: pl.DataFrame) -> pl.DataFrame:
    """seq, hold: what holds each change, spread over units, and from users and groups to the edges that require them.

    `held`: seq, hold (an integer). An edge, and a deactivation, wait for the adoption, creation or reactivation of its user.
    """
    if held.is_empty():
        return held
    rows = changes.select("seq", "unit", "target", "person_key", "verb", "group_name")
    by_unit = held.join(rows.select("seq", "unit"), on="seq").select("unit", "hold").unique()
    units = rows.select("seq", "unit").join(by_unit, on="unit").select("seq", "hold")
    firm = pl.col("verb").cast(pl.String)
    birth = rows.filter(firm.is_in([*ADOPTIONS, Verb.CREATE_USER.value, Verb.REACTIVATE_USER.value]))
    user_holds = birth.join(units, on="seq").select("target", "person_key", "hold").drop_nulls("person_key").unique()
    needs_user = rows.filter(firm.is_in([*EDGE_VERBS, Verb.DEACTIVATE_USER.value]))
    # A deactivation waits for an adoption only: it must not wait for grants of the same person.
    through_users = needs_user.join(user_holds, on=["target", "person_key"]).select("seq", "hold")
    group_rows = rows.filter(firm.is_in(GROUP_VERBS))
    group_holds = (
        group_rows.with_columns(form=folded(group_rows.get_column("group_name")))
        .join(units, on="seq")
        .select("target", "form", "hold")
        .unique()
    )
    edges = rows.filter(firm.is_in(EDGE_VERBS))
    if group_holds.height:
        edges = edges.with_columns(form=folded(edges.get_column("group_name")))
        through_groups = edges.join(group_holds, on=["target", "form"]).select("seq", "hold")
    else:
        through_groups = units.clear()
    return pl.concat([units, through_users, through_groups]).unique().sort("seq", "hold")


def inverse(changes: pl.DataFrame, values: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What undoes these changes, last first: CHANGE and CHANGE_VALUE. What has no inverse is left out."""
    undo = {verb.value: back.value for verb, back in INVERSE.items() if back is not None}
    rows = changes.filter("reversible").sort("seq", descending=True)
    rows = rows.with_columns(
        old_seq="seq",
        seq=pl.int_range(pl.len(), dtype=pl.Int32),
        verb=pl.col("verb").cast(pl.String).replace_strict(undo, return_dtype=pl.String).cast(VERBS),
        evidence=pl.lit(Evidence.EXPLICIT.value).cast(EVIDENCES),
    )
    back = values.join(rows.select("old_seq", fresh="seq", verb="verb"), left_on="seq", right_on="old_seq")
    created = pl.col("verb").cast(pl.String) == Verb.DEACTIVATE_USER.value
    back = back.filter(~created | (pl.col("attribute") == "active")).select(
        pl.col("fresh").alias("seq"), "attribute", before="after", after="before"
    )
    switched = rows.filter(pl.col("verb").cast(pl.String) == Verb.DEACTIVATE_USER.value).join(
        back, on="seq", how="anti"
    )
    active = switched.select("seq", attribute=pl.lit("active"), before=pl.lit("true"), after=pl.lit("false"))
    whole = pl.concat([back, active]).sort("seq", "attribute")
    rows = rows.with_columns(unit=pl.col("seq"))
    rows = rows.with_columns(_fingerprints(rows, whole))
    return conform(rows, CHANGE), conform(whole, CHANGE_VALUE)
