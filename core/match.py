"""Who is who: accounts of all tenants become persons by shared strong keys, vetoes and sticky links (design section 5).

Keys are found in `match_keys`, vetoes and splits in `match_split`, persons and their ids in `match_persons`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from core.frames import DOUBT, LINK, PERSON_ID, conform
from core.match_keys import GUESTS, PINNED, STICKY, Keys, facts_frame, shared_keys
from core.match_persons import SPLIT, assign, separated, told
from core.match_split import SCORES, Labels, Pairs, Refused, recycled, split, violating
from core.model import TenantFacts
from core.normalise import NORMALISED

DEFAULT_KEYS = ("immutable_id", "employee_number", "home_link", "verified_email", "verified_login")
ACCOUNTS_PER_TENANT, LEAST_CAP = 4, 12  # a person has at most 4 accounts in each tenant, or 12 in all
SUGGESTED = "unverified_address"
SUGGESTION_SCORE = 0.5


@dataclass(frozen=True)
class MatchSettings:
    """What may join accounts: `keys` strongest first; a key on more than `hub_limit` accounts of one tenant joins nobody."""

    directory: str
    keys: tuple[str, ...] = DEFAULT_KEYS
    hub_limit: int = 3


@dataclass(frozen=True)
class Matching:
    """The answer of `match`.

    `links`: LINK of every account; `persons`: PERSON_ID of every person ever, also of those who hold no account now;
    `doubts`: DOUBT; `doubtful`: person_keys whose component a veto split; `notes`: for the reader of the plan.
    """

    links: pl.DataFrame
    persons: pl.DataFrame
    doubts: pl.DataFrame
    doubtful: frozenset[int] = frozenset()
    notes: tuple[str, ...] = field(default=())


def match(
    accounts: pl.DataFrame,
    normalised: pl.DataFrame,
    tenants: Sequence[TenantFacts],
    *,
    links: pl.DataFrame,
    persons: pl.DataFrame,
    decisions: pl.DataFrame,
    settings: MatchSettings,
) -> Matching:
    """Persons of an ACCOUNT frame and its `normalise`d form, given the LINK, PERSON_ID and DECISION rows known so far.

    The result does not depend on the order of rows, and matching again on it changes nothing. Accounts of tenants that
    are not in `tenants` are an error of the caller (ValueError).
    """
    rows = _rows(accounts, normalised, tenants, links)
    if rows.is_empty():
        return Matching(conform(links.clear(), LINK), conform(persons, PERSON_ID), pl.DataFrame(schema=DOUBT))
    keys = shared_keys(rows, tenants, settings.keys, settings.hub_limit)
    pairs = _pairs(rows, keys, decisions, settings.keys)
    labels = _components(rows, keys, pairs)
    cap = max(ACCOUNTS_PER_TENANT * len(tenants), LEAST_CAP)
    refused: list[Refused] = []
    bad = violating(rows, labels, pairs, cap)
    if len(bad):
        labels, refused = split(rows, keys, settings.keys, labels=labels, bad=bad, pairs=pairs, cap=cap)
    chosen, known = assign(rows, labels, conform(persons, PERSON_ID), settings.directory)
    linked = told(rows, chosen, known, existing=conform(links, LINK), keys=keys, tiers=settings.keys, pinned=pairs.same)
    parted = separated(rows, linked, pairs.human)
    doubtful = {*chosen.gather([row for each in refused for row in (each.a, each.b)])}
    return Matching(
        links=linked,
        persons=known,
        doubts=_doubts(rows, chosen, keys, pairs, [_refused(rows, refused), _parted(parted)]),
        doubtful=frozenset(doubtful.union(parted.get_column("person_key"), parted.get_column("other_person"))),
        notes=keys.notes,
    )


def _rows(
    accounts: pl.DataFrame, normalised: pl.DataFrame, tenants: Sequence[TenantFacts], existing: pl.DataFrame
) -> pl.DataFrame:
    """One row an account in order of account_key, with what keys and vetoes look at."""
    facts = facts_frame(tenants)
    guest = pl.col("user_type").is_in(GUESTS).fill_null(value=False)
    here = pl.col("gone").is_null() & pl.col("active").fill_null(value=True)
    wanted = accounts.select(
        "account_key",
        "tenant_key",
        "native_id",
        "created_at",
        guest=guest,
        seated=here & ~guest,
        departed_at=pl.when(~here).then(pl.coalesce("deleted_at", "disabled_at")),
    )
    names = [name for name in NORMALISED if name != "account_key"]
    if accounts.get_column("account_key").equals(normalised.get_column("account_key")):
        wanted = wanted.with_columns(normalised.select(names))
    else:
        wanted = wanted.join(normalised, on="account_key", how="left", maintain_order="left")
    if not wanted.get_column("account_key").is_sorted():
        wanted = wanted.sort("account_key")
    wanted = wanted.join(facts, on="tenant_key", how="left", maintain_order="left").join(
        existing.select("account_key", old_person="person_key"), on="account_key", how="left", maintain_order="left"
    )
    if wanted.get_column("rank").has_nulls():
        strangers = sorted(set(wanted.filter(pl.col("rank").is_null()).get_column("tenant_key")))
        raise ValueError(f"accounts of tenants without facts: {strangers}")
    return wanted.with_columns(row=pl.int_range(pl.len(), dtype=pl.UInt32))


def _pairs(rows: pl.DataFrame, keys: Keys, decisions: pl.DataFrame, tiers: Sequence[str]) -> Pairs:
    """Vetoes and decisions as pairs of row numbers, both ways round."""
    of_account = rows.select("account_key", "row")
    decided = (
        decisions.join(of_account.rename({"account_key": "account_a", "row": "a"}), on="account_a")
        .join(of_account.rename({"account_key": "account_b", "row": "b"}), on="account_b")
        .select("a", "b", "decision")
    )
    same = {pair for a, b, word in decided.iter_rows() if word == "same" for pair in ((a, b), (b, a))}
    human = {pair for a, b, word in decided.iter_rows() if word == "different" for pair in ((a, b), (b, a))}
    vetoes = {pair: why for pair, why in recycled(rows, keys, tiers).items() if pair not in same}
    vetoes.update(dict.fromkeys(human, "decided to be different people"))
    return Pairs(vetoes, frozenset(human), frozenset(same - human))


def _components(rows: pl.DataFrame, keys: Keys, pairs: Pairs) -> Labels:
    """Labels of accounts that keys, sticky links or pinned decisions connect, however far."""
    count = rows.height
    old = rows.select("row", "old_person").drop_nulls()
    person = old.get_column("old_person").rank("dense").to_numpy().astype(np.int64) - 1
    people = int(person.max()) + 1 if len(person) else 0
    pinned = np.array([*pairs.same], dtype=np.int64).reshape(-1, 2)
    key = keys.shared.get_column("key").to_numpy().astype(np.int64)
    left = np.concatenate(
        [old.get_column("row").to_numpy(), keys.shared.get_column("row").to_numpy(), pinned[:, 0]]
    ).astype(np.int32)
    right = np.concatenate([count + person, count + people + key, pinned[:, 1]]).astype(np.int32)
    nodes = count + people + keys.values.height
    graph = coo_matrix((np.ones(len(left), dtype=np.bool_), (left, right)), shape=(nodes, nodes)).tocsr()
    labels: Labels = connected_components(graph, directed=True, connection="weak")[1][:count].astype(np.int64)
    return labels


def _refused(rows: pl.DataFrame, refused: list[Refused]) -> pl.DataFrame:
    """DOUBT of edges that a veto refused."""
    account = rows.get_column("account_key")
    return pl.DataFrame(
        {
            "account_a": account.gather([each.a for each in refused]),
            "account_b": account.gather([each.b for each in refused]),
            "rule": [each.rule for each in refused],
            "reason": [each.reason for each in refused],
            "score": [each.score for each in refused],
        },
        schema=DOUBT,
    )


def _parted(parted: pl.DataFrame) -> pl.DataFrame:
    """DOUBT of accounts that were one person until a veto parted them; stays until a human agrees."""
    return parted.select(
        account_a="account_key",
        account_b="other_key",
        rule=pl.lit(SPLIT),
        reason=pl.lit("they were one person until a veto parted them"),
        score=pl.lit(SCORES[STICKY]),
    ).select(pl.col(name).cast(kind) for name, kind in DOUBT.items())


def _doubts(
    rows: pl.DataFrame, chosen: pl.Series, keys: Keys, pairs: Pairs, vetoed: list[pl.DataFrame]
) -> pl.DataFrame:
    """DOUBT, one row a pair: what vetoes refused, and addresses that two persons claim though not both verifiably."""
    both = pl.concat([*vetoed, _suggestions(rows, chosen, keys, pairs)])
    low, high = pl.min_horizontal("account_a", "account_b"), pl.max_horizontal("account_a", "account_b")
    return (
        both.with_columns(account_a=low, account_b=high)
        .sort("account_a", "account_b", "score", "rule", "reason", descending=[False, False, True, False, False])
        .unique(["account_a", "account_b"], keep="first", maintain_order=True)
    )


def _suggestions(rows: pl.DataFrame, chosen: pl.Series, keys: Keys, pairs: Pairs) -> pl.DataFrame:
    """An address that accounts of two persons claim, one of them under a domain it does not own, only suggests."""
    held = keys.claims.select("row", "value", "at", "verified").sort("verified", descending=True)
    held = held.unique(["row", "at"], keep="first", maintain_order=True)
    held = held.with_columns(person=chosen.gather(held.get_column("row")))
    several = held.group_by("at").agg(low=pl.col("person").min(), high=pl.col("person").max(), claims=pl.len())
    limit = LEAST_CAP  # more claimants than this are no hint at anybody
    several = several.filter((pl.col("low") != pl.col("high")) & (pl.col("claims") <= limit)).select("at")
    held = held.join(several, on="at", how="semi").join(
        rows.select("row", "account_key", "tenant", "rank", "native_id"), on="row"
    )
    anchor = held.sort("verified", "rank", "native_id", descending=[True, False, False]).unique(
        "at", keep="first", maintain_order=True
    )
    found = held.join(anchor, on="at", suffix="_a").filter(
        (pl.col("person") != pl.col("person_a")) & ~(pl.col("verified") & pl.col("verified_a"))
    )
    if pairs.human:
        said = pl.DataFrame(list(pairs.human), schema={"row_a": pl.UInt32(), "row": pl.UInt32()}, orient="row")
        found = found.join(said, on=["row_a", "row"], how="anti")
    owner = pl.when("verified_a").then(pl.lit(" and is verified for ")).otherwise(pl.lit(" and, also unverified, by "))
    return found.select(
        account_a="account_key_a",
        account_b="account_key",
        rule=pl.lit(SUGGESTED),
        reason=pl.format("{} is claimed by {}, not verified,{}{}", "value", "tenant", owner, "tenant_a"),
        score=pl.lit(SUGGESTION_SCORE),
    ).select(pl.col(name).cast(kind) for name, kind in DOUBT.items())


__all__ = ["DEFAULT_KEYS", "PINNED", "STICKY", "MatchSettings", "Matching", "match"]
