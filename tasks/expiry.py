"""What ends soon and would stop a tenant's word from reaching us: tokens of the inbox."""

from __future__ import annotations

from datetime import UTC

from connectors.inbox.desk import desk
from connectors.inbox.tokens import Expiring, all_tokens, expiring
from connectors.sources.inbox import InboxSettings
from tasks.inbox_config import inbox_store
from tasks.installation import Installation


def ending_tokens(inst: Installation) -> list[Expiring]:
    """Tokens that end within 30 days, or ended lately without a successor; empty without an inbox."""
    if not any(isinstance(each.settings, InboxSettings) for each in inst.config.tenants.values()):
        return []
    path = inbox_store(inst)
    if not path.exists():
        return []
    with desk(path) as opened:
        return list(expiring(opened.ask(all_tokens()), inst.clock().replace(tzinfo=UTC)))


def told(each: Expiring) -> str:
    """One line of a warning."""
    hint = f"; `onefold token rotate {each.tenant}` makes the next" if each.last else ""
    return f"token {each.token_id} of tenant {each.tenant} {each.words}{hint}"
