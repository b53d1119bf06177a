"""Intents without a definite receipt become knowledge: the target is asked what it holds before anything is sent again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from connectors.target import Target
from core.errors import OnefoldError, TransientError
from core.model import Outcome, Receipt
from state.ledger import Intent, OpenIntent
from state.store import Store
from tasks.perform import EDGE_VERBS, Change, look

NOT_THERE = "looked at: it did not take effect"


def change_of(intent: Intent, remote_ids: Mapping[int, str]) -> Change:
    """The change that an intent announced."""
    known = intent.remote_id or (remote_ids.get(intent.user_key) if intent.user_key is not None else None)
    return Change(
        seq=intent.seq,
        target=intent.target,
        verb=intent.verb,
        object_id=intent.object_id,
        fingerprint=intent.fingerprint,
        user_name=intent.user_name,
        group_name=intent.group_name,
        person_key=intent.person_key,
        person_id=intent.person_id,
        user_key=intent.user_key,
        remote_id=known,
        evidence=intent.evidence,
        unit=intent.unit,
        reason=intent.reason,
        before=intent.before,
        after=intent.after,
    )


@dataclass(frozen=True, slots=True)
class Settled:
    """How many open intents were settled, and the fingerprints of those that had taken effect."""

    count: int = 0
    done: frozenset[str] = frozenset()


def settle(store: Store, run_id: str, target: Target, name: str, now: datetime) -> Settled:
    """Looks at the object of every open intent of one target.

    What did not take effect is closed as failed: the plan of today asks for it again, with today's inputs. TransientError
    when the target does not answer: nothing is sent there before its open intents are known.
    """
    waiting = store.ledger.open_intents(name)
    if not waiting:
        return Settled()
    remote_ids = dict(store.existing(name).users.select("user_key", "remote_id").iter_rows())
    receipts: list[tuple[int, Receipt]] = [(each.intent_id, _settled(target, each, remote_ids)) for each in waiting]
    store.ledger.receive(run_id, receipts, now)
    store.record_receipts(run_id, now)
    done = {
        each.intent.fingerprint
        for each, (_, receipt) in zip(waiting, receipts, strict=True)
        if receipt.outcome is Outcome.ALREADY
    }
    return Settled(len(receipts), frozenset(done))


def _settled(target: Target, waiting: OpenIntent, remote_ids: Mapping[int, str]) -> Receipt:
    change = change_of(waiting.intent, remote_ids)
    try:
        found = look(target, change)
    except TransientError:
        raise
    except OnefoldError as error:
        return Receipt(Outcome.FAILED, detail=f"looked at: {error}")
    if found is not None:
        return found
    missing = change.verb in EDGE_VERBS and change.remote_id is None
    return Receipt(Outcome.FAILED, detail="its user never came to be" if missing else NOT_THERE)
