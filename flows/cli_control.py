"""Commands that tell a running or the next run what to leave alone: freeze, thaw, stop, quarantine. They need no lease."""

from __future__ import annotations

import getpass
from typing import Annotated

import typer

from core.errors import ConfigError, Problem, RefusedError
from flows.cli import ConfigOption, JsonOption, app, command
from flows.console import emit, table
from flows.exits import Exit
from flows.open import open_installation

quarantine = typer.Typer(name="quarantine", help="Objects whose changes failed and wait.", no_args_is_help=True)
app.add_typer(quarantine)
NameArgument = Annotated[str, typer.Argument(help="A tenant or target of the config.")]


@app.command("freeze")
@command
def freeze(name: NameArgument, config: ConfigOption = None, as_json: JsonOption = False) -> Exit:
    """Nothing is read from that tenant, or written to that target, until it is thawed."""
    from state.control import Control

    inst = open_installation(config)
    known = sorted({*inst.config.tenants, *inst.config.targets})
    if name not in known:
        raise ConfigError([Problem("freeze", f"{name} is no tenant or target", f"Known: {', '.join(known)}")])
    with Control.open(inst.state) as control:
        control.freeze(name, asked_by=getpass.getuser(), now=inst.clock())
        frozen = sorted(control.frozen())
    emit({"frozen": frozen}, f"Frozen: {', '.join(frozen)}", as_json=as_json)
    return Exit.DONE


@app.command("thaw")
@command
def thaw(name: NameArgument, config: ConfigOption = None, as_json: JsonOption = False) -> Exit:
    """Ends a freeze."""
    from state.control import Control

    inst = open_installation(config)
    with Control.open(inst.state) as control:
        control.thaw(name)
        frozen = sorted(control.frozen())
    emit({"frozen": frozen}, f"Frozen: {', '.join(frozen) or 'nothing'}", as_json=as_json)
    return Exit.DONE


@app.command("stop")
@command
def stop(config: ConfigOption = None, as_json: JsonOption = False) -> Exit:
    """Asks the running apply to end between two batches of writes; what is left stays planned."""
    from state.control import Control

    inst = open_installation(config)
    with Control.open(inst.state) as control:
        holder = control.holder()
        if holder is None:
            raise RefusedError("nothing is running", remedy="There is nothing to stop")
        control.request("stop", asked_by=getpass.getuser(), now=inst.clock())
    emit({"asked": holder.purpose}, f"Asked {holder.purpose} (pid {holder.pid}) to stop.", as_json=as_json)
    return Exit.DONE


@quarantine.command("list")
@command
def listed(config: ConfigOption = None, as_json: JsonOption = False) -> Exit:
    """What failed, how often, with which words, and when it is tried next."""
    from state.ledger import Ledger

    inst = open_installation(config)
    ledger = Ledger.open(inst.state)
    try:
        rows = ledger.quarantine()
    finally:
        ledger.close()
    document = [
        {
            "target": each.target,
            "object_id": each.object_id,
            "verb": each.verb,
            "object": each.label,
            "attempts": each.attempts,
            "next_try_at": each.next_try_at,
            "error": each.error,
        }
        for each in rows
    ]
    header = ["target", "object", "verb", "attempts", "next_try_at", "error"]
    cells = [[str(row[name]) for name in header] for row in document]
    emit({"quarantine": document}, table(cells, header) if cells else "Nothing is in quarantine.", as_json=as_json)
    return Exit.DONE


@quarantine.command("retry")
@command
def retry(
    object_id: Annotated[str | None, typer.Argument(help="Of `quarantine list`; left out: everything.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> Exit:
    """Lets the next run try now. The plan of then decides what is still to do."""
    from state.ledger import Ledger

    inst = open_installation(config)
    ledger = Ledger.open(inst.state)
    try:
        chosen = [each for each in ledger.quarantine() if object_id in {None, each.object_id}]
        if not chosen:
            raise RefusedError(f"{object_id or 'nothing'} is not in quarantine", remedy="See `onefold quarantine list`")
        ledger.release((each.target, each.object_id) for each in chosen)
    finally:
        ledger.close()
    emit({"released": len(chosen)}, f"{len(chosen)} will be tried by the next run.", as_json=as_json)
    return Exit.DONE
