"""What the next plan would make of words that were just said: the matching alone, run in memory on the newest snapshot."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import polars as pl

from core.frames import ACCOUNT, DECIDED, DECISION, LINK, PERSON_ID, UNDONE
from core.match import Matching
from core.match_history import FORMER, TIMES, Past
from core.model import TenantFacts
from core.review import Pair
from core.unmerge import restored
from state.snapshot import Snapshot
from tasks.facts import tenant_facts
from tasks.identify import who_is_who
from tasks.installation import Installation
from tasks.review_words import keys_of

Row = dict[str, Any]
QUICK = 250_000  # accounts that are matched within about two seconds
NAMES = ("tenant", "native_id", "user_name", "display_name")


@dataclass(frozen=True)
class _Known:
    """What the snapshot holds of who is who."""

    facts: tuple[TenantFacts, ...]
    accounts: pl.DataFrame
    links: pl.DataFrame
    minted: pl.DataFrame
    decided: pl.DataFrame


def quick(snapshot: Snapshot) -> bool:
    """Whether foreseeing takes so little that nobody need ask for it."""
    return int(snapshot.query("SELECT count(*) FROM raw_account").item()) <= QUICK


def foresee(
    inst: Installation, snapshot: Snapshot, words: Mapping[Pair, str], standing: Mapping[Pair, str]
) -> list[Row]:
    """Persons that would hold other accounts if exactly `words` stood, against what `standing` makes of them.

    One row a person that gains or loses an account, those that end first: person_id, name, `gains` and `loses` (accounts,
    each with the person that it comes from or goes to), `ends` (it holds nobody then), `begins` (it held nobody), `users`:
    its users in targets and which of them stays in line.
    """
    known = _Known(
        tenant_facts(inst, snapshot),
        snapshot.ask("accounts", schema=ACCOUNT).sort("account_key"),
        snapshot.ask("core_link_rows", schema=LINK),
        snapshot.ask("core_person_id_rows", schema=PERSON_ID),
        snapshot.ask("core_decided_rows", schema=DECIDED),
    )
    then = _held(_matched(inst, snapshot, known, words))
    if _in_force(snapshot, known, standing):
        now = known.links.join(known.minted, on="person_key").select("account_key", "person_id")
    else:  # others said something since: what comes of that is not what comes of this
        now = _held(_matched(inst, snapshot, known, standing))
    both = now.join(then.rename({"person_id": "then"}), on="account_key")
    moved = both.filter(pl.col("person_id") != pl.col("then"))
    return _told(snapshot, known, moved, both) if moved.height else []


def _matched(inst: Installation, snapshot: Snapshot, known: _Known, words: Mapping[Pair, str]) -> Matching:
    keys = keys_of(snapshot, [account for pair in words for account in pair])
    rows = [(keys[a], keys[b], word) for (a, b), word in words.items() if a in keys and b in keys]
    decisions = pl.DataFrame(rows, schema=DECISION, orient="row")
    undone = snapshot.ask("core_undone_rows", schema=UNDONE)
    links, obeyed = (partial(snapshot.ask, name) for name in ("core_link_history_rows", "core_decided_history_rows"))
    start = restored(known.links, known.decided, undone, decisions, history=links, obeyed=obeyed)
    past = Past(snapshot.ask("account_times", schema=TIMES), snapshot.ask("account_former", schema=FORMER))
    return who_is_who(
        inst,
        known.accounts,
        known.facts,
        links=start.links,
        persons=known.minted,
        decisions=decisions,
        past=past,
    )


def _held(matching: Matching) -> pl.DataFrame:
    return matching.links.join(matching.persons, on="person_key").select("account_key", "person_id")


def _in_force(snapshot: Snapshot, known: _Known, standing: Mapping[Pair, str]) -> bool:
    """Whether the links of the snapshot were made by exactly these words."""
    keys = keys_of(snapshot, [account for pair in standing for account in pair])
    words = {
        (min(keys[a], keys[b]), max(keys[a], keys[b]), word)
        for (a, b), word in standing.items()
        if a in keys and b in keys
    }
    return words == set(known.decided.select("account_a", "account_b", "decision").iter_rows())


def _told(snapshot: Snapshot, known: _Known, moved: pl.DataFrame, both: pl.DataFrame) -> list[Row]:
    tenants = pl.DataFrame(
        {"tenant_key": [each.tenant_key for each in known.facts], "tenant": [each.name for each in known.facts]},
        schema={"tenant_key": pl.Int16(), "tenant": pl.String()},
    )
    rows = moved.join(known.accounts, on="account_key").join(tenants, on="tenant_key").sort("tenant", "native_id")
    gains, loses = defaultdict(list), defaultdict(list)
    for row in rows.select(*NAMES, "person_id", "then").iter_rows(named=True):
        account = {name: row[name] for name in NAMES}
        gains[row["then"]].append(account | {"from_person": row["person_id"]})
        loses[row["person_id"]].append(account | {"to_person": row["then"]})
    touched = sorted({*gains, *loses})
    holds_now = set(both.filter(pl.col("person_id").is_in(touched)).get_column("person_id"))
    holds_then = set(both.filter(pl.col("then").is_in(touched)).get_column("then"))
    minted = known.minted.filter(pl.col("person_id").is_in(touched))
    persons = snapshot.ask("review_persons", {"persons": minted.get_column("person_key").to_list()})
    called = dict(persons.select("person_id", "name").iter_rows())
    users = _users(snapshot, minted, holds_then, both)
    told = [
        {
            "person_id": person,
            "name": called.get(person) or _name([*gains[person], *loses[person]]),
            "begins": person not in holds_now,
            "ends": person not in holds_then,
            "gains": gains[person],
            "loses": loses[person],
            "users": users[person],
        }
        for person in touched
    ]
    return sorted(told, key=lambda each: not each["ends"])


def _name(accounts: list[Row]) -> str | None:
    return next((each["display_name"] or each["user_name"] for each in accounts), None)


def _users(snapshot: Snapshot, minted: pl.DataFrame, alive: set[str], both: pl.DataFrame) -> dict[str, list[Row]]:
    """Users of ours by the person they would be of; those of a person who ends follow its founding account."""
    columns = minted.select("person_key", "person_id", "founder_key")
    persons = {key: (person, founder) for key, person, founder in columns.iter_rows()}
    founders = [founder for _, founder in persons.values()]
    heirs = dict(both.filter(pl.col("account_key").is_in(founders)).select("account_key", "then").iter_rows())
    rows = snapshot.ask("review_users", {"persons": list(persons)}).filter("owned")
    told: dict[str, list[Row]] = defaultdict(list)
    for row in rows.sort("target", ~pl.col("active").fill_null(value=True), "user_key").iter_rows(named=True):
        person, founder = persons[row["person_key"]]
        owner = person if person in alive else heirs.get(founder)
        if owner is None:
            continue
        first = not any(each["target"] == row["target"] for each in told[owner])
        user = {name: row[name] for name in ("target", "user_name", "active")}
        told[owner].append(user | {"kept_in_line": first})
    return told
