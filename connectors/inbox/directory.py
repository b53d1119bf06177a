"""The tenants of one inbox: their numbers in the store, and the rules of those that share a credential."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from connectors.inbox import statements as sql
from connectors.inbox.asking import Operation, Store, every
from connectors.inbox.clock import stamp
from connectors.inbox.rules import Marks

SECRET = "cursor_key"
STORE_ID = "store_id"


@dataclass(frozen=True, slots=True)
class InboxTenant:
    """One tenant as the config says it: `providers` names other inbox tenants and how their requests are recognised; None when its credential is its own; `renamed_from`: what it was called before."""

    name: str
    providers: Mapping[str, Marks] | None = None
    renamed_from: str | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """One tenant in the store. `seq` is its watermark; it is filling until it was sealed. What is expected: None when nobody said."""

    tenant_no: int
    name: str
    seq: int
    users: int
    groups: int
    created_at: str
    sealed_at: str | None
    checkpoint_seq: int
    pruned_seq: int
    expected_users: int | None
    expected_groups: int | None


@dataclass(slots=True)
class Directory:
    """Names to numbers, both ways."""

    tenants: Mapping[str, InboxTenant]
    numbers: dict[str, int] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)

    async def enter(self, store: Store) -> None:
        """Makes the rows of tenants that the store does not know yet, renames those that the config renames, and learns all numbers."""
        statuses = await store.run(entered([self.tenants[name] for name in sorted(self.tenants)]))
        self.numbers = {each.name: each.tenant_no for each in statuses}
        self.names = {each.tenant_no: each.name for each in statuses}


def entered(tenants: Sequence[InboxTenant]) -> Operation[list[Status]]:
    """Every tenant of the store after those of the config were entered."""
    known = {each.name for each in (yield from statuses())}
    for each in tenants:
        if each.name in known:
            continue
        if each.renamed_from in known:
            yield sql.TENANT_RENAME, (each.name, each.renamed_from)
            yield sql.TOKENS_RENAME, (each.name, each.renamed_from)
        else:
            yield sql.TENANT_ADD, (each.name, stamp())
    return (yield from statuses())


def statuses() -> Operation[list[Status]]:
    """Every tenant of the store, in the order of their names."""
    rows = yield from every(sql.TENANTS)
    return [Status(*row[:7], *row[9:11], *row[7:9]) for row in rows]


def meta(name: str, value: str) -> Operation[str]:
    """The store's own word of that name; the given value when it has none yet."""
    yield sql.META_ADD, (name, value)
    rows = yield sql.META_GET, (name,)
    return str(rows[0][0])


def seal(tenant_no: int) -> Operation[None]:
    """The first load is over: from now on this tenant's store is the whole tenant."""
    yield sql.SEAL, (stamp(), tenant_no)
