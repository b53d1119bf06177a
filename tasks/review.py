"""What waits for a human's word, and what was said: lists and single items, from the newest snapshot and the control store."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import duckdb
import polars as pl

from core.errors import RefusedError
from core.frames import ATTRIBUTES
from core.names import fold
from core.review import UNMET, contradictions, item_id
from state.snapshot import Snapshot
from tasks.installation import Installation
from tasks.review_words import Said, contradiction, keys_of, one_item, said, sides, unknown, word_document

Row = dict[str, Any]
EVERYTHING = 2**31 - 1


def opened(inst: Installation) -> Snapshot:
    """The newest snapshot. RefusedError when there is none, or an older program published it."""
    snapshot = Snapshot.open(inst.state)
    try:
        snapshot.query("SELECT 1 FROM doubts, decisions LIMIT 0")
    except duckdb.CatalogException as error:
        snapshot.close()
        raise RefusedError(
            "the newest snapshot is of before there was a review", remedy="Run `onefold plan` once"
        ) from error
    return snapshot


def listing(
    inst: Installation,
    snapshot: Snapshot,
    *,
    tenant: str | None = None,
    rule: str | None = None,
    min_score: float | None = None,
    limit: int = 50,
) -> Row:
    """The document of `onefold review list`: open items, strongest first, and what is wrong with decisions."""
    heard = said(inst, snapshot)
    rows = open_items(snapshot, heard, tenant=tenant, rule=rule, min_score=min_score, limit=limit)
    accounts, users = about(snapshot, rows)
    items = set(heard.items)
    return {
        "items": [item_document(row, accounts, users) for row in rows],
        "open": rows[0]["open"] if rows else 0,
        "shown": len(rows),
        "decided": len(heard.standing),
        "contradictions": [contradiction(each, heard) for each in contradictions(heard.pairs)],
        "not_honoured": [
            {"item": row["item"], "a": _names(row, "a"), "b": _names(row, "b"), "reason": row["reason"]}
            for row in snapshot.ask("review_unmet").to_dicts()
            if row["item"] in items
        ],
        "waiting": [{"item": item_id(*pair), **sides(pair)} for pair in unknown(snapshot, heard.standing)],
    }


def open_items(
    snapshot: Snapshot,
    heard: Said,
    *,
    tenant: str | None = None,
    rule: str | None = None,
    min_score: float | None = None,
    limit: int | None = None,
) -> list[Row]:
    """Rows of the view `doubts` on which nobody said a word, strongest first; `open`: how many there are in all."""
    number = EVERYTHING if limit is None else limit
    params = {"decided": heard.items, "tenant": tenant, "rule": rule, "min_score": min_score, "number": number}
    return [row for row in snapshot.ask("review_items", params).to_dicts() if row["rule"] != UNMET]


def decided(inst: Installation, snapshot: Snapshot) -> Row:
    """The document of `onefold review list --decided`: the words that stand, newest first."""
    heard = said(inst, snapshot)
    waits = set(unknown(snapshot, heard.standing))
    rows = sorted(heard.standing.items(), key=lambda each: each[1].decision_id, reverse=True)
    return {"decisions": [word_document(word) | {"waiting": pair in waits} for pair, word in rows]}


def about(snapshot: Snapshot, rows: Sequence[Row], *, family: bool = False) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The accounts of these items (with `family` all of their persons'), and those persons' users in targets."""
    keys = sorted({int(row[name]) for row in rows for name in ("account_key_a", "account_key_b")})
    accounts = snapshot.ask("review_accounts", {"accounts": keys, "persons": []})
    persons = accounts.get_column("person_key").drop_nulls().unique().sort().to_list()
    if family:
        accounts = snapshot.ask("review_accounts", {"accounts": keys, "persons": persons})
    return accounts, snapshot.ask("review_users", {"persons": persons})


def _names(row: Row, side: str) -> Row:
    return {"tenant": row[f"tenant_{side}"], "native_id": row[f"native_id_{side}"]}


def item_document(row: Row, accounts: pl.DataFrame, users: pl.DataFrame) -> Row:
    """One doubt: both accounts in words, rule, reason, score, and what accepting it would do in targets."""
    both = {
        side: account_document(
            accounts.row(by_predicate=pl.col("account_key") == row[f"account_key_{side}"], named=True)
        )
        for side in ("a", "b")
    }
    return {
        "item": row["item"],
        "score": row["score"],
        "rule": row["rule"],
        "reason": row["reason"],
        "since": row["since"],
        **both,
        "if_accepted": if_accepted(both["a"]["person_key"], both["b"]["person_key"], users),
    }


