"""Resource units of the Graph stand-in: what a request costs, how many there are, and what is said when they are used up."""

from __future__ import annotations

import time
from collections.abc import Callable

from sandbox.graph_query import envelope
from sandbox.graph_tenant import GraphTenant
from sandbox.wire import Answer, Request

WINDOW_SECONDS = 10.0
BY_SIZE = ((50, 3_500), (500, 5_000))  # fewer users than this: so many units; 8000 above
MOST = 8_000
COSTS = {"/users": 2, "/groups/{id}/members": 3, "/groups/{id}/transitiveMembers": 5}


def cost(request: Request, route: str) -> int:
    """Units: by route, one less with `$select`, one less for fewer than 20 rows, one more with `$expand`, at least one."""
    base = next((units for path, units in COSTS.items() if route.endswith(path)), 1)
    few = 0 < request.number("$top", 0) < 20
    return max(1, base - ("$select" in request.query) - few + ("$expand" in request.query))


class Units:
    """A bucket for each app in each tenant. Refused calls are counted as well."""

    def __init__(self, most: int | None, *, silent: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self.most, self.silent = most, silent
        self._clock = clock
        self._held: dict[tuple[str, str], tuple[float, float]] = {}
        self._said: dict[str, str] = {}

    def take(self, client: str, tenant: GraphTenant, units: int) -> Answer | None:
        """Takes the units of a request; a refusal when there are not enough."""
        most = self.most or next((given for size, given in BY_SIZE if len(tenant.users) < size), MOST)
        key, now = (client, tenant.tenant_id), self._clock()
        used, at = self._held.get(key, (0.0, now))
        used = max(0.0, used - (now - at) * most / WINDOW_SECONDS) + units
        self._held[key] = (min(used, 2.0 * most), now)
        share = used / most
        self._said = {"x-ms-resource-unit": str(units)}
        if share >= 0.8:
            self._said["x-ms-throttle-limit-percentage"] = f"{min(share, 1.8):.2f}"
        if used <= most:
            return None
        wait = {} if self.silent else {"Retry-After": str(max(1, round((used - most) * WINDOW_SECONDS / most)))}
        return envelope(429, "TooManyRequests", "Too many requests.").with_headers(
            {
                **wait,
                "x-ms-throttle-scope": f"Tenant_Application/ReadWrite/{client}/{tenant.tenant_id}",
                "x-ms-throttle-information": "ResourceUnitLimitExceeded",
            }
        )

    def headers(self) -> dict[str, str]:
        """What is said of the newest request."""
        return dict(self._said)
