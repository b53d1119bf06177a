"""What people said on pairs of accounts: from the control store, and from the snapshot what that may have lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import ConfigError, Problem
from core.review import OPEN, Account, Contradiction, Pair, item_id, pair_of
from state.control import Control, Word
from state.snapshot import Snapshot
from tasks.installation import Installation

Row = dict[str, Any]
LEAST_PREFIX = 4


@dataclass(frozen=True)
class Said:
    """Every word ever said on pairs of accounts, by pair and oldest first, and the one that stands (`open` ones do not)."""

    by_pair: Mapping[Pair, Sequence[Word]]
    standing: Mapping[Pair, Word]

    @property
    def pairs(self) -> dict[Pair, str]:
        """The standing words alone."""
        return {pair: word.decision for pair, word in self.standing.items()}

    @property
    def items(self) -> list[str]:
        """Ids of the decided pairs."""
        return [item_id(*pair) for pair in self.standing]

    def of(self, pair: Pair) -> Sequence[Word]:
        """All words on one pair, oldest first."""
        return self.by_pair.get(pair, ())


def pair_said(word: Word) -> Pair:
    """The two accounts it is about."""
    return pair_of((word.tenant_a, word.native_id_a), (word.tenant_b, word.native_id_b))


def said(inst: Installation, snapshot: Snapshot | None) -> Said:
    """What the control store holds and what the state still knows if that was lost."""
    words: dict[str, Word] = {}
    if snapshot is not None:
        for row in snapshot.table("decisions").drop("stands").iter_rows(named=True):
            words[row["decision_id"]] = Word(**{**row, "verified": bool(row["verified"]), "why": row["why"] or ""})
    with Control.open(inst.state) as control:
        words |= {word.decision_id: word for word in control.words()}
    by_pair: dict[Pair, list[Word]] = {}
    for key in sorted(words):
        by_pair.setdefault(pair_said(words[key]), []).append(words[key])
    last = {pair: every[-1] for pair, every in sorted(by_pair.items())}
    return Said(by_pair, {pair: word for pair, word in last.items() if word.decision != OPEN})


def word_document(word: Word) -> Row:
    """One decision: who, when, why."""
    pair = pair_said(word)
    return {
        "item": item_id(*pair),
        **sides(pair),
        "decision": word.decision,
        "why": word.why,
        "decided_by": word.decided_by,
        "verified": word.verified,
        "decided_at": word.decided_at,
        "decision_id": short_decision(word),
    }


def short_decision(word: Word) -> str:
    """The id of one decision, without what makes it sort."""
    return word.decision_id.rpartition("-")[2]


def sides(pair: Pair) -> Row:
    """The two accounts as columns."""
    (tenant_a, native_a), (tenant_b, native_b) = pair
    return {"tenant_a": tenant_a, "native_id_a": native_a, "tenant_b": tenant_b, "native_id_b": native_b}


def contradiction(each: Contradiction, heard: Said) -> Row:
    """A contradiction with the decisions that make it, in words."""
    apart = heard.standing[each.different]
    chain = [heard.standing[pair] for pair in each.path]
    return {
        "different": word_document(apart),
        "same": [word_document(word) for word in chain],
        "problem": f"{in_words(apart)}, but {' and '.join(in_words(word) for word in chain)}",
    }


def in_words(word: Word) -> str:
    """`corp a17 and hr 9 are different (item 1a2b3c4d, mia, 2026-11-02)`."""
    (tenant_a, native_a), (tenant_b, native_b) = pair = pair_said(word)
    who = f"item {item_id(*pair)[:8]}, {word.decided_by}, {word.decided_at:%Y-%m-%d}"
    return f"{tenant_a} {native_a} and {tenant_b} {native_b} are {word.decision} ({who})"


def unknown(snapshot: Snapshot, pairs: Mapping[Pair, object] | Sequence[Pair]) -> list[Pair]:
    """Pairs of which an account was never read: their word waits for it."""
    known = keys_of(snapshot, [account for pair in pairs for account in pair])
    return [pair for pair in pairs if not (pair[0] in known and pair[1] in known)]


def keys_of(snapshot: Snapshot, accounts: Sequence[Account]) -> dict[Account, int]:
    """account_key of those accounts that are known."""
    wanted = sorted(set(accounts))
    params = {"tenants": [tenant for tenant, _ in wanted], "ids": [native for _, native in wanted]}
    return {(tenant, native): key for tenant, native, key in snapshot.ask("review_keys", params).iter_rows()}


def one_item(snapshot: Snapshot, heard: Said, prefix: str) -> tuple[Pair, Row | None]:
    """The pair that an id, or its first digits, names, and its doubt if it is one. ConfigError when none or several do."""
    wanted = prefix.strip().lower()
    found: dict[Pair, Row | None] = {}
    if len(wanted) >= LEAST_PREFIX:
        for pair, words in heard.by_pair.items():
            if any(each.startswith(wanted) for each in (item_id(*pair), *map(short_decision, words))):
                found[pair] = None
        for doubt in snapshot.ask("review_item", {"prefix": wanted}).to_dicts():
            found[(doubt["tenant_a"], doubt["native_id_a"]), (doubt["tenant_b"], doubt["native_id_b"])] = doubt
    if not found:
        remedy = f"See `onefold review list`; give at least {LEAST_PREFIX} digits"
        raise ConfigError([Problem(prefix, "is no item of the review", remedy)])
    if len(found) > 1:
        names = ", ".join(item_id(*pair)[:12] for pair in sorted(found)[:10])
        raise ConfigError([Problem(prefix, f"begins several items: {names}", "Give more digits")])
    ((pair, row),) = found.items()
    if row is None:
        rows = snapshot.ask("review_item", {"prefix": item_id(*pair)}).to_dicts()
        row = rows[0] if rows else None
    return pair, row
