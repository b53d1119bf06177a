"""Exceptions from the rules of status: said into the control store at any time, carried out by the next run, ending by themselves.

An exception names a person. Where persons merge, it concerns the one that the founding account went to; the last word on a
person stands, and when it has ended none of the earlier ones comes back.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo

import polars as pl

from core.errors import ConfigError, Problem, RefusedError
from core.frames import conform
from core.merge_status import OVERRIDE
from state.control import Control, Override
from state.snapshot import Snapshot
from state.store import Store
from tasks.installation import Installation
from tasks.who import the_one

if TYPE_CHECKING:
    from core.match import Matching  # not for commands that only read: it loads scipy

KEEP_DAYS, MOST_KEEP_DAYS = 30, 180  # `keep` gives access against the word of a tenant: it always ends
SOON = timedelta(days=7)
SHOWN = 20  # exceptions named in a plan
MARK = "overrides"  # the state's note of the exceptions that its persons were merged with
Row = dict[str, Any]


def ending(text: str, zone: ZoneInfo) -> datetime:
    """The end that `--until` names, UTC without zone: a day ends with it in the directory's time zone. ConfigError on other text."""
    try:
        if len(text.strip()) == len("2026-12-31"):
            day = date.fromisoformat(text.strip()) + timedelta(days=1)
            local = datetime.combine(day, time(), zone)
        else:
            local = datetime.fromisoformat(text.strip())
            local = local if local.tzinfo else local.replace(tzinfo=zone)
    except (ValueError, OverflowError) as error:
        remedy = 'Write a day (2026-12-31, to its end) or a time ("2026-12-31 18:00")'
        raise ConfigError([Problem("--until", f"{text!r} is no time", remedy)]) from error
    return local.astimezone(UTC).replace(tzinfo=None)


def say(
    inst: Installation,
    who: str,
    says: Literal["inactive", "keep"],
    *,
    until: datetime | None,
    reason: str,
    said_by: str,
) -> Row:
    """Records the exception and returns it (see `told`). ConfigError for an end that is over, or too late for `keep`, and for WHO."""
    now = inst.clock()
    if until is not None and until <= now:
        raise ConfigError([Problem("--until", f"{_local(until, inst)} is over", "Give an end that is to come")])
    if says == "keep":
        until = until or now + timedelta(days=KEEP_DAYS)
        if until > now + timedelta(days=MOST_KEEP_DAYS):
            text = f"{_local(until, inst)} is more than {MOST_KEEP_DAYS} days away"
            raise ConfigError([Problem("--until", text, "Say it again later, or mend the tenant that says otherwise")])
    with Snapshot.open(inst.state) as snapshot, Control.open(inst.state) as control:
        person = the_one(snapshot, who)
        word = Override(str(person["person_id"]), says, until, reason, said_by, now)
        control.override([word])
        return told(inst, snapshot, [word])[0]


def clear(inst: Installation, who: str, *, reason: str, said_by: str) -> list[Row]:
    """Takes back what stands of the person, also what was said of persons who merged into it. RefusedError when nothing does."""
    with Snapshot.open(inst.state) as snapshot, Control.open(inst.state) as control:
        rows = told(inst, snapshot, standing(control.overrides()))
        mine = [each for each in rows if who in {each["said_of"], each["person_id"]}]
        if not mine:
            person_id = str(the_one(snapshot, who)["person_id"])
            mine = [each for each in rows if each["person_id"] == person_id]
        mine = [each for each in mine if not each["ended"]]
        if not mine:
            raise RefusedError(f"no override concerns {who}", remedy="See `onefold override list`")
        now = inst.clock()
        control.override(Override(each["said_of"], "clear", None, reason, said_by, now) for each in mine)
    return mine


def standing(words: Sequence[Override]) -> list[Override]:
    """The last word on each person, without those taken back, in the order in which they were said."""
    last = {each.person_id: each for each in words}
    return [each for each in last.values() if each.says != "clear"]


def listed(inst: Installation, snapshot: Snapshot) -> list[Row]:
    """Exceptions that hold now, whoever they concern; those that end first come first."""
    with Control.open(inst.state) as control:
        rows = told(inst, snapshot, standing(control.overrides()))
    holding = [each for each in rows if not each["ended"]]
    return sorted(holding, key=lambda each: (each["until"] is None, each["until"] or each["said_at"], each["said_of"]))


def said_of(inst: Installation, snapshot: Snapshot, person_id: str) -> list[Row]:
    """Every word on one person, oldest first, also those taken back and ended."""
    with Control.open(inst.state) as control:
        return [each for each in told(inst, snapshot, control.overrides()) if each["person_id"] == person_id]


