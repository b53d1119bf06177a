"""What the rules must know of each tenant, from the config and its newest accepted read. Also from a snapshot, without the lease."""

from __future__ import annotations

from typing import Protocol

from core.model import TenantFacts, Verdict
from state.tenants import Consumed
from tasks.installation import Installation


class Known(Protocol):
    """A store or a snapshot: which tenants it knows, and their newest accepted extracts."""

    def tenant_keys(self) -> dict[str, int]:
        """Keys of all tenants ever known, by name."""

    def newest_extracts(self) -> dict[str, Consumed]:
        """Per tenant the newest extract that was consolidated."""


def tenant_facts(inst: Installation, store: Known) -> tuple[TenantFacts, ...]:
    """What the rules must know of each tenant; only a complete read younger than its freshness may give evidence of absence."""
    now = inst.clock()
    keys = store.tenant_keys()
    newest = store.newest_extracts()
    facts = []
    issuers = {tenant: issuer for issuer, names in inst.config.settings.match.issuers.items() for tenant in names}
    for name, tenant in sorted(inst.config.tenants.items()):
        if name not in keys:
            continue  # it was never consolidated: it said nothing yet
        extract = newest.get(name)
        complete = extract is not None and extract.verdict is Verdict.COMPLETE
        facts.append(
            TenantFacts(
                tenant_key=keys[name],
                name=name,
                rank=tenant.rank,
                mode=tenant.common.mode,
                may=tenant.may,
                verified_domains=frozenset(tenant.common.verified_domains),
                employee_number_issuer=tenant.common.employee_number_issuer or issuers.get(name, name),
                authoritative=tenant.common.authoritative,
                include=tenant.common.include,
                exclude=tenant.common.exclude,
                retired=tenant.common.retired,
                classes=tenant.common.classes.rules(),
                trusted=extract is not None and complete and now - extract.finished_at <= tenant.freshness,
                verdict=extract.verdict if extract is not None else None,
            )
        )
    return tuple(facts)
