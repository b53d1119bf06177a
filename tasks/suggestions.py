"""Proposes persons who may be one human, and joins those that the admin's thresholds accept.

A step of its own looks for them at the end of a run, so that no plan waits for it; `identify` of the next run joins by them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import polars as pl

from core.frames import DECISION, DOUBT, REVIEW, conform
from core.match import Matching
from core.model import TenantFacts
from core.normalise import normalise
from core.settings import Match
from core.suggest import SIMILAR, SUGGESTION, SuggestSettings, fingerprint, still_open, suggest, unexplained
from core.suggest_accept import accepted, joining, retold, torn, without
from state.store import Store
from tasks.facts import tenant_facts
from tasks.installation import Installation

MADE_OF = "suggested_from"  # the fingerprint of what the stored suggestions were made of
MOST = 20_000  # the likeliest: no human reads more, and a directory of namesakes has millions


def look_alike(inst: Installation, run_id: str) -> int | None:
    """Looks for suggestions when something moved that they are made of, and keeps the likeliest; how many. None: nothing moved."""
    chosen = inst.config.settings.match
    if not chosen.suggest.enabled:
        return None
    with Store.open(inst.state, purpose="suggest", now=inst.clock) as store:
        accounts, links, decisions = store.accounts(), store.links(), store.decisions()
        content = fingerprint(accounts, links, decisions, chosen.suggest)
        if store.session.get(MADE_OF) == content:
            return None
        firm = store.doubts().filter(pl.col("rule") != SIMILAR)
        found = suggest(
            accounts,
            normalise(accounts, chosen.placeholders),
            tenant_facts(inst, store),
            links,
            decisions=decisions,
            doubts=firm.select(list(DOUBT)),
            classes=links.select("account_key", "class"),
            settings=SuggestSettings(chosen.suggest.min_score, chosen.suggest.partners),
        ).head(MOST)
        told = unexplained(firm, found, links)
        fresh = conform(found, REVIEW).join(told, on=["account_a", "account_b"], how="anti", maintain_order="left")
        with store.session.transaction():
            store.save_review(run_id, pl.concat([told, fresh]), store.decided(), store.undone(), inst.clock())
            store.session.put(MADE_OF, content)
    return found.height


def with_suggestions(
    first: Matching,
    again: Callable[[pl.DataFrame], Matching],
    settings: Match,
    *,
    accounts: pl.DataFrame,
    facts: Sequence[TenantFacts],
    decisions: pl.DataFrame,
    stored: pl.DataFrame | None = None,
) -> tuple[Matching, pl.DataFrame]:
    """The matching of a run with what its thresholds accepted, and the REVIEW rows of pairs that are left for a human.

    `first`: the matching by strong keys alone; `again`: matches anew with these DECISION rows, from the same links;
    `stored`: REVIEW rows of an earlier run, given when nothing moved since that suggestions are made of. Without
    thresholds `first` stands, less the address doubts that a suggestion explains better.
    """
    chosen = settings.suggest
    if not chosen.enabled:
        return first, pl.DataFrame(schema=SUGGESTION)
    classes = first.links.select("account_key", "class")
    if stored is None:
        found = suggest(
            accounts,
            normalise(accounts, settings.placeholders),
            facts,
            first.links,
            decisions=decisions,
            doubts=first.doubts,
            classes=classes,
            settings=SuggestSettings(chosen.min_score, chosen.partners),
        )
    else:
        found = still_open(stored, first.links, decisions)
    limits = {str(name): score for name, score in chosen.merge_above.items()}
    sure = accepted(found, limits, classes, first.links) if limits else found.clear()
    second = first
    while sure.height:
        second = again(joining(decisions.select(list(DECISION)), sure))
        # A veto that only shows when two persons meet must not part either of them: such a pair is a human's business.
        parted = torn(first.links, second.links)
        if parted.is_empty():
            second = replace(second, links=retold(second.links, first.links, sure))
            break
        fewer = without(sure, parted, first.links)
        if fewer.height == sure.height:
            second = first
            break
        second, sure = first, fewer
    left = still_open(found, second.links, decisions)
    return replace(second, doubts=unexplained(second.doubts, left, second.links)), left