def account_document(row: Row) -> Row:
    """One account in words."""
    names = ("tenant", "native_id", "user_name", "email", "display_name", "user_type", "active", "status", "gone")
    return {name: row[name] for name in names} | {name: row[name] for name in ("person_id", "person_key")}


def if_accepted(one: int | None, other: int | None, users: pl.DataFrame) -> list[str]:
    """What becomes of users in targets when two persons become one."""
    if one == other:
        return ["they are one person already"]
    lines = []
    theirs = users.filter(pl.col("person_key").is_in([one, other]))
    for (target,), rows in theirs.group_by(["target"], maintain_order=True):
        ranked = rows.filter("owned").sort(~pl.col("active").fill_null(value=True), "user_key")
        names = ranked.get_column("user_name").to_list()
        if len(names) == 1:
            lines.append(f"{target}: {names[0]} is then the user of both")
        elif names:
            rest = ", ".join(names[1:])
            lines.append(f"{target}: {names[0]} stays in line; {rest} is only deactivated when the person leaves")
    return lines or ["neither has a user of ours in a target"]


def shown(inst: Installation, snapshot: Snapshot, prefix: str) -> Row:
    """The document of `onefold review show`: one pair with all that speaks for and against."""
    heard = said(inst, snapshot)
    pair, row = one_item(snapshot, heard, prefix)
    known = keys_of(snapshot, pair)
    if len(known) < 2:
        words = [word_document(word) for word in heard.of(pair)]
        return {"item": item_id(*pair), **sides(pair), "waiting": True, "decisions": words}
    keys = {"account_key_a": known[pair[0]], "account_key_b": known[pair[1]]}
    accounts, users = about(snapshot, [keys], family=True)
    both = [accounts.row(by_predicate=pl.col("account_key") == key, named=True) for key in keys.values()]
    told = {side: account_document(each) for side, each in zip("ab", both, strict=True)}
    persons = {"one": told["a"]["person_id"], "other": told["b"]["person_id"]}
    between = snapshot.ask("review_between", persons).to_dicts() if persons["one"] != persons["other"] else []
    return {
        "item": item_id(*pair),
        "waiting": False,
        "score": row["score"] if row else None,
        "rule": row["rule"] if row else None,
        "reason": row["reason"] if row else None,
        "since": row["since"] if row else None,
        "waterfall": _waterfall(row["waterfall"]) if row else None,
        **told,
        "attributes": compared(*both),
        "persons": [_person(each["person_id"], accounts, users) for each in _distinct(both)],
        "between": [
            {"item": each["item"], "rule": each["rule"], "score": each["score"], "reason": each["reason"]}
            for each in between
            if each["item"] != item_id(*pair)
        ],
        "decisions": [word_document(word) for word in heard.of(pair)],
        "if_accepted": if_accepted(told["a"]["person_key"], told["b"]["person_key"], users),
    }


def _distinct(rows: Sequence[Row]) -> list[Row]:
    return list({row["person_id"]: row for row in rows}.values())


def _waterfall(text: str | None) -> object:
    return None if text is None else json.loads(text)


def _person(person_id: str | None, accounts: pl.DataFrame, users: pl.DataFrame) -> Row:
    mine = accounts.filter(pl.col("person_id") == person_id)
    keys = mine.get_column("person_key").to_list()
    return {
        "person_id": person_id,
        "accounts": [
            account_document(row) | {"rule": row["rule"], "evidence": row["evidence"]} for row in mine.to_dicts()
        ],
        "users": [
            {name: row[name] for name in ("target", "user_name", "active", "owned")}
            for row in users.filter(pl.col("person_key").is_in(keys)).to_dicts()
        ],
    }


def compared(one: Row, other: Row) -> list[Row]:
    """Every attribute that either account speaks of: both values and `agrees` (null where only one speaks)."""
    told = []
    for name in ATTRIBUTES:
        a, b = one[name], other[name]
        if a is None and b is None:
            continue
        told.append({"name": name, "a": a, "b": b, "agrees": None if a is None or b is None else _form(a) == _form(b)})
    return told


def _form(value: object) -> object:
    if isinstance(value, str):
        return fold(value)
    return sorted(map(str, map(_form, value))) if isinstance(value, list) else value
