"""Who might be the same human although no strong key says so: scored pairs of persons with their reasons. It never merges anybody.

Accounts are described in `suggest_accounts`, blocked in `suggest_block`, compared in `suggest_compare`, weighed in
`suggest_weigh` and told in `suggest_tell`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from core.frames import DOUBT
from core.match_keys import GUESTS, facts_frame
from core.model import TenantFacts
from core.suggest_accounts import ACCOUNT_SPEC, ADDRESS_CAP, PASSES, described, has_addresses
from core.suggest_block import candidates, unique
from core.suggest_compare import Codes, Compared, Floats, Ints, compare, packed, records
from core.suggest_tell import waterfall
from core.suggest_weigh import learn, probability, total

SUGGESTION: dict[str, pl.DataType] = {**DOUBT, "waterfall": pl.String()}
SIMILAR = "similar"  # the rule of a suggestion
UNVERIFIED = "unverified_address"  # a doubt that a suggestion about the same persons explains better
HUMANS = ("human", "guest")  # classes of accounts that are somebody's first; all others are never proposed
KNOWN_PAIRS = 50_000  # pairs of one person that teach what true pairs look like, at most


@dataclass(frozen=True)
class SuggestSettings:
    """Suggestions with at least `min_score`, and of each person the best `partners`."""

    min_score: float = 0.5
    partners: int = 3


def suggest(
    accounts: pl.DataFrame,
    normalised: pl.DataFrame,
    tenants: Sequence[TenantFacts],
    links: pl.DataFrame,
    *,
    decisions: pl.DataFrame,
    doubts: pl.DataFrame,
    settings: SuggestSettings | None = None,
    classes: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """SUGGESTION rows, best first: pairs of accounts of two persons that may be one human.

    `accounts`: ACCOUNT; `normalised`: NORMALISED; `links`: LINK; `decisions`: DECISION; `doubts`: DOUBT; `classes`:
    account_key, class (null: all are humans). Never proposes what a veto or a human forbids, what a doubt tells already,
    or an account that is no human's. Independent of the order of rows.
    """
    chosen = settings or SuggestSettings()
    nothing = pl.DataFrame(schema=SUGGESTION)
    rows = described(accounts, normalised, links)
    if classes is not None:
        nobodys = classes.filter(~pl.col("class").is_in(HUMANS).fill_null(value=True))
        rows = rows.join(nobodys, on="account_key", how="anti", maintain_order="left")
    if rows.height < 2:
        return nothing
    entity = rows.get_column("person_key").rank("dense").to_numpy().astype(np.int32) - 1
    address = candidates(rows, [[pl.col("addresses")]], entity, ADDRESS_CAP)
    pairs = unique(np.concatenate([candidates(rows, PASSES, entity), address]))
    pairs = _allowed(rows, entity, pairs, facts_frame(tenants), _said(decisions, doubts))
    if not len(pairs):
        return nothing
    known = records(rows, entity, ACCOUNT_SPEC, {"address": (address, has_addresses(rows).to_numpy())})
    compared = compare(known, *_rows(pairs))
    weights = learn(known, compared, compare(known, *_together(entity)))
    bits = total(known, weights, compared)
    kept = _best(entity, compared, bits, chosen)
    compared = Compared(compared.a[kept], compared.b[kept], compared.levels[:, kept], compared.swapped[kept])
    account = rows.get_column("account_key")
    return (
        pl.DataFrame({"score": probability(bits[kept]), "weight": bits[kept]})
        .with_columns(
            waterfall(known, weights, compared),
            account_a=account.gather(compared.a),
            account_b=account.gather(compared.b),
            rule=pl.lit(SIMILAR),
        )
        .sort("weight", "account_a", "account_b", descending=[True, False, False])
        .select([pl.col(name).cast(kind) for name, kind in SUGGESTION.items()])
    )


def _rows(pairs: Ints) -> tuple[Codes, Codes]:
    return (pairs >> 32).astype(np.int32), (pairs & 0xFFFFFFFF).astype(np.int32)


def _together(entity: Codes) -> tuple[Codes, Codes]:
    """Neighbouring accounts of one person, evenly chosen."""
    order = np.argsort(entity, kind="stable").astype(np.int32)
    at = np.flatnonzero(entity[order[1:]] == entity[order[:-1]])
    at = at[:: max(1, -(-len(at) // KNOWN_PAIRS))]
    a, b = order[at], order[at + 1]
    return np.minimum(a, b), np.maximum(a, b)


def _allowed(rows: pl.DataFrame, entity: Codes, pairs: Ints, facts: pl.DataFrame, said: pl.DataFrame) -> Ints:
    """The pairs without those whose two persons a veto keeps apart, or one of the pairs `said` (account_a, account_b).

    Vetoes of persons: two enabled member accounts in one tenant, two employee numbers of one issuer.
    """
    placed = rows.select("tenant_key", "n_employee_number", "active", "user_type").with_columns(
        person=pl.Series(entity), member=~pl.col("user_type").is_in(GUESTS).fill_null(value=False)
    )
    placed = placed.join(facts.select("tenant_key", "issuer"), on="tenant_key", how="left", maintain_order="left")
    a, b = _rows(pairs)
    one, other = entity[a], entity[b]
    bad = np.zeros(len(pairs), dtype=np.bool_)
    people = int(entity.max()) + 1
    seated = placed.filter(pl.col("member") & pl.col("active").fill_null(value=True))
    for (_,), held in seated.group_by("tenant_key"):
        sits = np.zeros(people, dtype=np.bool_)
        sits[held.get_column("person").to_numpy()] = True
        bad |= sits[one] & sits[other]
    numbered = placed.filter(pl.col("n_employee_number").is_not_null() & pl.col("issuer").is_not_null())
    for (_,), held in numbered.group_by("issuer"):
        number = np.zeros(people, dtype=np.int64)
        number[held.get_column("person").to_numpy()] = held.get_column("n_employee_number").rank("dense").to_numpy()
        bad |= (number[one] > 0) & (number[other] > 0) & (number[one] != number[other])
    if said.height:
        person = rows.select("account_key").with_columns(person=pl.Series(entity))
        apart = said.join(person.rename({"account_key": "account_a", "person": "p"}), on="account_a").join(
            person.rename({"account_key": "account_b", "person": "q"}), on="account_b"
        )
        forbidden = packed(apart.get_column("p").to_numpy(), apart.get_column("q").to_numpy())
        bad |= np.isin(packed(one, other), forbidden)
    return pairs[~bad]


def _said(decisions: pl.DataFrame, doubts: pl.DataFrame) -> pl.DataFrame:
    """account_a, account_b of pairs that a human said to differ, or that the review lists already with a better reason."""
    different = decisions.filter(pl.col("decision") == "different").select("account_a", "account_b")
    return pl.concat([different, doubts.filter(pl.col("rule") != UNVERIFIED).select("account_a", "account_b")])


def _best(entity: Codes, compared: Compared, bits: Floats, settings: SuggestSettings) -> Ints:
    """Places of the pairs that are told: the best one for each two persons, and of each person the best partners."""
    people = packed(entity[compared.a], entity[compared.b])
    frame = pl.DataFrame(
        {
            "place": np.arange(len(bits)),
            "people": people,
            "one": people >> 32,
            "other": people & 0xFFFFFFFF,
            "bits": bits,
            "a": compared.a,
            "b": compared.b,
        }
    ).filter(pl.Series(probability(bits)) >= settings.min_score)
    # Rows are in order of account_key, so ties fall to the lower keys.
    frame = frame.sort("bits", "a", "b", descending=[True, False, False]).unique(
        "people", keep="first", maintain_order=True
    )
    sides = pl.concat([frame.select("place", "bits", "a", "b", person=name) for name in ("one", "other")]).sort(
        "bits", "a", "b", descending=[True, False, False]
    )
    few = sides.filter(pl.int_range(pl.len()).over("person") < settings.partners)
    return (
        frame.filter(pl.col("place").is_in(few.get_column("place").unique().implode())).get_column("place").to_numpy()
    )


def accepted(suggestions: pl.DataFrame, merge_above: Mapping[str, float], classes: pl.DataFrame) -> pl.DataFrame:
    """account_a, account_b, score of the suggestions that an admin's thresholds accept without a human; none by default.

    `merge_above`: the least score by class; `classes`: account_key, class. Both accounts need a class with a threshold;
    of two different ones the higher threshold counts.
    """
    limit = pl.DataFrame(
        {"class": list(merge_above), "limit": list(merge_above.values())},
        schema={"class": pl.String, "limit": pl.Float64},
    )
    limits = classes.select("account_key", "class").join(limit, on="class").select("account_key", "limit")
    return (
        suggestions.select("account_a", "account_b", "score")
        .join(limits.rename({"account_key": "account_a", "limit": "limit_a"}), on="account_a")
        .join(limits.rename({"account_key": "account_b", "limit": "limit_b"}), on="account_b")
        .filter(pl.col("score") > pl.max_horizontal("limit_a", "limit_b"))
        .select("account_a", "account_b", "score")
        .sort("account_a", "account_b")
    )


def unexplained(doubts: pl.DataFrame, suggestions: pl.DataFrame, links: pl.DataFrame) -> pl.DataFrame:
    """The doubts (DOUBT) without address claims between two persons whom a suggestion, which tells more, is about as well."""
    person = links.select("account_key", "person_key")

    def persons(frame: pl.DataFrame) -> pl.DataFrame:
        both = frame.join(person.rename({"account_key": "account_a", "person_key": "p"}), on="account_a", how="left")
        both = both.join(person.rename({"account_key": "account_b", "person_key": "q"}), on="account_b", how="left")
        return both.with_columns(low=pl.min_horizontal("p", "q"), high=pl.max_horizontal("p", "q"))

    told = persons(suggestions.select("account_a", "account_b")).select("low", "high").unique()
    claims = persons(doubts.filter(pl.col("rule") == UNVERIFIED)).join(told, on=["low", "high"], how="anti")
    return pl.concat([doubts.filter(pl.col("rule") != UNVERIFIED), claims.select(doubts.columns)]).sort(
        "account_a", "account_b", "rule"
    )


__all__ = ["HUMANS", "SIMILAR", "SUGGESTION", "UNVERIFIED", "SuggestSettings", "accepted", "suggest", "unexplained"]
