"""Begins and ends runs, so that each one, also one that died or failed, stands in the history with how it ended."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from core.errors import OnefoldError
from state.store import Store
from tasks.installation import Installation

UNEXPECTED = 1


@dataclass
class Ending:
    """How a run ends; filled in while it runs. `exit` is the exit code of the command."""

    exit: int = UNEXPECTED
    digest: str | None = None
    detail: str = ""


def begin(inst: Installation, kind: str) -> str:
    """Records the start of a run and takes in what was decided while nobody wrote. Returns the run's id."""
    now = inst.clock()
    run_id = f"{now:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:6]}"
    with Store.open(inst.state, purpose=kind, now=inst.clock) as store:
        store.begin_run(run_id, kind, now, config_digest=inst.config.digest, inputs={"config": inst.config.digest})
        store.control.import_into(store)
    return run_id


@contextmanager
def finish(inst: Installation, run_id: str, publish: Callable[[Installation], object]) -> Iterator[Ending]:
    """Ends the run whatever happens inside, and publishes a snapshot also when it failed."""
    ending = Ending()
    try:
        yield ending
    except OnefoldError as error:
        ending.detail = str(error)
        raise
    finally:
        with Store.open(inst.state, purpose="finish", now=inst.clock) as store:
            outcome = {0: "done", 3: "held", 4: "failed", 5: "refused"}.get(int(ending.exit), "failed")
            store.end_run(
                run_id,
                inst.clock(),
                outcome=outcome,
                exit_code=int(ending.exit),
                digest=ending.digest,
                detail=ending.detail,
            )
        publish(inst)
