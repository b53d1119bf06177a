"""The store as the pipeline reads it: one consistent snapshot of one tenant, beside a service that goes on writing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from connectors.inbox import statements as sql
from connectors.inbox.asking import Beside, Row, every, one
from connectors.inbox.directory import STORE_ID
from connectors.inbox.records import Record, record
from connectors.inbox.schema import Kind
from connectors.inbox.stores import Where, beside, is_there, open_beside

PAGE = 1000


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a tenant stands: `seq` is its watermark; below `pruned_seq` tombstones are forgotten."""

    tenant_no: int
    seq: int
    sealed_at: str | None
    pruned_seq: int
    users: int
    groups: int


class Snapshot:
    """One tenant at one moment. KeyError when nothing was ever pushed; sqlite3.Error when a file, TransientError when a database cannot be read."""

    def __init__(self, place: Where, tenant: str) -> None:
        self._store = open_beside(place, frozen=True)
        try:
            self.standing = _standing(self._store, tenant)
            named = self._store.do(one(sql.META_GET, STORE_ID))
            self.store_id = str(named[0]) if named else ""
        except BaseException:
            self._store.close()
            raise

    def resources(self, kind: Kind, after: int = 0) -> Iterator[list[Record]]:
        """Users or groups that moved after a number, tombstones too, a page at a time."""
        for page in self._pages(sql.SINCE[kind], after):
            yield [record(row) for row in page]

    def members(self, after: int = 0) -> Iterator[Sequence[Row]]:
        """Edges (group_id, member_id, kind, removed) that moved after a number."""
        yield from self._pages(sql.SINCE_MEMBERS, after)

    def duplicates(self) -> list[Row]:
        """External ids that several live users bear, and how many each; at most 20."""
        return self._store.do(every(sql.DUPLICATES, self.standing.tenant_no, 20))

    def contested(self) -> Row:
        """How many live users, and groups, two providers have met in."""
        row = self._store.do(one(sql.CONTESTED, self.standing.tenant_no, self.standing.tenant_no))
        return row or (0, 0)

    def _pages(self, statement: str, after: int) -> Iterator[list[Row]]:
        yield from self._store.pages(statement, (self.standing.tenant_no, after), PAGE)

    def close(self) -> None:
        """Lets go of the snapshot."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _standing(store: Beside, tenant: str) -> Standing:
    row = store.do(one(sql.WATERMARK, tenant))
    if row is None:
        raise KeyError(tenant)
    return Standing(*row)


def watermarks(place: Where) -> dict[str, int]:
    """The newest number of every tenant; empty when there is no store yet."""
    if not is_there(place):
        return {}
    with beside(place, frozen=True) as store:
        return {str(row[1]): int(row[2]) for row in store.do(every(sql.TENANTS))}
