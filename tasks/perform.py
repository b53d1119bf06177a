"""One change becomes one call, and an unanswered call becomes knowledge by looking. No order, no ledger, no retries here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from connectors.target import (
    DeletesUsers,
    RemoteGroup,
    RemoteUser,
    RenamesUsers,
    Target,
    WritesGroups,
    WritesMembers,
    WritesUsers,
)
from core.errors import TerminalError
from core.model import Evidence, Outcome, Receipt, Verb

USER_VERBS = frozenset(
    {
        Verb.CREATE_USER,
        Verb.UPDATE_USER,
        Verb.RENAME_USER,
        Verb.DEACTIVATE_USER,
        Verb.REACTIVATE_USER,
        Verb.DELETE_USER,
        Verb.ADOPT_USER,
    }
)
EDGE_VERBS = frozenset({Verb.ADD_MEMBER, Verb.REMOVE_MEMBER})
GROUP_VERBS = frozenset({Verb.CREATE_GROUP, Verb.DELETE_GROUP, Verb.ADOPT_GROUP})


@dataclass(frozen=True, slots=True)
class Change:
    """One row of a plan as a value; made for one batch at a time. `remote_id` is the user's, once it is known."""

    seq: int
    target: str
    verb: Verb
    object_id: str
    fingerprint: str
    user_name: str | None = None
    group_name: str | None = None
    person_key: int | None = None
    person_id: str | None = None
    user_key: int | None = None
    remote_id: str | None = None
    evidence: Evidence = Evidence.GRANT
    unit: int = 0
    reason: str = ""
    before: Mapping[str, str | None] = field(default_factory=dict)
    after: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """What a human calls the object."""
        if self.verb in EDGE_VERBS:
            return f"{self.user_name} in {self.group_name}"
        return (self.group_name if self.verb in GROUP_VERBS else self.user_name) or self.object_id


def changes_of(rows: pl.DataFrame, values: pl.DataFrame) -> list[Change]:
    """Change values for one batch: rows of core.frames.CHANGE, and the CHANGE_VALUE rows of the same plan."""
    before: dict[int, dict[str, str | None]] = {}
    after: dict[int, dict[str, str | None]] = {}
    for seq, attribute, old, wanted in (
        values.join(rows.select("seq"), on="seq", how="semi").select("seq", "attribute", "before", "after").iter_rows()
    ):
        before.setdefault(seq, {})[attribute] = old
        after.setdefault(seq, {})[attribute] = wanted
    return [
        Change(
            seq=row["seq"],
            target=row["target"],
            verb=Verb(row["verb"]),
            object_id=row["object_id"],
            fingerprint=row["fingerprint"],
            user_name=row["user_name"],
            group_name=row["group_name"],
            person_key=row["person_key"],
            person_id=row["person_id"],
            user_key=row["user_key"],
            evidence=Evidence(row["evidence"]),
            unit=row["unit"],
            reason=row["reason"] or "",
            before=before.get(row["seq"], {}),
            after=after.get(row["seq"], {}),
        )
        for row in rows.iter_rows(named=True)
    ]


def remote_user(change: Change, known: Mapping[str, str | None] | None = None) -> RemoteUser:
    """The user that the change speaks of, as its connector needs it. TerminalError while nobody knows its remote id."""
    if change.remote_id is None:
        raise TerminalError(
            "its user has no remote id yet",
            target=change.target,
            object=change.label,
            remedy="The change that creates it did not succeed; see `onefold quarantine list`",
        )
    values = {"user_name": change.user_name, **(known or {}), **change.before}
    active = (
        None if change.verb not in {Verb.DEACTIVATE_USER, Verb.REACTIVATE_USER} else change.verb is Verb.DEACTIVATE_USER
    )
    return RemoteUser(change.remote_id, active=active, values=values)


def _pushed(values: Mapping[str, str | None]) -> dict[str, str | None]:
    return {name: value for name, value in values.items() if name not in {"active", "policy"}}


def _able(target: Target, ability: type, change: Change) -> Any:
    if isinstance(target, ability):
        return target
    raise TerminalError(
        f"{change.verb} is not possible there", target=change.target, object=change.label, remedy="Do it by hand"
    )


