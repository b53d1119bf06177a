"""Works out who is who from the picture in the state, and keeps the answer: links, persons and their ids."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import polars as pl

from core.match import Matching, MatchSettings, match
from core.merge import MergeSettings, merge
from core.merge_status import StatusRule
from core.model import TenantFacts
from core.normalise import normalise
from core.review import to_review, undecided
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
        start = restored(store.links(), store.decided(), store.undone(), decisions, store.link_history)
        matching = who_is_who(inst, accounts, facts, links=start.links, persons=store.person_ids(), decisions=decisions)
        status = inst.config.settings.status
        settings = MergeSettings(
            now=inst.clock(),
            today=inst.today(),
            attributes=inst.config.settings.attributes,
            status=StatusRule(status.rule, status.leave, status.words),
        )
        notes = list(matching.notes)
        persons = merge(accounts, matching, facts, settings, notes=notes)
        doubts = to_review(decisions, matching.links, matching.doubts, name=_namer(accounts, facts))
        with store.session.transaction():  # what a decision moved, and that it did, are known together or not at all
            store.save_identity(run_id, matching.links, matching.persons, persons, inst.clock())
            store.save_review(run_id, doubts, start.decided, start.undone, inst.clock())
        return Identified(accounts.height, persons.height, undecided(doubts, decisions).height, tuple(notes))


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


def _namer(accounts: pl.DataFrame, facts: Sequence[TenantFacts]) -> Callable[[int], str]:
    tenants = {each.tenant_key: each.name for each in facts}

    def name(account: int) -> str:
        tenant, native = accounts.filter(pl.col("account_key") == account).select("tenant_key", "native_id").row(0)
        return f"{tenants[tenant]} {native}"

    return name
