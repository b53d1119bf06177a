"""Whom a word means: a user name, an address, an id or a display name, now or on a past date, in the newest snapshot."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.errors import ConfigError, Problem, RefusedError
from state.snapshot import Snapshot

NOW = 2**31 - 1  # later than every run
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Moment:
    """The time that is asked about (None: now), and the last run of then."""

    at: datetime | None
    run_no: int


def moment(snapshot: Snapshot, at: datetime | None) -> Moment:
    """The state as of `at`, UTC. RefusedError when nothing was known yet."""
    if at is None:
        return Moment(None, NOW)
    number = int(snapshot.ask("explain_moment", {"at": at}).item())
    if number == 0:
        raise RefusedError(f"nothing was known on {at:%Y-%m-%d %H:%M} UTC", remedy="Ask for a later time")
    return Moment(at, number)


def find(snapshot: Snapshot, who: str, when: Moment | None = None) -> list[Row]:
    """Persons that `who` may mean (person_id, how, user_name, email, display_name, home_tenant, active), by person_id.

    An id beats a name or an address, those of today beat former ones, and all of them beat a display name.
    """
    params = {"who": who.strip(), "run_no": when.run_no if when else NOW}
    return snapshot.ask("explain_find", params).to_dicts()


def the_one(snapshot: Snapshot, who: str, when: Moment | None = None) -> Row:
    """The one person that `who` means. ConfigError when it means nobody, or several, whom it then lists with their ids."""
    found = find(snapshot, who, when)
    if len(found) == 1:
        return found[0]
    if not found:
        remedy = "Give a user name, an address, an id or the whole display name; `onefold plan` reads the tenants anew"
        raise ConfigError([Problem("WHO", f"nobody is called {who}", remedy)])
    several = [
        Problem(
            each["person_id"],
            f"{each['how']}: {each['display_name'] or each['user_name'] or each['email']}, "
            f"home {each['home_tenant'] or 'none'}, {'active' if each['active'] else 'inactive'}",
            "Give this id",
        )
        for each in found[:50]
    ]
    raise ConfigError([Problem("WHO", f"{who} may be {len(found)} persons", "Say which, by id"), *several])
