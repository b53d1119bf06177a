"""Carries out changes of one target: intents on disk, calls side by side, receipts on disk. What to carry out is decided in `apply`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import polars as pl

from connectors.http import UnknownOutcome
from connectors.target import RemoteUser, Target
from core.errors import OnefoldError, RefusedError, TerminalError, TransientError
from core.model import INVERSE, REDUCES_ACCESS, Outcome, Receipt, Verb
from core.names import fold
from state.ledger import Intent, Quarantined
from state.store import Store
from tasks.perform import EDGE_VERBS, GROUP_VERBS, Change, changes_of, look, perform

BATCH = 200  # changes whose intents are committed together; also the most that must be looked at after a death
AT_ONCE = 8  # calls side by side; the connector paces them
LEAST_FAILURES, WORST_RATIO = (
    10,
    0.3,
)  # the breaker: a target that fails this often has another problem than its objects
FIRST_RETRY = timedelta(minutes=15)
LONGEST_RETRY = timedelta(hours=24)
LOOK_FIRST = frozenset({Verb.DEACTIVATE_USER, Verb.DELETE_USER, Verb.RENAME_USER})


@dataclass
class Tally:
    """What became of the changes of one target."""

    applied: int = 0
    failed: int = 0
    compensated: int = 0
    quarantined: int = 0
    dropped: list[tuple[Change, str]] = field(default_factory=list)
    stopped: str | None = None


@dataclass
class Hand:
    """Carries out changes of one target for one run, verb by verb."""

    store: Store
    run_id: str
    digest: str
    name: str
    target: Target
    clock: Callable[[], datetime]
    tell: Callable[[int], None]
    tally: Tally = field(default_factory=Tally)
    _users: dict[int, tuple[str, str | None]] = field(default_factory=dict)  # user_key -> remote id, name
    _made: dict[int, tuple[str, str | None]] = field(default_factory=dict)  # person_key -> remote id, name
    _lost_people: set[int] = field(default_factory=set)
    _lost_groups: set[str] = field(default_factory=set)
    _units: dict[int, list[tuple[int, Change, Receipt]]] = field(default_factory=dict)
    _failed_units: set[int] = field(default_factory=set)
    _tried: int = 0

    def carry_out(self, rows: pl.DataFrame, values: pl.DataFrame) -> Tally:
        """Rows of CHANGE of this target in order of seq, and the plan's CHANGE_VALUE. Stops between batches when told to."""
        users = self.store.existing(self.name).users
        self._users = {
            key: (remote, user) for key, remote, user in users.select("user_key", "remote_id", "user_name").iter_rows()
        }
        for verb in Verb:
            mine = rows.filter(pl.col("verb").cast(pl.String) == verb.value)
            for start in range(0, mine.height, BATCH):
                if self._must_stop():
                    break
                self._batch(changes_of(mine[start : start + BATCH], values))
                self.tell(self._tried)
        return self.tally

    def _must_stop(self) -> bool:
        """True after a stop request, a lost lease, a refusal or too many failures; says so once."""
        if self.tally.stopped is None:
            asked = self.store.control.waiting("stop")
            if asked:
                self.store.control.take(asked, self.clock())
                self.tally.stopped = f"{asked[0].asked_by} asked to stop"
            elif not self.store.lease.still_mine():
                self.tally.stopped = "the lease was lost to another run"
            elif self.tally.failed >= LEAST_FAILURES and self.tally.failed > WORST_RATIO * self._tried:
                self.tally.stopped = f"{self.tally.failed} of {self._tried} changes failed"
        return self.tally.stopped is not None

    def _batch(self, changes: Sequence[Change]) -> None:
        chosen = []
        for change in changes:
            if (why := self._waits(change)) is not None:
                self.tally.dropped.append((change, why))
            else:
                chosen.append(self._known(change))
        if not chosen:
            return
        done = self._send(chosen)
        failed = [(change, receipt) for _, change, receipt in done if receipt.outcome is Outcome.FAILED]
        for intent_id, change, receipt in done:
            self._note(intent_id, change, receipt)
        for change, _ in failed:
            self._undo(change)
        self._quarantine(failed)
        through = {each.object_id for _, each, receipt in done if receipt.outcome in {Outcome.APPLIED, Outcome.ALREADY}}
        waited = {each.object_id for each in self.store.ledger.quarantine() if each.target == self.name}
        self.store.ledger.release(
            (self.name, each) for each in sorted((through & waited) - {c.object_id for c, _ in failed})
        )

    def _waits(self, change: Change) -> str | None:
        """Why this change cannot be carried out any more in this run."""
        if change.unit in self._failed_units:
            return "another change of its unit failed"
        if change.person_key in self._lost_people and change.verb is not Verb.DEACTIVATE_USER:
            return "its user did not come to be"
        if change.group_name is not None and fold(change.group_name) in self._lost_groups:
            return "its group did not come to be"
        return None

    def _known(self, change: Change) -> Change:
        """The change with its user's remote id and the name the user has by now."""
        found: tuple[str, str | None] | None = None
        if change.verb in GROUP_VERBS or change.verb is Verb.CREATE_USER:
            return change
        if change.user_key is not None:
            found = self._users.get(change.user_key)
        elif change.person_key is not None:
            found = self._made.get(change.person_key)
        if found is None:
            return change
        return dataclasses.replace(change, remote_id=found[0], user_name=found[1] or change.user_name)

    def _send(
        self, changes: Sequence[Change], undoing: Sequence[int] | None = None
    ) -> list[tuple[int, Change, Receipt]]:
        """Intents, calls, receipts. Nothing is sent before its intent is on disk."""
        intents = [_intent(change, undoing[place] if undoing else None) for place, change in enumerate(changes)]
        ids = self.store.ledger.intend(self.run_id, self.digest, intents, self.clock())
        with ThreadPoolExecutor(min(AT_ONCE, len(changes)), thread_name_prefix="apply") as pool:
            receipts = list(pool.map(self._call, changes))
        self.store.ledger.receive(self.run_id, zip(ids, receipts, strict=True), self.clock())
        self._tried += len(changes)
        return list(zip(ids, changes, receipts, strict=True))

    def _call(self, change: Change) -> Receipt:
        """One call and what we know after it. Runs in a thread."""
        if self.tally.stopped is not None:
            return Receipt(Outcome.FAILED, detail=f"not sent: {self.tally.stopped}", requests=0)
        try:
            if change.verb in LOOK_FIRST and (shut := self._shut(change)) is not None:
                return shut
            receipt = perform(self.target, change)
            if change.verb is Verb.CREATE_USER and receipt.outcome is Outcome.ALREADY:
                receipt = self._whose(change, receipt)
        except (UnknownOutcome, TransientError) as error:
            return self._looked(change, error)
        except TerminalError as error:
            return Receipt(Outcome.FAILED, detail=str(error))
        except RefusedError as error:
            self.tally.stopped = str(error)
            return Receipt(Outcome.FAILED, detail=str(error))
        return receipt

    def _whose(self, change: Change, receipt: Receipt) -> Receipt:
        """A user of that name was there already: ours by what it shows, or somebody else's."""
        if look(self.target, change) is not None:
            return receipt
        return Receipt(
            Outcome.FAILED, detail=f"somebody else has the user name {change.label} there; plan again, or pin them"
        )

    def _shut(self, change: Change) -> Receipt | None:
        """Reads the user before access is taken: one who became protected since the plan stays as he is."""
        if change.remote_id is None:
            return None
        user: RemoteUser | None = self.target.user(remote_id=change.remote_id)
        if user is None:
            raise TerminalError("is gone", target=self.name, object=change.label, remedy="Run `onefold reconcile`")
        if user.protected is not None:
            raise TerminalError(
                f"is protected: {user.protected}", target=self.name, object=change.label, remedy="Do it by hand"
            )
        return None

    def _looked(self, change: Change, error: OnefoldError) -> Receipt:
        """After a lost answer: what the target shows. `unknown` stays open, and the next run looks again."""
        try:
            found = look(self.target, change)
            if found is None and isinstance(error, UnknownOutcome):
                return perform(self.target, change)  # it did not take effect: once more
        except OnefoldError as second:
            return Receipt(Outcome.UNKNOWN, detail=f"{error}; {second}")
        return found if found is not None else Receipt(Outcome.FAILED, detail=str(error))

    def _note(self, intent_id: int, change: Change, receipt: Receipt) -> None:
        if receipt.outcome in {Outcome.APPLIED, Outcome.ALREADY}:
            self.tally.applied += 1
            self._units.setdefault(change.unit, []).append((intent_id, change, receipt))
            if change.verb is Verb.CREATE_USER and change.person_key is not None and receipt.remote_id is not None:
                self._made[change.person_key] = (receipt.remote_id, change.after.get("user_name"))
            if change.verb is Verb.RENAME_USER and change.user_key is not None and change.remote_id is not None:
                self._users[change.user_key] = (change.remote_id, change.after.get("user_name"))
            return
        if self.tally.stopped is None or not receipt.detail.startswith("not sent"):
            self.tally.failed += 1
        self._failed_units.add(change.unit)
        if change.verb in {Verb.CREATE_USER, Verb.ADOPT_USER, Verb.REACTIVATE_USER} and change.person_key is not None:
            self._lost_people.add(change.person_key)
        if change.verb in {Verb.CREATE_GROUP, Verb.ADOPT_GROUP} and change.group_name is not None:
            self._lost_groups.add(fold(change.group_name))

    def _undo(self, failed: Change) -> None:
        """Undoes what the failed change's unit did already, last first. What took access away is never given back here."""
        done = [each for each in reversed(self._units.pop(failed.unit, [])) if each[1].verb not in REDUCES_ACCESS]
        for intent_id, change, receipt in done:
            back = inverse_of(change, receipt)
            if back is None:
                continue
            for _, _, answer in self._send([back], [intent_id]):
                if answer.outcome in {Outcome.APPLIED, Outcome.ALREADY}:
                    self.tally.compensated += 1
                    self.tally.applied -= 1
            if change.verb is Verb.CREATE_USER and change.person_key is not None:
                self._lost_people.add(change.person_key)

    def _quarantine(self, failed: Sequence[tuple[Change, Receipt]]) -> None:
        """Objects that failed wait longer each time; a target that refused everything is not their fault."""
        if not failed or self.tally.stopped is not None:
            return
        known = {(each.target, each.object_id): each for each in self.store.ledger.quarantine()}
        now = self.clock()
        rows = []
        for change, receipt in failed:
            before = known.get((self.name, change.object_id))
            attempts = (before.attempts if before else 0) + 1
            rows.append(
                Quarantined(
                    target=self.name,
                    object_id=change.object_id,
                    fingerprint=change.fingerprint,
                    verb=change.verb.value,
                    label=change.label,
                    attempts=attempts,
                    next_try_at=now + min(FIRST_RETRY * 2 ** (attempts - 1), LONGEST_RETRY),
                    error=receipt.detail,
                    first_at=before.first_at if before else now,
                    last_at=now,
                )
            )
        self.store.ledger.put_in_quarantine(rows)
        self.tally.quarantined += len(rows)


