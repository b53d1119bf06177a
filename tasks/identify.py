"""Works out who is who from the picture in the state, and keeps the answer: links, persons and their ids."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import polars as pl

from core.classify import Rules, classify
from core.match import Matching, MatchSettings, match
from core.match_history import Past, normalised_former
from core.merge import MergeSettings, merge
from core.merge_status import StatusRule
from core.model import TenantFacts
from core.normalise import normalise
from core.review import to_review, undecided
from core.unmerge import restored
from state.store import Store
from tasks.facts import tenant_facts
from tasks.installation import Installation
from tasks.override import in_force, notes, remember
from tasks.suggestions import with_suggestions


@dataclass(frozen=True, slots=True)
class Identified:
    """How many accounts became how many persons, how many pairs a human should look at, and notes for the reader.

    `suggestions` of these pairs are only alike: persons between whom no strong key stands.
    """

    accounts: int
    persons: int
    doubts: int
    notes: tuple[str, ...]
    suggestions: int = 0


def identify(inst: Installation, run_id: str) -> Identified:
    """Normalises, matches and merges the complete picture and saves what moved."""
    with Store.open(inst.state, purpose="identify", now=inst.clock) as store:
        facts = tenant_facts(inst, store)
        accounts = store.accounts()
        decisions = store.decisions()
        known = store.links()
        start = restored(
            known,
            store.decided(),
            store.undone(),
            decisions,
            history=store.link_history,
            obeyed=store.decided_history,
        )
        minted, past = store.person_ids(), store.past()

        def again(decided: pl.DataFrame) -> Matching:
            return who_is_who(
                inst,
                accounts,
                facts,
                links=start.links,
                persons=minted,
                decisions=decided,
                since=known,
                past=past,
            )

        matching, similar = with_suggestions(
            again(decisions),
            again,
            inst.config.settings.match,
            accounts=accounts,
            facts=facts,
            decisions=decisions,
            stored=store.doubts(),  # new ones are looked for when the plan is made: nobody waits for them
        )
        status = inst.config.settings.status
        settings = MergeSettings(
            now=inst.clock(),
            today=inst.today(),
            attributes=inst.config.settings.attributes,
            status=StatusRule(status.rule, status.leave, status.words),
        )
        overrides = in_force(store, matching, settings.now)
        failed: list[str] = []
        persons = merge(accounts, matching, facts, settings, overrides, notes=failed)
        doubts = to_review(decisions, matching.links, matching.doubts, similar, name=_namer(accounts, facts))
        with store.session.transaction():  # what a decision moved, and that it did, are known together or not at all
            store.save_identity(
                run_id, matching.links, matching.persons, persons, inst.clock(), lineage=matching.lineage
            )
            store.save_review(run_id, doubts, start.decided, start.undone, inst.clock())
            remember(store, settings.now)
        told = (*matching.notes, *failed, *notes(inst, overrides, persons))
        waiting = undecided(doubts, decisions).height
        return Identified(accounts.height, persons.height, waiting, told, similar.height)


def who_is_who(
    inst: Installation,
    accounts: pl.DataFrame,
    facts: Sequence[TenantFacts],
    *,
    links: pl.DataFrame,
    persons: pl.DataFrame,
    decisions: pl.DataFrame,
    since: pl.DataFrame | None = None,
    past: Past | None = None,
) -> Matching:
    """The matching of these accounts (ACCOUNT) by the rules of the config, from LINK, PERSON_ID and DECISION rows.

    `since`: the links of the last run, where `links` holds restored ones; `past`: addresses and times of before.
    """
    chosen, rules = inst.config.settings.match, inst.config.settings.classes
    normalised = normalise(accounts, chosen.placeholders)
    classified = classify(
        accounts,
        normalised,
        facts,
        Rules(rules.rules(), rules.built_in),
        links=links if since is None else since,
        today=inst.today(),
    )
    matching = match(
        accounts,
        normalised,
        facts,
        links=links,
        persons=persons,
        decisions=decisions,
        classes=classified.classes,
        since=since,
        past=Past(past.times, normalised_former(past.former, chosen.placeholders)) if past is not None else None,
        settings=MatchSettings(
            inst.config.settings.directory,
            keys=chosen.keys,
            hub_limit=chosen.hub_limit,
            reuse=chosen.reuse,
            cap=chosen.cap,
        ),
    )
    return replace(matching, notes=(*classified.notes, *matching.notes))


def _namer(accounts: pl.DataFrame, facts: Sequence[TenantFacts]) -> Callable[[int], str]:
    tenants = {each.tenant_key: each.name for each in facts}

    def name(account: int) -> str:
        tenant, native = accounts.filter(pl.col("account_key") == account).select("tenant_key", "native_id").row(0)
        return f"{tenants[tenant]} {native}"

    return name
