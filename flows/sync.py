"""The order of `flows.order` as Prefect flows: the same steps as tasks, with artifacts, events and names that say what ran."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast
from uuid import UUID

from prefect import flow, task
from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.events import emit_event
from prefect.runtime import flow_run
from prefect.states import Completed, Failed
from prefect.tasks import Task
from prefect.utilities.annotations import quote
from pydantic import BaseModel, Field

from core.errors import OnefoldError, TransientError
from core.guard import waits
from core.model import Manifest
from core.render import counts, to_markdown
from flows import order
from flows.exits import Exit
from flows.open import open_installation
from tasks.apply import apply as apply_plan
from tasks.consolidate import consolidate
from tasks.identify import identify
from tasks.installation import Installation
from tasks.observe import observe
from tasks.planning import make_plan
from tasks.publish import publish
from tasks.read import read_tenant
from tasks.suggestions import look_alike

BETWEEN_SECONDS = 2.0  # between two updates of one progress artifact


class SyncRun(BaseModel):
    """The form of a sync run."""

    config: str = Field(default="", title="Path of onefold.yaml; empty: ONEFOLD_CONFIG or the working directory")
    apply: bool = Field(default=False, title="Apply what no guard holds")
    full: bool = Field(default=False, title="Read every tenant in full, whatever its cursor")
    only_due: bool = Field(default=False, title="Read only tenants whose interval has passed")
    tenants: list[str] | None = Field(default=None, title="Only these tenants; empty: all")
    pushed: bool = Field(default=False, title="Started by a push: apply as `run.scheduled` allows")


class ApplyRun(BaseModel):
    """The form of an apply run."""

    digest: str = Field(min_length=4, pattern=r"^[0-9a-f]+$", title="Digest of the reviewed plan, or its beginning")
    config: str = Field(default="", title="Path of onefold.yaml; empty: ONEFOLD_CONFIG or the working directory")


def _is_transient(_task: Task[Any, Any], _run: TaskRun, state: State[Any]) -> bool:
    """Prefect retries an extract on TransientError only."""
    return isinstance(state.data, TransientError) or "TransientError" in (state.message or "")


read_task = task(
    name="read",
    task_run_name="read {tenant}",
    retries=2,
    retry_delay_seconds=[5, 30],
    retry_condition_fn=_is_transient,
    cache_policy=NO_CACHE,
)(read_tenant)
P = ParamSpec("P")
R = TypeVar("R")


def _step(name: str, work: Callable[P, R]) -> Callable[P, R]:
    """A step as a task. Its arguments are quoted: Prefect would else walk through config, plan and manifests for futures."""
    wrapped = task(name=name, cache_policy=NO_CACHE)(work)

    def run(*given: P.args, **named: P.kwargs) -> R:
        result: R = wrapped(*(quote(each) for each in given), **named)  # type: ignore[arg-type]  # Prefect takes the quotes off
        return result

    return run


def _submitted(
    _step: order.ReadStep,
    inst: Installation,
    tenants: Sequence[str],
    full: bool,  # noqa: FBT001 - the order calls it by position
) -> list[Manifest]:
    futures = [read_task.submit(quote(inst), tenant, full) for tenant in tenants]  # type: ignore[call-overload]  # as below
    return [future.result() for future in futures]


STEPS = order.Steps(
    side_by_side=_submitted,
    consolidate=_step("consolidate", consolidate),
    identify=_step("identify", identify),
    observe=_step("observe targets", observe),
    plan=_step("plan", make_plan),
    apply=_step("apply", apply_plan),  # never retried: the ledger settles what was begun
    suggest=_step("suggest", look_alike),
    publish=_step("publish", publish),
)


def _sync_name() -> str:
    run = flow_run.parameters["run"]
    fields = run if isinstance(run, dict) else run.model_dump()
    what = "sync and apply" if fields.get("apply") else "sync"
    whom = ", ".join(fields.get("tenants") or ()) or ("what is due" if fields.get("only_due") else "all tenants")
    return f"{what}: {whom}"


def _apply_name() -> str:
    run = flow_run.parameters["run"]
    return f"apply {run['digest'] if isinstance(run, dict) else run.digest}"


class _Watch:
    """Long work as progress artifacts, one a subject; told at most every few seconds, from whatever thread."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._shown: dict[str, tuple[UUID, float]] = {}

    def __call__(self, subject: str, done: int, total: int | None) -> None:
        """Creates or updates the subject's artifact. Without a total there is nothing to draw."""
        if not total or done <= 0:
            return
        share = min(100.0, 100.0 * done / total)
        with self._turn:
            now, known = time.monotonic(), self._shown.get(subject)
            if known is not None and now - known[1] < BETWEEN_SECONDS and share < 100.0:
                return
            if known is None:
                key = re.sub(r"[^a-z0-9]+", "-", f"progress {subject}".lower()).strip("-")
                made = create_progress_artifact(progress=share, key=key, description=subject)
                self._shown[subject] = (cast("UUID", made), now)  # a coroutine only inside an event loop
            else:
                update_progress_artifact(artifact_id=known[0], progress=share)
                self._shown[subject] = (known[0], now)