def inverse_of(change: Change, receipt: Receipt) -> Change | None:
    """The change that undoes this one; None where there is none."""
    verb = INVERSE[change.verb]
    if verb is None:
        return None
    before: Mapping[str, str | None] = change.after
    after: Mapping[str, str | None] = change.before
    name = change.user_name
    if change.verb is Verb.CREATE_USER:
        before, after = {"active": "true"}, {"active": "false"}
    if change.verb is Verb.RENAME_USER:
        name = change.after.get("user_name")
    return dataclasses.replace(
        change, verb=verb, before=before, after=after, user_name=name, remote_id=receipt.remote_id or change.remote_id
    )


def _intent(change: Change, undone: int | None) -> Intent:
    edge = change.verb in EDGE_VERBS
    return Intent(
        seq=change.seq,
        target=change.target,
        verb=change.verb,
        object_id=change.object_id,
        fingerprint=change.fingerprint,
        user_name=change.user_name,
        group_name=change.group_name,
        person_key=change.person_key,
        person_id=change.person_id,
        user_key=change.user_key,
        remote_id=change.remote_id if edge or change.verb is not Verb.CREATE_USER else None,
        evidence=change.evidence,
        unit=change.unit,
        reason=change.reason,
        before=change.before,
        after=change.after,
        compensates=undone,
    )
