"""What the next plan would make of words that were just said: the matching alone, run in memory on the newest snapshot."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from core.frames import ACCOUNT, DECIDED, DECISION, LINK, PERSON_ID, UNDONE
from core.review import Pair
from core.unmerge import restored
from state.snapshot import Snapshot
from tasks.facts import tenant_facts
from tasks.identify import who_is_who
from tasks.installation import Installation
from tasks.review_words import keys_of

Row = dict[str, Any]
QUICK = 250_000  # accounts that are matched within about two seconds


def quick(snapshot: Snapshot) -> bool:
    """Whether foreseeing takes so little that nobody need ask for it."""
    return int(snapshot.query("SELECT count(*) FROM raw_account").item()) <= QUICK


def foresee(inst: Installation, snapshot: Snapshot, words: Mapping[Pair, str]) -> list[Row]:
    """Persons that would hold other accounts than now, if exactly these words stood: `before` and `after` of each.

    One row a person that gains or loses an account: person_id, name, `gains` and `loses` (accounts, each with the person
    it comes from or goes to), `ends` (it holds nobody then), `begins` (it held nobody), `users`: what becomes of its
    users in targets.
    """
    facts = tenant_facts(inst, snapshot)
    accounts = snapshot.ask("accounts", schema=ACCOUNT).sort("account_key")
    links = snapshot.ask("core_link_rows", schema=LINK)
    minted = snapshot.ask("core_person_id_rows", schema=PERSON_ID)
    decisions = _decisions(snapshot, words)

    def before(run_no: int) -> pl.DataFrame:
        return snapshot.ask("core_link_rows_before", {"run_no": run_no}, LINK)

    decided, undone = snapshot.ask("core_decided_rows", schema=DECIDED), snapshot.ask("core_undone_rows", schema=UNDONE)
    start = restored(links, decided, undone, decisions, before)
    found = who_is_who(inst, accounts, facts, links=start.links, persons=minted, decisions=decisions)
    after = found.links.select("account_key", then="person_key")
    moved = (
        links.select("account_key", now="person_key")
        .join(after, on="account_key")
        .filter(pl.col("now") != pl.col("then"))
    )
    if moved.is_empty():
        return []
    names = {each.tenant_key: each.name for each in facts}
    return _told(snapshot, moved, after, links, found.persons, accounts, names)


def _decisions(snapshot: Snapshot, words: Mapping[Pair, str]) -> pl.DataFrame:
    keys = keys_of(snapshot, [account for pair in words for account in pair])
    rows = [(keys[a], keys[b], word) for (a, b), word in words.items() if a in keys and b in keys]
    return pl.DataFrame(rows, schema=DECISION, orient="row")


def _told(  # noqa: PLR0917 - what moved is told with the names of everything
    snapshot: Snapshot,
    moved: pl.DataFrame,
    after: pl.DataFrame,
    links: pl.DataFrame,
    minted: pl.DataFrame,
    accounts: pl.DataFrame,
    names: Mapping[int, str],
) -> list[Row]:
    touched = sorted({*moved.get_column("now"), *moved.get_column("then")})
    ids = dict(minted.select("person_key", "person_id").iter_rows())
    called = {row["person_key"]: row["name"] for row in snapshot.ask("review_persons", {"persons": touched}).to_dicts()}
    rows = moved.join(
        accounts.select("account_key", "tenant_key", "native_id", "user_name", "display_name"), on="account_key"
    )
    shifts = [
        {
            "tenant": names[row["tenant_key"]],
            "native_id": row["native_id"],
            "user_name": row["user_name"],
            "display_name": row["display_name"],
            "now": row["now"],
            "then": row["then"],
        }
        for row in rows.sort("tenant_key", "native_id").iter_rows(named=True)
    ]
    holds_now = set(links.filter(pl.col("person_key").is_in(touched)).get_column("person_key"))
    holds_then = set(after.filter(pl.col("then").is_in(touched)).get_column("then"))
    users = _users(snapshot, touched, holds_then, minted, after)
    told = []
    gained, lost = defaultdict(list), defaultdict(list)
    for each in shifts:
        gained[each["then"]].append(_shift(each, "from_person", ids[each["now"]]))
        lost[each["now"]].append(_shift(each, "to_person", ids[each["then"]]))
    for person in touched:
        gains, loses = gained[person], lost[person]
        name = called.get(person) or next(
            (each["display_name"] or each["user_name"] for each in [*gains, *loses]), None
        )
        told.append(
            {
                "person_id": ids[person],
                "name": name,
                "begins": person not in holds_now,
                "ends": person not in holds_then,
                "gains": gains,
                "loses": loses,
                "users": users.get(person, []),
            }
        )
    return told


def _shift(each: Row, where: str, person_id: str) -> Row:
    return {name: each[name] for name in ("tenant", "native_id", "user_name", "display_name")} | {where: person_id}


def _users(
    snapshot: Snapshot, touched: Sequence[int], alive: set[int], minted: pl.DataFrame, after: pl.DataFrame
) -> dict[int, list[Row]]:
    """Users of ours by the person they would be of; those of a person who ends follow its founding account."""
    founders = dict(minted.filter(pl.col("person_key").is_in(touched)).select("person_key", "founder_key").iter_rows())
    heirs = dict(after.filter(pl.col("account_key").is_in(list(founders.values()))).iter_rows())
    rows = snapshot.ask("review_users", {"persons": list(touched)}).filter("owned")
    told: dict[int, list[Row]] = {}
    for row in rows.sort("target", ~pl.col("active").fill_null(value=True), "user_key").iter_rows(named=True):
        owner = row["person_key"] if row["person_key"] in alive else heirs.get(founders[row["person_key"]])
        if owner is None:
            continue
        mine = told.setdefault(owner, [])
        first = not any(each["target"] == row["target"] for each in mine)
        mine.append(
            {"target": row["target"], "user_name": row["user_name"], "active": row["active"], "kept_in_line": first}
        )
    return told
