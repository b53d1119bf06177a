"""Who might be the same human although no strong key says so: scored pairs of persons with their reasons. It never merges anybody.

Accounts are described in `suggest_accounts`, blocked in `suggest_block`, compared in `suggest_compare`, weighed in
`suggest_weigh` and told in `suggest_tell`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from core.frames import DECISION, REVIEW
from core.match_keys import GUESTS, facts_frame
from core.model import AccountClass, TenantFacts
from core.suggest_accounts import ACCOUNT_SPEC, ADDRESS_CAP, PASSES, described, has_addresses
from core.suggest_block import candidates, unique
from core.suggest_compare import Codes, Compared, Floats, Ints, compare, packed, records
from core.suggest_tell import waterfall
from core.suggest_weigh import learn, probability, total

SUGGESTION = REVIEW
COMPARED = (  # attributes of accounts that suggestions look at
    "user_name", "email", "aliases", "home_email", "private_email", "display_name", "given_name", "family_name",
    "employee_number", "user_type", "department", "title", "company", "location", "phone", "manager_id", "starts_on",
)  # fmt: skip
SIMILAR = "similar"  # the rule of a suggestion
UNVERIFIED = "unverified_address"  # a doubt that a suggestion about the same persons explains better
HUMANS = (
    AccountClass.HUMAN,
    AccountClass.GUEST,
)  # classes of accounts that are somebody's first; all others are never proposed
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
    everybody = described(accounts, normalised, links)
    rows = everybody.filter(pl.col("gone").is_null())
    if classes is not None:
        nobodys = classes.filter(~pl.col("class").is_in(HUMANS).fill_null(value=True))
        rows = rows.join(nobodys, on="account_key", how="anti", maintain_order="left")
    if rows.height < 2:
        return nothing
    entity = rows.get_column("person_key").to_numpy().astype(np.int32)
    address = candidates(rows, [[pl.col("addresses")]], entity, ADDRESS_CAP)
    pairs = unique(np.concatenate([candidates(rows, PASSES, entity), address]))
    told = everybody.select("account_key", "person_key")
    pairs = pairs[~_apart(entity, pairs, [*_vetoes(rows, everybody, facts_frame(tenants))])]
    pairs = pairs[~_spoken(entity, pairs, told, _said(decisions, doubts))]
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


def _vetoes(rows: pl.DataFrame, everybody: pl.DataFrame, facts: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """person_key, value: two persons with different values of one of these frames are two humans.

    They are numbers of one issuer, also those of accounts that are gone, and seats: enabled member accounts of one tenant.
    """
    issuer = everybody.select("person_key", "tenant_key", value="n_employee_number").drop_nulls()
    issuer = issuer.join(facts.select("tenant_key", "issuer"), on="tenant_key")
    for _, held in issuer.group_by("issuer"):
        yield held.select("person_key", pl.col("value").rank("dense").cast(pl.Int64))
    guest = pl.col("user_type").is_in(GUESTS).fill_null(value=False)
    seated = rows.filter(~guest & pl.col("active").fill_null(value=True))
    for _, held in seated.group_by("tenant_key"):
        yield held.select("person_key", value=pl.col("person_key").cast(pl.Int64))


def _apart(entity: Codes, pairs: Ints, vetoes: Sequence[pl.DataFrame]) -> npt.NDArray[np.bool_]:
    """Which pairs are of two persons whom a veto keeps apart."""
    a, b = _rows(pairs)
    one, other = entity[a], entity[b]
    bad = np.zeros(len(pairs), dtype=np.bool_)
    people = int(entity.max()) + 1
    for held in vetoes:
        mine = held.filter(pl.col("person_key") < people)
        value = np.full(people, -1, dtype=np.int64)
        value[mine.get_column("person_key").to_numpy()] = mine.get_column("value").to_numpy()
        bad |= (value[one] >= 0) & (value[other] >= 0) & (value[one] != value[other])
    return bad


def _spoken(entity: Codes, pairs: Ints, told: pl.DataFrame, said: pl.DataFrame) -> npt.NDArray[np.bool_]:
    """Which pairs are of two persons about whom some pair of `said` (account_a, account_b) is."""
    if said.is_empty():
        return np.zeros(len(pairs), dtype=np.bool_)
    apart = said.join(told.rename({"account_key": "account_a", "person_key": "p"}), on="account_a").join(
        told.rename({"account_key": "account_b", "person_key": "q"}), on="account_b"
    )
    forbidden = packed(apart.get_column("p").to_numpy(), apart.get_column("q").to_numpy())
    a, b = _rows(pairs)
    return np.isin(packed(entity[a], entity[b]), forbidden)


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


def fingerprint(accounts: pl.DataFrame, links: pl.DataFrame, decisions: pl.DataFrame, settings: object) -> str:
    """Stands for all that suggestions are made of: while it is the same, so are they. Another version of polars gives another.

    Not in it is `active`: that somebody left or came back makes nobody alike, and such runs are the ones in a hurry.
    """
    looked_at = accounts.select("account_key", "tenant_key", "native_id", "gone", *COMPARED).with_columns(
        pl.col("aliases").list.join(" ")
    )
    joined = links.select([name for name in ("account_key", "person_key", "class") if name in links.columns])
    parts = [looked_at, joined, decisions.select(list(DECISION))]
    sums = [f"{part.height}:{int(part.hash_rows(seed=1).cast(pl.UInt64).to_numpy().sum())}" for part in parts]
    return "|".join([pl.__version__, repr(settings), *sums])


def still_open(stored: pl.DataFrame, links: pl.DataFrame, decisions: pl.DataFrame) -> pl.DataFrame:
    """Of SUGGESTION rows of an earlier run those about two persons of now on whom no human has spoken since."""
    person = links.select("account_key", "person_key")
    said = pl.concat(
        [decisions.select("account_a", "account_b"), decisions.select(account_a="account_b", account_b="account_a")]
    )
    return (
        stored.join(person.rename({"account_key": "account_a", "person_key": "p"}), on="account_a")
        .join(person.rename({"account_key": "account_b", "person_key": "q"}), on="account_b")
        .filter((pl.col("p") != pl.col("q")) & (pl.col("rule") == SIMILAR))
        .join(said, on=["account_a", "account_b"], how="anti")
        .select(list(SUGGESTION))
        .sort("score", "account_a", "account_b", descending=[True, False, False])
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