def told(inst: Installation, snapshot: Snapshot, words: Sequence[Override]) -> list[Row]:
    """Documents: whom each concerns now, what it says, by whom and why, until when, and whether a run has yet to carry it out."""
    asked = sorted({each.person_id for each in words})
    heirs = {
        row["person_id"]: row for row in snapshot.ask("override_heirs", {"person_ids": asked}).iter_rows(named=True)
    }
    now = inst.clock()
    rows = []
    for each in words:
        heir = heirs[each.person_id]
        rows.append(
            {
                "person_id": heir["heir_id"] or each.person_id,
                "said_of": each.person_id,
                "name": heir["display_name"] or heir["user_name"] or heir["email"] or each.person_id,
                "says": each.says,
                "until": each.until,
                "until_local": None if each.until is None else _local(each.until, inst),
                "reason": each.reason,
                "said_by": each.said_by,
                "said_at": each.said_at,
                "ended": each.until is not None and each.until <= now,
                "ends_soon": each.until is not None and now < each.until <= now + SOON,
                "waits_for_a_run": each.said_at > snapshot.published_at,
            }
        )
    return rows


def in_force(store: Store, matching: Matching, now: datetime) -> pl.DataFrame:
    """OVERRIDE rows that hold at `now`, each of the person that it concerns by this matching.

    Where words on several persons meet in one, inactive wins: a merge gives nobody access that was taken.
    """
    said = _holding(store.overrides(), now)
    ids = matching.persons.select("person_key", heir_id="person_id")
    held = matching.links.select("account_key", heir="person_key")
    alive = pl.col("person_key").is_in(held.get_column("heir").implode())
    rows = said.join(held, left_on="founder_key", right_on="account_key", how="left", maintain_order="left")
    rows = rows.with_columns(heir=pl.when(alive).then("person_key").otherwise("heir"))
    rows = rows.join(ids, left_on="heir", right_on="person_key", how="left", maintain_order="left")
    because = pl.format("{} (said by {})", pl.col("reason").replace("", "no reason given"), "said_by")
    rows = rows.with_columns(person_id=pl.coalesce("heir_id", "person_id"), reason=because)
    return conform(rows.filter(pl.col("active") == pl.col("active").min().over("person_id")), OVERRIDE)


def _holding(said: pl.DataFrame, now: datetime) -> pl.DataFrame:
    return said.filter(pl.col("until").is_null() | (pl.col("until") > now))


def _mark(store: Store, now: datetime) -> str:
    rows = _holding(store.overrides(), now).select("person_id", "active", "until", "said_at")
    return "\n".join("|".join(str(cell) for cell in row) for row in rows.iter_rows())


def remember(store: Store, now: datetime) -> None:
    """Notes with which exceptions the persons in the state were merged."""
    store.session.put(MARK, _mark(store, now))


def moved(inst: Installation) -> bool:
    """Whether other exceptions hold now than those that the persons in the state were merged with."""
    with Store.open(inst.state, purpose="override", now=inst.clock) as store:
        store.control.import_into(store)
        return _mark(store, inst.clock()) != (store.session.get(MARK) or "")


def notes(inst: Installation, overrides: pl.DataFrame, persons: pl.DataFrame) -> tuple[str, ...]:
    """For the reader of a plan: whom an exception keeps active or inactive, and whose ends within a week."""
    now = inst.clock()
    called = pl.coalesce("display_name", "user_name", "email", "person_id").alias("name")
    rows = (
        overrides.join(persons.select("person_id", called), on="person_id", how="inner", maintain_order="left")
        .sort("said_at", descending=True)
        .unique("person_id", keep="first", maintain_order=True)
        .sort("until", "person_id", nulls_last=True)
    )
    lines = []
    for row in rows.head(SHOWN).iter_rows(named=True):
        state = "active" if row["active"] else "inactive"
        end = "until it is cleared" if row["until"] is None else f"until {_local(row['until'], inst)}"
        soon = " and ends within 7 days" if row["until"] is not None and row["until"] <= now + SOON else ""
        lines.append(f"override: {row['name']} is kept {state} {end}{soon}: {row['reason']}")
    if rows.height > SHOWN:
        lines.append(f"override: {rows.height - SHOWN} more; see `onefold override list`")
    return tuple(lines)


def _local(at: datetime, inst: Installation) -> str:
    return f"{at.replace(tzinfo=UTC).astimezone(inst.config.zone):%Y-%m-%d %H:%M}"
