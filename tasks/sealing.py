"""What an inbox tenant has pushed against what is expected of it: by the administrator, by the provider's own export, and by what was known before."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from connectors.tables import UnreadableError, batches
from core.errors import ConfigError, Problem, RefusedError
from core.model import JSON
from state.snapshot import Snapshot

if TYPE_CHECKING:
    from connectors.inbox.directory import Status
    from connectors.inbox.pushed import Pushed
    from tasks.installation import Installation

FIRST = 20  # names that are told; the count is of all
NAME_COLUMNS = ("username", "userprincipalname", "login", "loginname", "email", "emailaddress", "mail")
KNOWN = "SELECT native_id, user_name, email FROM accounts WHERE tenant = $tenant AND deleted_at IS NULL"


@dataclass(frozen=True)
class Expected:
    """What is expected; None where nobody said. `names` are user names without case, `known` those of accounts from before."""

    users: int | None = None
    groups: int | None = None
    names: frozenset[str] | None = None
    known: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Comparison:
    """Pushed against expected. `missing` was never pushed, or was deleted; `unexpected` is active and not expected; `forgotten` was known before the tenant began to push, and was not pushed."""

    pushed: Pushed
    expected: Expected
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    forgotten: tuple[str, ...]

    @property
    def problems(self) -> tuple[str, ...]:
        """Why the first load does not look over; empty when all is as expected."""
        found = []
        for word, wanted, there in (
            ("users", self.expected.users, self.pushed.users),
            ("groups", self.expected.groups, self.pushed.groups),
        ):
            if wanted is not None and wanted != there:
                found.append(f"the inbox holds {there:,} {word}, not {wanted:,}")
        for names, words in (
            (self.missing, "expected users were not pushed"),
            (self.unexpected, "active users were not expected"),
            (self.forgotten, "accounts known before were not pushed"),
        ):
            if names:
                found.append(f"{len(names):,} {words}")
        return tuple(found)

    def document(self) -> dict[str, JSON]:
        """The part of `inbox seal --json` that is about the comparison."""
        held, wanted = self.pushed, self.expected
        return {
            "users": held.users,
            "groups": held.groups,
            "pushed": {
                "users": held.users,
                "active": held.active,
                "inactive": held.inactive,
                "deleted": held.deleted,
                "groups": held.groups,
                "empty_groups": held.empty_groups,
                "memberships": held.memberships,
                "members_never_pushed": held.unknown_members,
                "repeated_external_ids": held.repeated,
                "last_push_at": held.last_at,
            },
            "expected": {
                "users": wanted.users,
                "groups": wanted.groups,
                "names": None if wanted.names is None else len(wanted.names),
                "known_before": len(wanted.known),
            },
            "missing": _told(self.missing),
            "unexpected": _told(self.unexpected),
            "not_pushed_again": _told(self.forgotten),
            "problems": list(self.problems),
        }


def _told(names: tuple[str, ...]) -> dict[str, JSON]:
    return {"count": len(names), "first": list(names[:FIRST])}


def compare(pushed: Pushed, expected: Expected) -> Comparison:
    """Sets names side by side, without case."""
    names = expected.names
    return Comparison(
        pushed,
        expected,
        () if names is None else tuple(sorted(names - pushed.names.keys())),
        () if names is None else tuple(sorted(n for n, active in pushed.names.items() if active and n not in names)),
        tuple(sorted(expected.known - pushed.names.keys())),
    )


def expected_of(
    inst: Installation, tenant: Status, pushed: Pushed, *, users: int | None, groups: int | None, file: Path | None
) -> Expected:
    """What is said now; else what was said at an earlier attempt, while the inbox is filling. ConfigError when the file cannot be read."""
    names = None if file is None else expected_names(file)
    if tenant.sealed_at is not None:
        return Expected(users, groups, names)
    if users is None and names is None:
        users = tenant.expected_users
    groups = tenant.expected_groups if groups is None else groups
    return Expected(users, groups, names, known_before(inst, tenant.name, pushed))


def expected_names(file: Path) -> frozenset[str]:
    """User names of a provider's export, without case: one a line, or a CSV with a column such as userName or userPrincipalName."""
    try:
        frame = pl.concat(list(_frames(file)), how="vertical_relaxed")
    except FileNotFoundError as error:
        raise _fault(file, "does not exist", "Name the export of your provider") from error
    except UnreadableError as error:
        raise _fault(file, error.problem, error.remedy) from error
    by_word = {"".join(filter(str.isalnum, name)).casefold(): name for name in frame.columns}
    column = next((by_word[word] for word in NAME_COLUMNS if word in by_word), None)
    if column is None and frame.width > 1:
        words = "Name the column of user names userName"
        raise _fault(file, f"has no column of user names among {', '.join(frame.columns)}", words)
    first = [] if column else frame.columns  # no header: the first line is a name like the others
    named = frame.get_column(column or frame.columns[0]).drop_nulls().to_list()
    return frozenset(text for each in (*first, *named) if (text := str(each).strip().casefold()))


def _frames(file: Path) -> Iterable[pl.DataFrame]:
    for batch in batches(file, format="csv", delimiter=None, encoding="utf-8"):
        if batch.broken:
            raise UnreadableError(f"holds a row that {batch.broken[0][1]}", "Export it again")
        yield batch.frame


def _fault(file: Path, problem: str, remedy: str) -> ConfigError:
    return ConfigError([Problem(str(file), problem, remedy)])


def known_before(inst: Installation, tenant: str, pushed: Pushed) -> frozenset[str]:
    """User names of accounts that the newest snapshot knows of this tenant under ids that were never pushed: it was read otherwise before.

    Who was pushed under the address that was the login or the mail address counts as pushed.
    """
    try:
        with Snapshot.open(inst.state) as newest:
            rows = newest.query(KNOWN, {"tenant": tenant}).rows()
    except RefusedError:
        return frozenset()  # nothing was published yet, so nothing was known
    left = [(name or native_id, mail or "") for native_id, name, mail in rows if native_id not in pushed.native_ids]
    return frozenset(name.casefold() for name, mail in left if mail.casefold() not in pushed.names)
