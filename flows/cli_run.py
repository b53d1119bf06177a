"""Commands that run: sync, snapshot, history."""

from __future__ import annotations

from typing import Annotated

import typer

from core.errors import ConfigError, Problem
from flows.cli import ConfigOption, JsonOption, app, command
from flows.console import emit, progress, table
from flows.exits import Exit
from flows.open import open_installation


@app.command("sync")
@command
def sync(
    config: ConfigOption = None,
    tenant: Annotated[list[str] | None, typer.Option("--tenant", help="Only these tenants.")] = None,
    full: Annotated[bool, typer.Option("--full", help="Read everything, whatever the cursors.")] = False,
    as_json: JsonOption = False,
) -> Exit:
    """Reads the tenants, consolidates, works out who is who, and publishes. Writes nothing to targets yet."""
    from flows import order

    with progress(quiet=as_json) as tell:
        inst = open_installation(config, progress=tell)
        unknown = sorted(set(tenant or ()) - set(inst.config.tenants))
        if unknown:
            known = ", ".join(sorted(inst.config.tenants))
            raise ConfigError([Problem("--tenant", f"{', '.join(unknown)} does not exist", f"Known: {known}")])
        result = order.sync(inst, tenants=tenant or None, full=full)
    extracts = [
        {
            "tenant": each.tenant,
            "id": each.extract_id,
            "verdict": each.verdict.value,
            "reasons": list(each.reasons),
            "accounts": each.accounts,
            "groups": each.groups,
            "memberships": each.memberships,
            "rejected": each.rejected,
        }
        for each in result.extracts
    ]
    people = result.identified
    lines = [
        f"READ  {each.tenant}: {each.verdict.value}, {each.accounts:,} accounts, {each.groups:,} groups, "
        f"{each.memberships:,} memberships, {each.rejected:,} rejected"
        + "".join(f"\n      {why}" for why in each.reasons)
        for each in result.extracts
    ]
    lines += [f"PERSONS  {people.persons:,} from {people.accounts:,} accounts, {people.doubts:,} doubtful pairs"]
    lines += [f"NOTE  {note}" for note in people.notes]
    document = {
        "run_id": result.run_id,
        "extracts": extracts,
        "persons": people.persons,
        "accounts": people.accounts,
        "doubts": people.doubts,
        "notes": list(people.notes),
    }
    emit(document, "\n".join(lines), as_json=as_json)
    return result.exit


@app.command("snapshot")
@command
def snapshot(config: ConfigOption = None, as_json: JsonOption = False) -> Exit:
    """Publishes a read-only copy of the state now."""
    from tasks.publish import publish

    path = publish(open_installation(config))
    emit({"path": str(path)}, f"Published {path}", as_json=as_json)
    return Exit.DONE


@app.command("history")
@command
def history(config: ConfigOption = None, as_json: JsonOption = False) -> Exit:
    """Lists the runs, from the newest snapshot."""
    from state.snapshot import Snapshot

    inst = open_installation(config)
    with Snapshot.open(inst.state) as newest:
        rows = newest.query("SELECT * FROM runs").to_dicts()
    shown = [{name: None if value is None else str(value) for name, value in row.items()} for row in rows]
    header = list(shown[0]) if shown else ["runs"]
    emit({"runs": shown}, table([[row[name] or "" for name in header] for row in shown], header), as_json=as_json)
    return Exit.DONE