def perform(target: Target, change: Change) -> Receipt:
    """Sends one change. Raises what the connector raises; adopt_* send nothing."""
    receipt: Receipt
    match change.verb:
        case Verb.ADOPT_USER | Verb.ADOPT_GROUP:
            return Receipt(Outcome.APPLIED, change.object_id, "adopted", 0)
        case Verb.CREATE_USER:
            receipt = _able(target, WritesUsers, change).create_user(_pushed(change.after))
        case Verb.UPDATE_USER:
            receipt = _able(target, WritesUsers, change).update_user(remote_user(change), _pushed(change.after))
        case Verb.DEACTIVATE_USER:
            receipt = _able(target, WritesUsers, change).deactivate_user(remote_user(change))
        case Verb.REACTIVATE_USER:
            receipt = _able(target, WritesUsers, change).reactivate_user(remote_user(change))
        case Verb.RENAME_USER:
            name = change.after["user_name"] or ""
            receipt = _able(target, RenamesUsers, change).rename_user(remote_user(change), name)
        case Verb.DELETE_USER:
            receipt = _able(target, DeletesUsers, change).delete_user(remote_user(change))
        case Verb.CREATE_GROUP:
            receipt = _able(target, WritesGroups, change).create_group(change.group_name or "")
        case Verb.DELETE_GROUP:
            group = RemoteGroup(change.object_id, change.group_name or "")
            receipt = _able(target, WritesGroups, change).delete_group(group)
        case Verb.ADD_MEMBER:
            receipt = _able(target, WritesMembers, change).add_member(change.group_name or "", remote_user(change))
        case Verb.REMOVE_MEMBER:
            receipt = _able(target, WritesMembers, change).remove_member(change.group_name or "", remote_user(change))
    return receipt


def _group_exists(target: Target, name: str) -> str | None:
    for page in target.groups():
        for group in page.groups:
            if group.name.casefold() == name.casefold():
                return group.remote_id
    return None


def _as_wanted(user: RemoteUser, change: Change) -> bool:
    """True when every attribute that the target shows holds what the change wanted; what it never shows proves nothing."""
    shown = [(user.values[name], wanted) for name, wanted in _pushed(change.after).items() if name in user.values]
    return bool(shown) and all((value or "") == (wanted or "") for value, wanted in shown)


def look(target: Target, change: Change) -> Receipt | None:
    """Whether the change took effect already, found by reading the target: a receipt if so, None if it did not.

    Used for intents without a receipt. Where the target cannot show the effect (an unreadable attribute) the answer is
    None, and the change is sent again: every verb sets a state, so sending twice is harmless.
    """
    found: RemoteUser | None = None
    if change.verb is Verb.CREATE_USER:
        found = target.user(user_name=change.after.get("user_name"))
        if found is not None and _as_wanted(found, change):
            return Receipt(Outcome.ALREADY, found.remote_id, "found when looking")
        return None
    if change.verb in GROUP_VERBS:
        remote_id = _group_exists(target, change.group_name or "")
        done = (remote_id is None) is (change.verb is Verb.DELETE_GROUP)
        return Receipt(Outcome.ALREADY, remote_id, "found when looking") if done else None
    if change.remote_id is None:
        return None
    found = target.user(remote_id=change.remote_id)
    if change.verb is Verb.DELETE_USER:
        return None if found else Receipt(Outcome.ALREADY, change.remote_id, "gone when looking")
    if found is None:
        return None
    done = _took_effect(target, found, change)
    return Receipt(Outcome.ALREADY, change.remote_id, "found when looking") if done else None


def _took_effect(target: Target, user: RemoteUser, change: Change) -> bool:
    match change.verb:
        case Verb.DEACTIVATE_USER | Verb.REACTIVATE_USER:
            return user.active is (change.verb is Verb.REACTIVATE_USER)
        case Verb.UPDATE_USER:
            return set(_pushed(change.after)) <= set(user.values) and _as_wanted(user, change)
        case Verb.RENAME_USER:
            return _as_wanted(user, change)
        case Verb.ADD_MEMBER | Verb.REMOVE_MEMBER:
            return _is_member(target, user, change) is (change.verb is Verb.ADD_MEMBER)
        case _:
            return change.verb is Verb.ADOPT_USER


def _is_member(target: Target, user: RemoteUser, change: Change) -> bool:
    return (change.group_name or "").casefold() in {name.casefold() for name in target.groups_of(user)}
