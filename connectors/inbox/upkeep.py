"""What a running service does between requests: stores counts, warns of tokens that end, makes checkpoints, forgets what is old."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from connectors.inbox import statements as sql
from connectors.inbox.asking import Operation
from connectors.inbox.checkpoint import checkpoint, due, prune
from connectors.inbox.directory import statuses
from connectors.inbox.service import Service
from connectors.inbox.stores import Where
from connectors.inbox.throttle import KEEP_DAYS, save
from connectors.inbox.tokens import all_tokens, expiring
from core.errors import OnefoldError

log = logging.getLogger("onefold.inbox")
PAUSE_SECONDS = 30.0


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class Upkeep:
    """One service's chores. `keep_days` is how long events and tombstones are kept beyond their checkpoint."""

    service: Service
    place: Where
    keep_days: int
    clock: Callable[[], datetime] = _now
    _warned: set[tuple[str, int]] = field(default_factory=set)
    _pruned: datetime | None = None

    async def run(self) -> None:
        """Until cancelled. A chore that fails is logged and tried again; it never ends the service."""
        while True:
            try:
                await self.once()
            except (OnefoldError, sqlite3.Error, OSError) as fault:
                log.warning("upkeep is late: %s", fault)
            await asyncio.sleep(PAUSE_SECONDS)

    async def once(self) -> None:
        """All chores that are due."""
        now, loop = self.clock(), asyncio.get_running_loop()
        await self._store_counts(now)
        await self._warn(now)
        for tenant_no in await loop.run_in_executor(None, due, self.place):
            await loop.run_in_executor(None, checkpoint, self.place, tenant_no)
        if self._pruned is None or now - self._pruned >= timedelta(days=1):
            self._pruned = now
            for each in await self.service.store.read(statuses()):
                await loop.run_in_executor(
                    None, prune, self.place, each.tenant_no, now - timedelta(days=self.keep_days)
                )

    async def _store_counts(self, now: datetime) -> None:
        used, self.service.used = self.service.used, {}
        failures = self.service.throttle.taken()
        if used or failures:
            oldest = f"{now - timedelta(days=KEEP_DAYS):%Y-%m-%d}"
            await self.service.store.run(_counted(used, f"{now:%Y-%m-%d}", failures, oldest))

    async def _warn(self, now: datetime) -> None:
        tokens = await self.service.store.read(all_tokens())
        for each in expiring(tokens, now):
            if (each.token_id, each.stage) not in self._warned:
                self._warned.add((each.token_id, each.stage))
                hint = f"; run onefold token rotate {each.tenant}" if each.last else "; another one lives longer"
                log.warning("tenant %s: token %s %s%s", each.tenant, each.token_id, each.words, hint)


def _counted(used: dict[str, str], day: str, failures: dict[str, int], oldest: str) -> Operation[None]:
    for token_id, at in sorted(used.items()):
        yield sql.TOKEN_USED, (at, token_id, at)
    yield from save(day, failures, oldest)