def _installation(config: str) -> Installation:
    return open_installation(Path(config) if config else None, blocks=_secret_block, progress=_Watch())


def _secret_block(name: str) -> str:
    from prefect.blocks.system import Secret

    block = Secret.load(name)
    return str(block.get())  # type: ignore[union-attr]  # load is sync outside an event loop


def _resource(inst: Installation) -> dict[str, str]:
    return {"prefect.resource.id": f"onefold.directory.{inst.config.settings.directory}"}


@contextmanager
def _telling_failure(inst: Installation) -> Iterator[None]:
    """A run that ends with an error is told as an event too, in the error's words, which never hold a secret."""
    try:
        yield
    except OnefoldError as error:
        emit_event("onefold.run.failed", resource=_resource(inst), payload={"problem": str(error)})
        raise


def _tell(inst: Installation, result: order.Result) -> None:
    """Artifacts and events of a finished run."""
    resource = _resource(inst)
    facts = {"run_id": result.run_id, "exit": int(result.exit)}
    if result.plan is not None:
        plan = result.plan
        text = to_markdown(plan, zone=inst.config.settings.timezone)
        create_markdown_artifact(text, key="plan", description=f"plan {plan.header.digest[:8]}")
        rows = [
            {"target": target, "verb": verb, "ready": each["ready"].get(verb, 0), "held": each["held"].get(verb, 0)}
            for target, each in counts(plan.changes).items()
            for verb in sorted({*each["ready"], *each["held"]})
        ]
        create_table_artifact(rows or [{"target": "all", "verb": "nothing to do", "ready": 0, "held": 0}], key="counts")
        if held := waits(plan.changes, plan.header.holds):
            emit_event(
                "onefold.run.held", resource=resource, payload={**facts, "digest": plan.header.digest, "held": held}
            )
    if result.applied is not None:
        emit_event("onefold.run.applied", resource=resource, payload={**facts, **result.applied.document()})
    if result.exit in {Exit.FAILED, Exit.REFUSED}:
        emit_event("onefold.run.failed", resource=resource, payload=facts)


def _state(result: order.Result) -> State[Any]:
    """Exit codes as Prefect states: 4 and 5 are Failed, 3 is Completed named Held."""
    if result.exit in {Exit.FAILED, Exit.REFUSED, Exit.UNEXPECTED}:
        return Failed(message=f"run {result.run_id} ended with exit code {int(result.exit)}")
    if result.exit is Exit.HELD:
        return Completed(
            name="Held", message=f"run {result.run_id}: some changes are held or an input was not complete"
        )
    return Completed(message=f"run {result.run_id} done")


@flow(name="onefold-sync", flow_run_name=_sync_name, validate_parameters=True)
def sync(run: SyncRun = SyncRun()) -> State[Any]:  # noqa: B008 - Prefect reads the default to build the form
    """Extracts what is due, consolidates, plans, and applies what is not held when asked to."""
    inst = _installation(run.config)
    apply = run.apply or ((run.only_due or run.pushed) and inst.config.settings.run.scheduled == "apply_safe")
    what = order.What(tenants=run.tenants, full=run.full, only_due=run.only_due)
    with _telling_failure(inst):
        result = order.sync(inst, what, apply=apply, steps=STEPS)
    _tell(inst, result)
    return _state(result)


@flow(name="onefold-apply", flow_run_name=_apply_name, validate_parameters=True)
def apply(run: ApplyRun) -> State[Any]:
    """Applies one reviewed plan, less what would come out differently today."""
    inst = _installation(run.config)
    with _telling_failure(inst):
        result = order.apply(inst, run.digest, steps=STEPS)
    _tell(inst, result)
    return _state(result)


if __name__ == "__main__":
    os.environ.setdefault("DO_NOT_TRACK", "1")
    sync()
