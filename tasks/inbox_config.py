"""What the config says of the inbox as a whole: its tenants, and the store they share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.errors import ConfigError, Problem
from tasks.secrets import resolved

if TYPE_CHECKING:
    from connectors.inbox.directory import InboxTenant
    from connectors.inbox.stores import Where
    from tasks.installation import Installation


def inbox_tenants(inst: Installation) -> dict[str, InboxTenant]:
    """The config's inbox tenants. ConfigError when there is none, or a shared credential names one that is none."""
    from connectors.inbox.directory import InboxTenant
    from connectors.sources.inbox import InboxSettings

    found = {n: each.settings for n, each in inst.config.tenants.items() if isinstance(each.settings, InboxSettings)}
    if not found:
        raise ConfigError([Problem("tenants", "holds no tenant of kind inbox", "Add one: partner: {kind: inbox}")])
    problems = []
    for name, settings in found.items():
        for provider in settings.tenants:
            if provider not in found or found[provider].shared:
                path = f"tenants.{name}.tenants.{provider}"
                remedy = f"Add it: {provider}: {{kind: inbox}}"
                problems.append(Problem(path, "is no inbox tenant of its own", remedy, inst.config.document.line(path)))
    if len({settings.store for settings in found.values()}) > 1:
        problems.append(Problem("tenants", "inbox tenants name different stores", "Give all the same `store`"))
    if problems:
        raise ConfigError(problems)
    return {
        name: InboxTenant(name, each.tenants if each.shared else None, inst.config.tenants[name].common.renamed_from)
        for name, each in found.items()
    }


def inbox_store(inst: Installation) -> Where:
    """The store that the inbox tenants share. RefusedError when its setting refers to nothing, or to no address."""
    from connectors.inbox.stores import where
    from connectors.sources.inbox import InboxSettings

    for name, each in inst.config.tenants.items():
        if isinstance(each.settings, InboxSettings):
            secrets = resolved(each.settings, path=f"tenants.{name}", base=inst.base, blocks=inst.blocks)
            return where(each.settings.store, secrets.get("store"), base=inst.base, state=inst.state)
    return where(None, None, base=inst.base, state=inst.state)
