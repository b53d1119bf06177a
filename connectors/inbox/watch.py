"""Looks for what other processes over the same store have written, so that the one that runs the syncs hears of every push."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from dataclasses import dataclass

from connectors.inbox import statements as sql
from connectors.inbox.asking import Moved, every
from connectors.inbox.service import Service
from core.errors import OnefoldError

log = logging.getLogger("onefold.inbox")
PAUSE_SECONDS = 0.5  # a fraction of the two seconds after which a reduction of access is synced


@dataclass(slots=True)
class Watch:
    """One service's look at the numbers of all tenants. What it has missed while the store was gone it finds at its next look."""

    service: Service

    async def run(self) -> None:
        """Until cancelled. A look that fails is taken again; `moved` of the service tells what it finds."""
        fine, began = True, False
        while True:
            try:
                await self.once(tell=began)
                fine = began = True
            except (OnefoldError, sqlite3.Error) as fault:
                if fine:
                    log.warning("cannot see what others write: %s", fault)
                fine = False
            await asyncio.sleep(PAUSE_SECONDS)

    async def once(self, *, tell: bool = True) -> None:
        """One look; without `tell` it only learns where everybody stands, since the runner asks at its start who is behind."""
        found = await self.service.store.read(every(sql.MOVES))
        known = self.service.told
        fresh = [Moved(no, seq, reduced > known.get(no, 0)) for no, seq, reduced in found if seq > known.get(no, 0)]
        if tell:
            self.service.moved(fresh)
        else:
            known.update({each.tenant_no: each.seq for each in fresh})
