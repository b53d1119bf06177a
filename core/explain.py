"""Why a person's attributes are what they are: the winner and the losers of each, with reasons, worked out anew by the rules of `merge`.

For the few accounts of one person: the main path keeps one small integer an attribute and never this.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
import polars as pl

from core.frames import BIT, PERSON_ATTRIBUTES
from core.merge import ranked
from core.model import Right, TenantFacts
from core.settings import AttributeRule
from core.survive import DECLARED, FALLBACK, UNION, rule_at, rule_of, survivors

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
    """One attribute of a person: its value, the account whose word stands (none: nobody may say anything) and the others.

    `rule` says how it came to stand; `also` are accounts that gave a part of a united list.
    """

    name: str
    value: object
    winner: Voice | None
    losers: tuple[Voice, ...]
    rule: str = ""
    also: tuple[Voice, ...] = ()


@dataclass(frozen=True)
class _Light:
    """In the light of what the reasons are told."""

    tenants: Mapping[int, TenantFacts]
    prefer: tuple[str, ...]
    turns: Mapping[int, int]
    rule: AttributeRule
    kind: str | None  # the person's class, where `per_class` speaks of it
    first: Row


def attributes(
    accounts: pl.DataFrame,
    links: pl.DataFrame,
    tenants: Sequence[TenantFacts],
    rules: Mapping[str, AttributeRule],
    *,
    today: date,
    classes: pl.Series | None = None,
    names: Sequence[str] = SURVIVING,
) -> tuple[Attribute, ...]:
    """Every attribute that any account speaks of or a fallback gives. `accounts` (ACCOUNT), `links` (LINK): of one person."""
    if accounts.is_empty():
        return ()
    ordered = ranked(accounts, links, tenants, classes)
    survived = survivors(accounts, ordered, np.zeros(1, dtype=np.int64), tenants, rules, today=today)
    order = ordered.to_dicts()
    known = {each.tenant_key: each for each in tenants}
    rows = accounts.to_dicts()
    told = []
    for name in names:
        spoken = [each for each in order if each["present"] & BIT[name]]
        code = rule_at(survived.rules[0], name)
        if not spoken and code != FALLBACK:
            continue
        rule = rule_of(name, rules)
        kind = order[0].get("class") if order[0].get("class") in rule.per_class else None
        prefer = rule.per_class[kind] if kind else rule.prefer
        light = _Light(known, prefer, _turns(prefer, tenants), rule, kind, order[0])
        value, key = survived.columns[name][0], survived.columns[f"from_{name}"][0]
        value = value.to_list() if isinstance(value, pl.Series) else value
        won = next((each for each in spoken if code != FALLBACK and each["account_key"] == key), None)
        able = sum(_able(each, light) for each in spoken)
        voices = {
            each["account_key"]: Voice(
                each["account_key"],
                known[each["tenant_key"]].name,
                each["native_id"],
                rows[each["place"]][name],
                _why(name, each, rows[each["place"]][name], won, light, able),
            )
            for each in spoken
        }
        winner = voices.get(won["account_key"]) if won else None
        also = _givers(voices, order, light, winner) if code == UNION else ()
        gave = {voice.account_key for voice in (*also, *([winner] if winner else []))}
        losers = tuple(voice for key, voice in voices.items() if key not in gave)
        fell = survived.fell[name][0] if code == FALLBACK else None
        told.append(Attribute(name, value, winner, losers, _told(name, code, light, fell), also))
    return tuple(told)


def _able(row: Row, light: _Light) -> bool:
    """Whether this account's word could stand at all."""
    barred = light.rule.only and row["tenant_key"] not in light.turns
    return row["standing"] == light.first["standing"] and not row["silent"] and not barred


def _givers(
    voices: Mapping[int, Voice], order: Sequence[Row], light: _Light, winner: Voice | None
) -> tuple[Voice, ...]:
    """Who gave a part of a united list beside the first."""
    able = [each["account_key"] for each in order if _able(each, light) and each["account_key"] in voices]
    return tuple(
        replace(voices[key], reason="its elements are united with the others")
        for key in able
        if voices[key].value and voices[key] is not winner
    )


def _told(name: str, code: int, light: _Light, fell: int | None) -> str:
    """The rule by which the value stands, in the words of the config."""
    if code == FALLBACK and fell is not None:
        return f"attributes.{name}.fallback.{fell}: {light.rule.fallback[fell]}"
    if code == UNION:
        return "union of what the accounts say"
    if code == DECLARED:
        return f"attributes.{name}.per_class.{light.kind}" if light.kind else f"attributes.{name}.prefer"
    return "precedence"


def _turns(prefer: Sequence[str], tenants: Sequence[TenantFacts]) -> dict[int, int]:
    """tenant_key → its turn among those that the config prefers."""
    keys = {each.name: each.tenant_key for each in tenants}
    return {keys[tenant]: turn for turn, tenant in reversed(list(enumerate(prefer))) if tenant in keys}


def _why(  # noqa: PLR0917 - a reason compares two accounts in the light of the config
    name: str, mine: Row, value: object, winner: Row | None, light: _Light, speakers: int
) -> str:
    """Why this account's word counts, or whose counts instead."""
    tenant, first, turns = light.tenants[mine["tenant_key"]], light.first, light.turns
    prefers = f"attributes.{name} prefers {{}}" + (f" for the class {light.kind}" if light.kind else "")
    if mine is winner:
        if mine["tenant_key"] in turns:
            return prefers.format(tenant.name)
        return "nobody else may say" if speakers == 1 else f"{tenant.name} ranks highest of those who speak of it"
    if Right.ATTRIBUTES not in tenant.may:
        return f"{tenant.name} may not give attributes"
    if mine["beside"] and not first["beside"]:
        return "an account that a human has beside their own gives no attributes"
    if mine["guest"] and not first["guest"]:
        return "a guest's record gives memberships only"
    if mine["standing"] != first["standing"]:
        return f"{tenant.name} is retired" if mine["retired"] else f"the account is gone from {tenant.name}"
    if light.rule.only and mine["tenant_key"] not in turns:
        return f"attributes.{name} takes it only from {', '.join(light.prefer) or 'nobody'}"
    if value is None and light.rule.nulls == "skip":
        return f"attributes.{name} passes over a tenant that says none"
    if not value and light.rule.merge == "union":
        return "it has none to give to the union"
    if winner is None:  # unreachable where somebody may speak
        return "nobody may speak"
    better = light.tenants[winner["tenant_key"]]
    if turns.get(winner["tenant_key"], len(turns)) != turns.get(mine["tenant_key"], len(turns)):
        return prefers.format(better.name)
    if better.tenant_key != tenant.tenant_key:
        return f"{better.name} ranks higher"
    if mine["off"] != winner["off"]:
        return "disabled, and another account there is enabled"
    return "two accounts in one tenant: the smaller native_id counts"
