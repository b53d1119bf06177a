"""Why a person's attributes are what they are: the winner and the losers of each, with reasons, worked out anew by the rules of `merge`.

For the few accounts of one person: the main path keeps one small integer an attribute and never this.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from core.frames import BIT, PERSON_ATTRIBUTES
from core.merge import ranked
from core.model import Right, TenantFacts

# `active` is decided by the status rule, not by survivorship.
SURVIVING: tuple[str, ...] = tuple(name for name in PERSON_ATTRIBUTES if name != "active")
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Voice:
    """What one account says of one attribute (`value` null: it says none), and why that counts or does not."""

    account_key: int
    tenant: str
    native_id: str
    value: object
    reason: str


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute of a person: the account whose word stands (none: nobody may say anything), and the others who spoke."""

    name: str
    value: object
    winner: Voice | None
    losers: tuple[Voice, ...]


def attributes(
    accounts: pl.DataFrame,
    links: pl.DataFrame,
    tenants: Sequence[TenantFacts],
    prefer: Mapping[str, Sequence[str]],
    *,
    names: Sequence[str] = SURVIVING,
) -> tuple[Attribute, ...]:
    """Every attribute that any account speaks of. `accounts` (ACCOUNT), `links` (LINK): those of one person."""
    if accounts.is_empty():
        return ()
    order = ranked(accounts, links, tenants).to_dicts()
    known = {each.tenant_key: each for each in tenants}
    rows = accounts.to_dicts()
    told = []
    for name in names:
        spoken = [(place, each) for place, each in enumerate(order) if each["present"] & BIT[name]]
        if not spoken:
            continue
        turns = _turns(name, prefer, tenants)
        best = order[0]["standing"]
        able = [
            (turns.get(each["tenant_key"], len(turns)), place)
            for place, each in spoken
            if each["standing"] == best and not each["silent"]
        ]
        chosen = min(able)[1] if able else None
        voices = [
            Voice(
                each["account_key"],
                known[each["tenant_key"]].name,
                each["native_id"],
                rows[each["place"]][name],
                _why(name, each, order[chosen] if chosen is not None else None, order[0], known, turns, len(able)),
            )
            for _, each in spoken
        ]
        winner = next(
            (voice for (place, _), voice in zip(spoken, voices, strict=True) if place == chosen and able), None
        )
        losers = tuple(voice for voice in voices if voice is not winner)
        told.append(Attribute(name, winner.value if winner else None, winner, losers))
    return tuple(told)


def _turns(name: str, prefer: Mapping[str, Sequence[str]], tenants: Sequence[TenantFacts]) -> dict[int, int]:
    """tenant_key → its turn among those that the config prefers for this attribute."""
    keys = {each.name: each.tenant_key for each in tenants}
    return {keys[tenant]: turn for turn, tenant in enumerate(prefer.get(name, ())) if tenant in keys}


def _why(  # noqa: PLR0917 - a reason compares two accounts in the light of the config
    name: str,
    mine: Row,
    winner: Row | None,
    first: Row,
    tenants: Mapping[int, TenantFacts],
    turns: Mapping[int, int],
    speakers: int,
) -> str:
    """Why this account's word counts, or whose counts instead."""
    tenant = tenants[mine["tenant_key"]]
    if mine is winner:
        if mine["tenant_key"] in turns:
            return f"attributes.{name} prefers {tenant.name}"
        return "nobody else may say" if speakers == 1 else f"{tenant.name} ranks highest of those who speak of it"
    if Right.ATTRIBUTES not in tenant.may:
        return f"{tenant.name} may not give attributes"
    if mine["guest"] and not first["guest"]:
        return "a guest's record gives memberships only"
    if mine["admin"] and not first["admin"]:
        return "an admin twin gives no attributes"
    if mine["standing"] != first["standing"]:
        return f"{tenant.name} is retired" if mine["retired"] else f"the account is gone from {tenant.name}"
    if winner is None:  # unreachable where somebody may speak
        return "nobody may speak"
    better = tenants[winner["tenant_key"]]
    if turns.get(winner["tenant_key"], len(turns)) != turns.get(mine["tenant_key"], len(turns)):
        return f"attributes.{name} prefers {better.name}"
    if better.tenant_key != tenant.tenant_key:
        return f"{better.name} ranks higher"
    if mine["off"] != winner["off"]:
        return "disabled, and another account there is enabled"
    return "two accounts in one tenant: the smaller native_id counts"
