"""Takes landed extracts into the state: one transaction an extract, in the order in which they were read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from core.config import vanished
from core.errors import ConfigError
from core.model import Manifest, Verdict
from state.landing import read_part
from state.store import Store
from tasks.installation import Installation
from tasks.read import left_behind


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one extract: taken into the picture or not, why, and how many rows it moved."""

    tenant: str
    extract_id: str
    accepted: bool
    reason: str
    moved: int


def consolidate(inst: Installation, run_id: str, extracts: Sequence[Manifest]) -> tuple[Taken, ...]:
    """Consolidates every extract that was not a failure, and those of other tenants whose run died before it could.

    ConfigError when a known tenant vanished from the config.
    """
    with Store.open(inst.state, purpose="consolidate", now=inst.clock) as store:
        names_agree(inst, store)
        taken = []
        waiting = left_behind(inst, store, set(inst.config.tenants) - {each.tenant for each in extracts})
        for place, manifest in enumerate([*waiting, *extracts]):
            inst.progress("consolidate", place + 1, len(waiting) + len(extracts))
            if manifest.verdict is Verdict.FAILED:
                reason = "; ".join(manifest.reasons)
                taken.append(Taken(manifest.tenant, manifest.extract_id, accepted=False, reason=reason, moved=0))
                continue
            done = store.consolidate(manifest, partial(read_part, inst.landing, manifest), run_id, inst.clock())
            moved = done.added + done.changed + done.gone
            taken.append(Taken(manifest.tenant, manifest.extract_id, done.accepted, done.reason, moved))
        return tuple(taken)


def names_agree(inst: Installation, store: Store) -> None:
    """Applies `renamed_from`, refuses vanished names, and gives every tenant of the config its key."""
    known = store.tenant_keys()
    for name, tenant in inst.config.tenants.items():
        old = tenant.common.renamed_from
        if old is not None and old in known and name not in known:
            store.rename_tenant(old, name)
            known = store.tenant_keys()
    if problems := vanished(inst.config, known):
        raise ConfigError(problems)
    store.ensure_tenants(sorted(inst.config.tenants))
