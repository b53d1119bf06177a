"""Records what a human decides on pairs of accounts: accept, reject, pin, split, undo. Needs no lease: a run may go on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.errors import ConfigError, Problem, RefusedError
from core.review import OPEN, SAME, Account, Pair, contradictions, item_id, pair_of, parting
from state.control import Control, Decision, Word
from state.snapshot import Snapshot
from tasks.installation import Installation
from tasks.review_foresee import foresee, quick
from tasks.review_words import Said, contradiction, keys_of, one_item, said, sides
from tasks.who import the_one

Row = dict[str, Any]


@dataclass(frozen=True)
class Saying:
    """One word that is to be recorded, and who says it when (None: now)."""

    pair: Pair
    word: str
    why: str
    who: str
    when: datetime | None = None


def judge(
    inst: Installation,
    snapshot: Snapshot,
    prefixes: Sequence[str],
    word: str,
    *,
    who: str,
    why: str,
    preview: bool | None,
    whole: bool = False,
) -> Row:
    """Says `same` or `different` on items of the review. ConfigError when an id names none or several.

    `whole`: also on every account of the one's person with every account of the other's, since a word on two accounts
    moves no veto between the rest of theirs (say, two enabled accounts of one tenant).
    """
    heard = said(inst, snapshot)
    pairs = [one_item(snapshot, heard, each)[0] for each in prefixes]
    if whole:
        pairs = list(dict.fromkeys(pair for each in pairs for pair in (each, *_across(snapshot, each))))
    return decide(inst, snapshot, heard, [Saying(pair, word, why, who) for pair in pairs], preview=preview)


def _across(snapshot: Snapshot, pair: Pair) -> list[Pair]:
    """Every account of one side's person with every account of the other side's, as the snapshot has them."""
    sides = []
    for tenant, native in pair:
        rows = snapshot.query(
            "SELECT tenant, native_id FROM links WHERE person_id = "
            "(SELECT person_id FROM links WHERE tenant = $tenant AND native_id = $native)",
            {"tenant": tenant, "native": native},
        )
        sides.append(sorted(rows.iter_rows()))
    return [pair_of(one, other) for one in sides[0] for other in sides[1] if one != other]


def undo(
    inst: Installation, snapshot: Snapshot, prefixes: Sequence[str], *, who: str, why: str, preview: bool | None
) -> Row:
    """Takes words back: accounts return to the persons they were before. RefusedError when nobody said anything there."""
    heard = said(inst, snapshot)
    pairs = [one_item(snapshot, heard, each)[0] for each in prefixes]
    if silent := [item_id(*pair)[:8] for pair in pairs if pair not in heard.standing]:
        raise RefusedError(f"no decision stands on {', '.join(silent)}", remedy="See `onefold review list --decided`")
    return decide(inst, snapshot, heard, [Saying(pair, OPEN, why, who) for pair in pairs], preview=preview)


def pin(
    inst: Installation, snapshot: Snapshot, one: str, other: str, *, who: str, why: str, preview: bool | None
) -> Row:
    """Says `same` on any two accounts, given as tenant/native_id or tenant:name."""
    pair = pair_of(the_account(inst, snapshot, one), the_account(inst, snapshot, other))
    if pair[0] == pair[1]:
        raise ConfigError([Problem(other, "is the same account", "Name two accounts")])
    return decide(inst, snapshot, said(inst, snapshot), [Saying(pair, SAME, why, who)], preview=preview)


def split(
    inst: Installation,
    snapshot: Snapshot,
    person: str,
    leaving: Sequence[str],
    *,
    who: str,
    why: str,
    preview: bool | None,
) -> Row:
    """Parts accounts from the others of their person; they stay together, and so do the others."""
    found = the_one(snapshot, person)
    rows = snapshot.query(
        "SELECT tenant, native_id FROM links WHERE person_id = $person_id", {"person_id": found["person_id"]}
    )
    theirs: list[Account] = sorted(rows.iter_rows())
    parted = sorted({the_account(inst, snapshot, each) for each in leaving})
    called = ", ".join(f"{tenant}/{native}" for tenant, native in theirs)
    if strangers := [each for each in parted if each not in theirs]:
        names = ", ".join(f"{tenant}/{native}" for tenant, native in strangers)
        raise ConfigError([Problem("--account", f"{names} is not {person}'s", f"Theirs: {called}")])
    staying = [each for each in theirs if each not in parted]
    if not staying:
        raise ConfigError(
            [Problem("--account", f"nobody would be left of {person}", f"Name some of {called}, not all")]
        )
    heard = said(inst, snapshot)
    sayings = [Saying(pair, word, why, who) for pair, word in parting(parted, staying).items()]
    # A pin that ties the two sides would contradict: the newer word takes it back.
    ties = [
        Saying(pair, OPEN, why, who)
        for pair, word in heard.standing.items()
        if word.decision == SAME and (pair[0] in parted) != (pair[1] in parted) and set(pair) <= set(theirs)
    ]
    said_on = {each.pair for each in sayings}
    return decide(
        inst, snapshot, heard, [*(each for each in ties if each.pair not in said_on), *sayings], preview=preview
    )


def the_account(inst: Installation, snapshot: Snapshot, text: str) -> Account:
    """The account that `tenant/native_id` or `tenant:name` means. ConfigError when it means none or several."""
    tenants = sorted(inst.config.tenants)
    for mark, names in (("/", False), (":", True)):
        tenant, found, word = text.partition(mark)
        if not found or tenant not in tenants:
            continue
        rows = snapshot.ask("review_find", {"tenant": tenant, "word": word, "names": names}).to_dicts()
        if len(rows) == 1:
            return tenant, str(rows[0]["native_id"])
        if rows:
            several = ", ".join(f"{tenant}/{row['native_id']}" for row in rows[:20])
            raise ConfigError([Problem(text, f"means {len(rows)} accounts", f"Say which: {several}")])
        what = "user name, address or id" if names else "id"
        raise ConfigError(
            [Problem(text, f"{tenant} has no account of that {what}", "See `onefold explain` or the view `accounts`")]
        )
    remedy = f"Write tenant/native_id or tenant:name; tenants are {', '.join(tenants)}"
    raise ConfigError([Problem(text, "names no account", remedy)])


def decide(
    inst: Installation, snapshot: Snapshot | None, heard: Said, sayings: Sequence[Saying], *, preview: bool | None
) -> Row:
    """Records the words that are new, and tells what the next plan would make of them. RefusedError on a contradiction.

    `preview`: true records nothing; none foresees where that is quick; false does not foresee.
    """
    fresh = [each for each in sayings if _differs(each, heard.standing.get(each.pair))]
    new = {each.pair for each in fresh}
    words = after(heard, fresh)
    refuse_contradictions(heard, fresh, words, inst.clock())
    persons = None
    if snapshot is not None and (preview or (preview is None and quick(snapshot))):
        persons = foresee(inst, snapshot, words, heard.pairs)
    if fresh and not preview:
        with Control.open(inst.state) as control:
            control.decide([_decision(each) for each in fresh], inst.clock())
    known = keys_of(snapshot, [account for each in sayings for account in each.pair]) if snapshot is not None else {}
    return {
        "recorded": [] if preview else [_document(each) for each in fresh],
        "would_record": [_document(each) for each in fresh] if preview else [],
        "unchanged": [_document(each) for each in sayings if each.pair not in new],
        "waiting": [_document(each) for each in sayings if not known.keys() >= set(each.pair)],
        "persons": persons,
    }


def _differs(saying: Saying, standing: Word | None) -> bool:
    return saying.word != (standing.decision if standing else OPEN)


def after(heard: Said, fresh: Sequence[Saying]) -> dict[Pair, str]:
    """The words that stand once the fresh ones are recorded."""
    words = heard.pairs
    for each in fresh:
        words.pop(each.pair, None)
        if each.word != OPEN:
            words[each.pair] = each.word
    return words


def refuse_contradictions(heard: Said, fresh: Sequence[Saying], words: Mapping[Pair, str], now: datetime) -> None:
    """RefusedError that names the decisions, when the fresh ones would contradict what stands, or one another."""
    mine = {each.pair for each in fresh}
    found = [each for each in contradictions(words) if mine & {each.different, *each.path}]
    if not found:
        return
    told = "; ".join(contradiction(each, with_sayings(heard, fresh, now))["problem"] for each in found[:5])
    old = sorted({pair for each in found for pair in (each.different, *each.path)} - mine)
    ids = " or ".join(item_id(*pair)[:8] for pair in old)
    remedy = f"Take one back first: onefold review undo {ids}" if old else "Say one thing of them"
    raise RefusedError(f"the decisions contradict each other: {told}", remedy=remedy)


def with_sayings(heard: Said, fresh: Sequence[Saying], now: datetime) -> Said:
    """As if they were recorded already: a contradiction can then name them."""
    standing = dict(heard.standing)
    for each in fresh:
        (tenant_a, native_a), (tenant_b, native_b) = each.pair
        pair = (tenant_a, native_a, tenant_b, native_b)
        standing[each.pair] = Word("", *pair, each.word, each.who, each.when or now, verified=False, why=each.why)
    return Said(heard.by_pair, standing)


def _decision(each: Saying) -> Decision:
    (tenant_a, native_a), (tenant_b, native_b) = each.pair
    word: Any = each.word
    return Decision(tenant_a, native_a, tenant_b, native_b, word, each.who, why=each.why, decided_at=each.when)


def _document(each: Saying) -> Row:
    return {
        "item": item_id(*each.pair),
        **sides(each.pair),
        "decision": each.word,
        "why": each.why,
        "decided_by": each.who,
    }
