"""Which suggestions an admin's thresholds accept without a human, and how the second pass of `match` takes them. None by default."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from core.frames import DECISION, conform
from core.match_keys import PINNED
from core.suggest import SUGGESTION

ACCEPTED: dict[str, pl.DataType] = {name: SUGGESTION[name] for name in ("account_a", "account_b", "score", "reason")}
SUGGESTED = "suggested"  # the rule of a link that a threshold made


def accepted(
    suggestions: pl.DataFrame, merge_above: Mapping[str, float], classes: pl.DataFrame, links: pl.DataFrame
) -> pl.DataFrame:
    """ACCEPTED rows: the suggestions that an admin's thresholds accept without a human; none by default.

    `merge_above`: the score to be exceeded, by class; `classes`: account_key, class. Both accounts need a class with a
    threshold; of two different ones the higher counts. Who has two such partners is left to a human: so each row joins
    two persons between whom no veto stands, and no third.
    """
    limit = pl.DataFrame(
        {"class": list(merge_above), "limit": list(merge_above.values())},
        schema={"class": pl.String, "limit": pl.Float64},
    )
    limits = classes.select("account_key", "class").join(limit, on="class").select("account_key", "limit")
    person = links.select("account_key", "person_key")
    sure = (
        suggestions.join(limits.rename({"account_key": "account_a", "limit": "limit_a"}), on="account_a")
        .join(limits.rename({"account_key": "account_b", "limit": "limit_b"}), on="account_b")
        .filter(pl.col("score") > pl.max_horizontal("limit_a", "limit_b"))
        .join(person.rename({"account_key": "account_a", "person_key": "p"}), on="account_a")
        .join(person.rename({"account_key": "account_b", "person_key": "q"}), on="account_b")
    )
    several = pl.concat([sure.select(person="p"), sure.select(person="q")]).group_by("person").len()
    several = several.filter(pl.col("len") > 1)
    return (
        sure.join(several, left_on="p", right_on="person", how="anti")
        .join(several, left_on="q", right_on="person", how="anti")
        .select(list(ACCEPTED))
        .sort("account_a", "account_b")
    )


def joining(decisions: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
    """DECISION rows for the second pass of `match`: the humans' own, and `same` for ACCEPTED pairs of which they said nothing."""
    said = pl.concat(
        [decisions.select("account_a", "account_b"), decisions.select(account_a="account_b", account_b="account_a")]
    )
    new = found.join(said, on=["account_a", "account_b"], how="anti")
    return pl.concat([decisions, conform(new.with_columns(decision=pl.lit("same")), DECISION)])


def torn(before: pl.DataFrame, after: pl.DataFrame) -> pl.Series:
    """The person_keys of `before` (LINK) whose accounts are not all with one person in `after`."""
    both = before.select("account_key", "person_key").join(
        after.select("account_key", now="person_key"), on="account_key"
    )
    return both.group_by("person_key").agg(pl.col("now").n_unique()).filter(pl.col("now") > 1).get_column("person_key")


def without(found: pl.DataFrame, persons: pl.Series, links: pl.DataFrame) -> pl.DataFrame:
    """The ACCEPTED rows that are about none of these persons of `links`."""
    theirs = links.filter(pl.col("person_key").is_in(persons.implode())).get_column("account_key").implode()
    return found.filter(~pl.col("account_a").is_in(theirs) & ~pl.col("account_b").is_in(theirs))


def retold(links: pl.DataFrame, before: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
    """The LINK rows of the second pass, where those that only an ACCEPTED pair made say so with its score, and not `pinned`.

    `before`: the LINK rows of the first pass. A human's own pin stays one.
    """
    text = pl.format("score {}: {}", pl.col("score").round(6), "reason")
    sides = pl.concat([found.select(account_key=name, told=text) for name in ("account_a", "account_b")])
    pinned = before.filter(pl.col("rule") == PINNED).select("account_key")
    mine = (
        sides.join(pinned, on="account_key", how="anti").sort("account_key", "told").unique("account_key", keep="first")
    )
    new = pl.col("told").is_not_null() & (pl.col("rule") == PINNED)
    return (
        links.join(mine, on="account_key", how="left", maintain_order="left")
        .with_columns(
            rule=pl.when(new).then(pl.lit(SUGGESTED)).otherwise("rule"),
            evidence=pl.when(new).then("told").otherwise("evidence"),
        )
        .select(links.columns)
    )
