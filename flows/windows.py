"""When pushes start a sync: soon after a reduction of access, after some quiet otherwise, and never much later than the first of them."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds: after the first reduction, of quiet after anything else, and at most after the first push."""

    reduction: float = 2.0
    quiet: float = 30.0
    most: float = 120.0


@dataclass(slots=True)
class Windows:
    """Pushes that no sync has covered yet. Times are seconds of one clock that never goes back.

    All tenants share one window: a sync that starts takes all of them along, so that the others' quiet costs nothing.
    """

    patience: Patience = field(default_factory=Patience)
    _tenants: dict[str, bool] = field(default_factory=dict)  # tenant -> whether somebody may have lost access
    _first: float | None = None
    _last: float = 0.0
    _reduced: float | None = None

    def moved(self, tenant: str, *, reduces: bool, now: float) -> None:
        """A push to `tenant` was accepted."""
        self._tenants[tenant] = self._tenants.get(tenant, False) or reduces
        self._first = now if self._first is None else self._first
        self._last = now
        if reduces and self._reduced is None:
            self._reduced = now

    def due(self) -> float | None:
        """When the window closes; None while it is empty."""
        if self._first is None:
            return None
        closes = min(self._last + self.patience.quiet, self._first + self.patience.most)
        return closes if self._reduced is None else min(closes, self._reduced + self.patience.reduction)

    def take(self) -> tuple[list[str], bool]:
        """Tenants that moved, and whether somebody may have lost access; the window is empty afterwards."""
        tenants, reduces = sorted(self._tenants), any(self._tenants.values())
        self._tenants, self._first, self._reduced = {}, None, None
        return tenants, reduces
