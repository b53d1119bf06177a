"""Tells a Prefect server what Onefold did without it, over Prefect's REST API: events, and runs that something else started.

Importing Prefect costs seconds and a hundred megabytes, so this does not. What cannot be told is logged and forgotten: the ledger, not
the orchestrator, is the truth about what happened.
"""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from flows.exits import Exit

if TYPE_CHECKING:
    import httpx

    from flows.order import Result
    from tasks.installation import Installation

log = logging.getLogger("onefold.prefect")
SECONDS = 5.0
MOVED = "onefold.inbox.moved"
STATES = {
    Exit.DONE: {"type": "COMPLETED", "name": "Completed"},
    Exit.HELD: {"type": "COMPLETED", "name": "Held"},
}
FAILED = {"type": "FAILED", "name": "Failed"}


def resource(directory: str) -> dict[str, str]:
    """The Prefect resource that events of a directory are about."""
    return {"prefect.resource.id": f"onefold.directory.{directory}"}


@dataclass(frozen=True, slots=True)
class PrefectApi:
    """A server as PREFECT_API_URL names it, with PREFECT_API_KEY or PREFECT_API_AUTH_STRING where it asks for one."""

    url: str
    authorization: str | None = None

    @classmethod
    def configured(cls, environment: Mapping[str, str] = os.environ) -> PrefectApi | None:
        """The server of this environment; None without one."""
        url = environment.get("PREFECT_API_URL", "").rstrip("/")
        if not url:
            return None
        if key := environment.get("PREFECT_API_KEY"):
            return cls(url, f"Bearer {key}")
        if pair := environment.get("PREFECT_API_AUTH_STRING"):
            from base64 import b64encode

            return cls(url, f"Basic {b64encode(pair.encode()).decode()}")
        return cls(url)

    def emit(self, name: str, directory: str, payload: Mapping[str, Any]) -> bool:
        """Tells an event; whether the server took it."""
        event = {
            "id": str(uuid.uuid4()),
            "occurred": datetime.now(UTC).isoformat(),
            "event": name,
            "resource": resource(directory),
            "payload": dict(payload),
        }
        return self._told("event", lambda http: _post(http, "/events", [event]))

    def report(self, inst: Installation, kind: str, result: Result, *, started_by: str) -> bool:
        """Shows an ended run of the plain order as a flow run with its plan as an artifact; whether the server took it."""
        return self._told("run", lambda http: _report(http, inst, kind, result, started_by))

    def _told(self, what: str, work: Any) -> bool:
        import httpx

        headers = {"Authorization": self.authorization} if self.authorization else {}
        try:
            with httpx.Client(base_url=self.url, headers=headers, timeout=SECONDS) as http:
                work(http)
        except httpx.HTTPError as fault:
            log.warning("Prefect was not told of the %s: %s", what, type(fault).__name__)
            return False
        return True


def _post(http: httpx.Client, path: str, body: Any) -> Any:
    answer = http.post(path, json=body)
    answer.raise_for_status()
    return answer.json() if answer.content else None


def _report(http: httpx.Client, inst: Installation, kind: str, result: Result, started_by: str) -> None:
    from core.render import to_markdown

    flow = _post(http, "/flows/", {"name": f"onefold-{kind}"})
    run = _post(
        http,
        "/flow_runs/",
        {
            "flow_id": flow["id"],
            "name": f"{kind} {result.run_id}",
            "parameters": {"run_id": result.run_id, "tenants": sorted({each.tenant for each in result.extracts})},
            "tags": ["onefold", f"by-{started_by}"],
            "state": {"type": "RUNNING", "name": "Running"},
        },
    )
    if result.plan is not None:
        artifact = {
            "type": "markdown",
            "key": "plan",
            "data": to_markdown(result.plan, zone=inst.config.settings.timezone),
            "description": f"plan {result.plan.header.digest[:8]}",
            "flow_run_id": run["id"],
        }
        _post(http, "/artifacts/", artifact)
    message = f"run {result.run_id} ended with exit code {int(result.exit)}, started by {started_by}"
    state = {**STATES.get(result.exit, FAILED), "message": message}
    _post(http, f"/flow_runs/{run['id']}/set_state", {"state": state, "force": True})
