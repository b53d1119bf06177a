"""Works out who is who from the picture in the state, and keeps the answer: links, persons and their ids."""

from __future__ import annotations

from dataclasses import dataclass

from core.match import Matching, MatchSettings, match
from core.merge import MergeSettings, merge
from core.normalise import normalise
from state.store import Store
from tasks.facts import tenant_facts
from tasks.installation import Installation
from tasks.override import in_force, notes, remember


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
        matching: Matching = match(
            accounts,
            normalise(accounts),
            facts,
            links=store.links(),
            persons=store.person_ids(),
            decisions=store.decisions(),
            settings=MatchSettings(
                inst.config.settings.directory,
                keys=inst.config.settings.match.keys,
                hub_limit=inst.config.settings.match.hub_limit,
            ),
        )
        settings = MergeSettings(
            now=inst.clock(),
            today=inst.today(),
            prefer={name: each.prefer for name, each in inst.config.settings.attributes.items()},
            status_rule=inst.config.settings.status.rule,
        )
        overrides = in_force(store, matching, settings.now)
        persons = merge(accounts, matching, facts, settings, overrides)
        store.save_identity(run_id, matching.links, matching.persons, persons, inst.clock())
        remember(store, settings.now)
    told = (*matching.notes, *notes(inst, overrides, persons))
    return Identified(accounts.height, persons.height, matching.doubts.height, told)
