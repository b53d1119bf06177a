"""Works out who is who from the picture in the state, and keeps the answer: links, persons and their ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from core.frames import REVIEW, conform
from core.match import Matching, MatchSettings, match
from core.merge import MergeSettings, merge
from core.model import TenantFacts
from core.normalise import normalise
from core.review import unmet
from core.unmerge import restored
from state.store import Store
from tasks.facts import tenant_facts
from tasks.installation import Installation


@dataclass(frozen=True, slots=True)
class Identified:
    """How many accounts became how many persons, how many pairs a human should look at, and notes for the reader."""

    accounts: int
    persons: int
    doubts: int
    notes: tuple[str, ...]


def identify(inst: Installation, run_id: str) -> Identified:
    """Normalises, matches and merges the complete picture and saves what moved."""
    with Store.open(inst.state, purpose="identify", now=inst.clock) as store:
        facts = tenant_facts(inst, store)
        accounts = store.accounts()
        decisions = store.decisions()
        start = restored(store.links(), store.decided(), store.undone(), decisions, store.links_before)
        matching = who_is_who(inst, accounts, facts, links=start.links, persons=store.person_ids(), decisions=decisions)
        settings = MergeSettings(
            now=inst.clock(),
            today=inst.today(),
            prefer={name: each.prefer for name, each in inst.config.settings.attributes.items()},
            status_rule=inst.config.settings.status.rule,
        )
        persons = merge(accounts, matching, facts, settings)
        doubts = to_review(accounts, facts, decisions, matching)
        with store.session.transaction():  # what a decision moved, and that it did, are known together or not at all
            store.save_identity(run_id, matching.links, matching.persons, persons, inst.clock())
            store.save_review(run_id, doubts, start.decided, start.undone, inst.clock())
    return Identified(accounts.height, persons.height, matching.doubts.height, matching.notes)


def who_is_who(
    inst: Installation,
    accounts: pl.DataFrame,
    facts: Sequence[TenantFacts],
    *,
    links: pl.DataFrame,
    persons: pl.DataFrame,
    decisions: pl.DataFrame,
) -> Matching:
    """The matching of these accounts (ACCOUNT) by the rules of the config, from LINK, PERSON_ID and DECISION rows."""
    return match(
        accounts,
        normalise(accounts),
        facts,
        links=links,
        persons=persons,
        decisions=decisions,
        settings=MatchSettings(
            inst.config.settings.directory,
            keys=inst.config.settings.match.keys,
            hub_limit=inst.config.settings.match.hub_limit,
        ),
    )


def to_review(
    accounts: pl.DataFrame,
    facts: Sequence[TenantFacts],
    decisions: pl.DataFrame,
    matching: Matching,
    *more: pl.DataFrame,
) -> pl.DataFrame:
    """REVIEW, one row a pair: decisions that could not be honoured, doubts of `match`, and `more` (REVIEW rows of others).

    Of several rows on a pair the first of that order stands, of one frame the strongest.
    """
    tenants = {each.tenant_key: each.name for each in facts}

    def name(account: int) -> str:
        tenant, native = accounts.filter(pl.col("account_key") == account).select("tenant_key", "native_id").row(0)
        return f"{tenants[tenant]} {native}"

    parts = [unmet(decisions, matching.links, name), matching.doubts, *more]
    rows = pl.concat([conform(each, REVIEW).with_columns(place=pl.lit(place)) for place, each in enumerate(parts)])
    low, high = pl.min_horizontal("account_a", "account_b"), pl.max_horizontal("account_a", "account_b")
    return (
        rows.with_columns(account_a=low, account_b=high)
        .sort(
            "account_a", "account_b", "place", "score", "rule", "reason", descending=[False] * 3 + [True] + [False] * 2
        )
        .unique(["account_a", "account_b"], keep="first", maintain_order=True)
        .select(list(REVIEW))
    )
