"""What ends soon and would stop a tenant's word from reaching us: tokens of the inbox."""

from __future__ import annotations

import logging
from datetime import UTC

from connectors.inbox.stores import beside, is_there
from connectors.inbox.tokens import Expiring, all_tokens, expiring
from connectors.sources.inbox import InboxSettings
from core.errors import RefusedError, TransientError
from tasks.inbox_config import inbox_store
from tasks.installation import Installation

log = logging.getLogger("onefold.inbox")


def ending_tokens(inst: Installation) -> list[Expiring]:
    """Tokens that end within 30 days, or ended lately without a successor; empty without an inbox.

    A store that does not answer is for the read of its tenants to report; here it stops nobody else's run and is a line in the log.
    """
    if not any(isinstance(each.settings, InboxSettings) for each in inst.config.tenants.values()):
        return []
    try:
        place = inbox_store(inst)
        if not is_there(place):
            return []
        with beside(place, frozen=True) as store:
            return list(expiring(store.do(all_tokens()), inst.clock().replace(tzinfo=UTC)))
    except (TransientError, RefusedError) as error:
        log.warning("tokens that end soon are not known: %s", error)
        return []


def told(each: Expiring) -> str:
    """One line of a warning."""
    hint = f"; `onefold token rotate {each.tenant}` makes the next" if each.last else ""
    return f"token {each.token_id} of tenant {each.tenant} {each.words}{hint}"
