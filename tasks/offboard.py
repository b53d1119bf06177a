"""After an offboarding: what each target shows of the person, and why access is left where it is. Changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import polars as pl

from core.errors import OnefoldError
from core.guard import PROTECTED
from core.model import JSON, TargetMode, Verb
from core.plan import Plan
from state.store import Store
from tasks.apply import Applied
from tasks.facts import tenant_facts
from tasks.installation import Installation
from tasks.person import live_users, owned_users
from tasks.picture import picture_of
from tasks.planning import heir, side_of

DONE, HELD, FAILED, REFUSED = 0, 3, 4, 5  # exit codes of the interface


@dataclass(frozen=True, slots=True)
class Left:
    """One user of the person in one target. `exit` is 0 where there is no access any more."""

    target: str
    user: str
    state: Literal["disabled", "no user", "active", "unknown"]
    why: str = ""
    exit: int = DONE

    def document(self) -> dict[str, JSON]:
        """A row of `offboard --json`."""
        return {"target": self.target, "user": self.user, "state": self.state, "why": self.why}


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A user that is the person's, or may be: `doubt` says why nobody of ours may touch it."""

    user: str
    user_key: int
    active: bool | None
    doubt: str
    protected: bool


def standing(  # noqa: PLR0917 - everything that may have kept access
    inst: Installation, run_id: str, person_id: str, plan: Plan | None, applied: Applied | None, refused: str | None
) -> tuple[Left, ...]:
    """Asks every target for the person's users, also those that only may be the person's. By target and name."""
    with Store.open(inst.state, purpose="offboard", now=inst.clock) as store:
        frozen = store.control.frozen()
        candidates = _candidates(inst, store, heir(store, person_id))
        sent = store.ledger.states(run_id).filter(pl.col("verb") == Verb.DEACTIVATE_USER.value)
    left: list[Left] = []
    for name in sorted(inst.config.targets):
        mine = candidates.get(name, {})
        if not mine:
            left.append(Left(name, "", "no user"))
            continue
        try:
            live = {} if name in frozen else live_users(inst, name, sorted(mine))
        except OnefoldError as error:
            left += [
                Left(name, each.user, "unknown", f"it could not be read: {error}", REFUSED) for each in mine.values()
            ]
            continue
        for remote_id, each in sorted(mine.items(), key=lambda item: item[1].user):
            now = live.get(remote_id)
            active = each.active if name in frozen else None if now is None else now.active
            details = sent.filter((pl.col("target") == name) & (pl.col("user_name") == each.user)).get_column("detail")
            detail = "; ".join(filter(None, details))
            if now is None and name not in frozen:
                left.append(Left(name, each.user, "no user"))
            elif active is False:
                left.append(Left(name, each.user, "disabled", detail))
            else:
                shut = now is not None and now.protected is not None
                why, code = _why(inst, name, each, plan, applied, refused, detail, protected=each.protected or shut)
                left.append(Left(name, each.user, "active", why, code))
    return tuple(left)


def _candidates(inst: Installation, store: Store, person_id: str) -> dict[str, dict[str, _Candidate]]:
    """Per target, by remote id: users that are the person's and users that its keys pair or may pair with the person."""
    picture, _ = picture_of(inst, store, tenant_facts(inst, store))
    key = picture.persons.filter(pl.col("person_id") == person_id).select("person_key")
    owned = owned_users(inst, store, person_id)
    found: dict[str, dict[str, _Candidate]] = {}
    for name in sorted(inst.config.targets):
        target = inst.target(name)
        try:
            side = side_of(inst, store, target, name, picture)
        finally:
            target.close()
        doubts: dict[int, str] = {}
        for frame, words in (
            (side.pairing.pairs, "not ours yet: its adoption waits"),
            (side.pairing.doubtful, "it is doubtful whose user this is: see `onefold adopt`"),
            (side.pairing.protected, "protected: do it by hand"),
        ):
            doubts |= dict.fromkeys(frame.join(key, on="person_key", how="semi").get_column("user_key"), words)
        users = side.existing.users.filter(
            pl.col("remote_id").is_in(owned.get(name, [])) | pl.col("user_key").is_in(list(doubts))
        )
        shut = set(side.protected.get_column("user_key"))
        found[name] = {
            row["remote_id"]: _Candidate(
                row["user_name"] or row["remote_id"],
                row["user_key"],
                row["active"],
                doubts.get(row["user_key"], ""),
                row["user_key"] in shut,
            )
            for row in users.filter("present").iter_rows(named=True)
        }
    return found


def _why(  # noqa: PLR0917 - everything that may have kept access
    inst: Installation,
    name: str,
    user: _Candidate,
    plan: Plan | None,
    applied: Applied | None,
    refused: str | None,
    detail: str,
    *,
    protected: bool,
) -> tuple[str, int]:
    """Why the user is active still, and the exit code that says so."""
    if protected:
        return "protected: do it by hand", REFUSED
    if user.doubt:
        return user.doubt, HELD
    if inst.config.targets[name].common.mode is not TargetMode.APPLY:
        return f"targets.{name}.mode is plan_only", REFUSED
    stopped = {**applied.skipped, **applied.stopped} if applied is not None else {}
    if (why := stopped.get(name) or refused) is not None:
        return why, REFUSED
    if plan is not None:
        verb = pl.col("verb").cast(pl.String) == Verb.DEACTIVATE_USER.value
        mine = plan.changes.filter(verb & (pl.col("target") == name) & (pl.col("user_key") == user.user_key))
        held = {hold for row in mine.get_column("held_by").drop_nulls() for hold in row}
        holds = [each for each in plan.header.holds if each.hold_id in held]
        if holds:
            text = "; ".join(f"held by {each.guard}: {each.reason} (release: {each.release})" for each in holds)
            return text, REFUSED if any(each.guard == PROTECTED for each in holds) else HELD
        if mine.is_empty():
            return "the plan does not deactivate it: see `onefold explain`", HELD
    if detail:
        return detail, FAILED
    dropped = applied.dropped if applied is not None else []
    reasons = [each.reason for each in dropped if each.target == name and each.verb == Verb.DEACTIVATE_USER.value]
    return "; ".join(reasons) or "it was active again when it was looked at afterwards", FAILED
