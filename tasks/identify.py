"""Works out who is who from the picture in the state, and keeps the answer: links, persons and their ids."""

from __future__ import annotations

from dataclasses import dataclass

from core.classify import Rules, classify
from core.match import Matching, MatchSettings, match
from core.merge import MergeSettings, merge
from core.normalise import normalise
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
        accounts, known = store.accounts(), store.links()
        chosen, rules = inst.config.settings.match, inst.config.settings.classes
        normalised = normalise(accounts, chosen.placeholders)
        classified = classify(
            accounts, normalised, facts, Rules(rules.rules(), rules.built_in), links=known, today=inst.today()
        )
        matching: Matching = match(
            accounts,
            normalised,
            facts,
            links=known,
            persons=store.person_ids(),
            decisions=store.decisions(),
            classes=classified.classes,
            settings=MatchSettings(
                inst.config.settings.directory,
                keys=chosen.keys,
                hub_limit=chosen.hub_limit,
                reuse=chosen.reuse,
                cap=chosen.cap,
            ),
        )
        del normalised  # the largest frame: what follows needs its memory
        settings = MergeSettings(
            now=inst.clock(),
            today=inst.today(),
            prefer={name: each.prefer for name, each in inst.config.settings.attributes.items()},
            status_rule=inst.config.settings.status.rule,
        )
        persons = merge(accounts, matching, facts, settings)
        store.save_identity(run_id, matching.links, matching.persons, persons, inst.clock(), lineage=matching.lineage)
    notes = (*classified.notes, *matching.notes)
    return Identified(accounts.height, persons.height, matching.doubts.height, notes)
