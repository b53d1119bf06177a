"""From a vendor's records to a page of rows: each is converted or set aside with its reason. What the records mean is the vendor's room."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from connectors.paging import Turn
from connectors.source import Object, Page, Rejected, Row

Convert = Callable[[Mapping[str, Any]], Row]


class Odd(ValueError):  # noqa: N818 - one field of one record is odd; the record is set aside
    """A value that cannot be read: which field, and what is wrong with it."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name} {problem}")
        self.name, self.problem = name, problem


def text_id(record: Mapping[str, Any], name: str = "id") -> str:
    """The id that a vendor gives as text or as a number, as text. Raises Odd when there is none."""
    found = record.get(name)
    if isinstance(found, int) and not isinstance(found, bool):
        return str(found)
    if not isinstance(found, str) or not found:
        raise Odd(name, "is missing" if found in {None, ""} else "is no id")
    return found


def page_of(name: Object, turn: Turn, convert: Convert, *, key: str = "id", lags: bool = False) -> Page:
    """A page of rows. A record that is no object, or of which `convert` raises Odd, is kept aside as it came.

    `key` is the field of the vendor's id; `lags` says that its count comes from an index that is behind.
    """
    rows: list[Row] = []
    rejected: list[Rejected] = []
    for each in turn.items:
        if not isinstance(each, dict):
            rejected.append(Rejected(name, None, "record", "is no JSON object", each))
            continue
        try:
            rows.append(convert(each))
        except Odd as odd:
            known = each.get(key)
            native_id = str(known) if isinstance(known, str | int) and known != "" else None
            rejected.append(Rejected(name, native_id, odd.name, odd.problem, each))
    return Page(
        name, rows, len(turn.items), total=turn.total, cursor=turn.next, rejected=rejected, warnings=turn.warnings,
        gaps=turn.gaps, total_lags=lags,
    )  # fmt: skip


def edges_of(group: str, turn: Turn, member: Callable[[Any], tuple[str, str] | None]) -> Page:
    """A page of one group's direct members: `member` gives the id and `user` or `group`, or None for whom nobody asks."""
    edges: list[Row] = []
    rejected: list[Rejected] = []
    for each in turn.items:
        try:
            found = member(each)
        except (Odd, AttributeError, TypeError, KeyError) as error:
            name, problem = (error.name, error.problem) if isinstance(error, Odd) else ("member", "has another shape")
            rejected.append(Rejected("memberships", group, name, problem, each))
            continue
        if found is not None:
            edges.append({"group_id": group, "member_id": found[0], "member_kind": found[1]})
    received = len(edges) + len(rejected)
    return Page("memberships", edges, received, rejected=rejected, warnings=turn.warnings, gaps=turn.gaps)


def whole(page: Page) -> Page:
    """A page of groups whose members all come with this read, in the place of those known before."""
    rows: list[Row] = [{**row, "members_complete": True} for row in page.rows if isinstance(row, Mapping)]
    return replace(page, rows=rows)


def vanished(name: Object, before: Iterable[str], now: Iterable[str]) -> Page | None:
    """Tombstones of what was listed before and is no longer; None where there is nothing to tell."""
    gone = sorted(set(before) - set(now))
    return Page(name, [{"native_id": each, "tombstone": True} for each in gone], len(gone)) if gone else None
