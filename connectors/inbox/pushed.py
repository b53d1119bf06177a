"""What a provider has pushed so far, counted and by name: what an administrator looks at before the first load is called over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from connectors.inbox import statements as sql
from connectors.inbox.asking import Operation, one
from connectors.inbox.directory import Status
from connectors.inbox.wire import as_doc

PAGE = 1000


@dataclass(frozen=True, slots=True)
class Pushed:
    """One tenant's store. `deleted`: users that came and went; `unknown_members`: edges whose member was never pushed.

    `repeated`: external ids that several users bear. `last_at`: when the last event came (ISO 8601, UTC), None when the
    log has forgotten it. `names`: user names of live users without case, and whether each is active; `native_ids`: of
    users that were ever pushed.
    """

    users: int
    inactive: int
    deleted: int
    groups: int
    empty_groups: int
    memberships: int
    unknown_members: int
    repeated: int
    last_at: str | None
    names: Mapping[str, bool]
    native_ids: frozenset[str]

    @property
    def active(self) -> int:
        """Users that are there and not disabled."""
        return self.users - self.inactive


def pushed(tenant: Status) -> Operation[Pushed]:
    """Looks at the whole store of one tenant."""
    names: dict[str, bool] = {}
    native_ids: list[str] = []
    after = ""
    while True:
        rows = yield sql.PUSHED_USERS, (tenant.tenant_no, after, PAGE)
        for native_id, name, doc, deleted_at in rows:
            native_ids.append(native_id)
            if deleted_at is None:
                names[name] = as_doc(doc).get("active") is not False
        if len(rows) < PAGE:
            break
        after = rows[-1][0]
    last = yield from one(sql.EVENT_AT, tenant.tenant_no, tenant.seq)
    return Pushed(
        users=len(names),
        inactive=sum(not active for active in names.values()),
        deleted=len(native_ids) - len(names),
        groups=(yield from _count(sql.GROUPS_COUNT, tenant)),
        empty_groups=(yield from _count(sql.GROUPS_EMPTY, tenant)),
        memberships=(yield from _count(sql.MEMBERS_COUNT, tenant)),
        unknown_members=(yield from _count(sql.MEMBERS_UNKNOWN, tenant)),
        repeated=(yield from _count(sql.REPEATED_COUNT, tenant)),
        last_at=str(last[0]) if last else None,
        names=names,
        native_ids=frozenset(native_ids),
    )


def _count(statement: str, tenant: Status) -> Operation[int]:
    row = yield from one(statement, tenant.tenant_no)
    return int(row[0]) if row else 0


def expect(tenant_no: int, users: int | None, groups: int | None) -> Operation[None]:
    """Remembers how many users and groups the provider has."""
    yield sql.EXPECT, (users, groups, tenant_no)
