"""`onefold backfill`: the state of tenants rebuilt from kept extracts, compared with the live one, and swapped when asked."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from core.errors import ConfigError, Problem
from flows.cli import ConfigOption, JsonOption, app, command
from flows.console import emit
from flows.exits import Exit
from flows.open import open_installation

if TYPE_CHECKING:
    from tasks.backfill import Rebuilt


@app.command("backfill")
@command
def backfill(  # noqa: PLR0917 - options of a command line
    extract: Annotated[
        list[str] | None, typer.Option("--extract", help="An extract to rebuild from; repeatable, in any order.")
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option("--since", help="From the last complete full read before then, in the directory's time zone."),
    ] = None,
    tenant: Annotated[list[str] | None, typer.Option("--tenant", help="Only this tenant; repeatable.")] = None,
    swap: Annotated[bool, typer.Option("--swap", help="Put what was rebuilt in the place of what differs.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> Exit:
    """Rebuilds tenants from their kept extracts in a scratch state and says how it differs from the live one."""
    from state.store import Store
    from tasks import backfill as steps
    from tasks.publish import publish
    from tasks.runs import begin, finish

    inst = open_installation(config)
    if bool(extract) == (since is not None):
        raise ConfigError([Problem("backfill", "needs either --extract or --since", "See `onefold backfill --help`")])
    if strangers := sorted(set(tenant or ()) - set(inst.config.tenants)):
        remedy = f"Known: {', '.join(sorted(inst.config.tenants))}"
        raise ConfigError([Problem("--tenant", f"{', '.join(strangers)} is no tenant", remedy)])
    when = since.replace(tzinfo=inst.config.zone).astimezone(UTC).replace(tzinfo=None) if since else None
    run_id = begin(inst, "backfill")
    swapped: list[str] = []
    with finish(inst, run_id, publish) as ending:
        with Store.open(inst.state, purpose="backfill", now=inst.clock) as store:
            chains = steps.chains(inst, store, extracts=extract or (), since=when, tenants=tenant or ())
            done = steps.rebuild(inst, store, chains)
            for each in done if swap else ():
                if each.differences.height:
                    steps.swap(inst, store, run_id, each)
                    swapped.append(each.tenant)
        left = [each.tenant for each in done if each.differences.height and each.tenant not in swapped]
        code = Exit.HELD if left else Exit.DONE
        ending.exit = code
        ending.detail = f"swapped: {', '.join(swapped)}" if swapped else ""
    document = {"run_id": run_id, "tenants": [each.document for each in done], "swapped": swapped}
    emit(document, "\n".join(_text(each, swapped) for each in done), as_json=as_json)
    return code


def _text(rebuilt: Rebuilt, swapped: list[str]) -> str:
    from core.render import plain

    told = rebuilt.document
    head = (
        f"{rebuilt.tenant}: {len(rebuilt.chain)} extracts, {told['accounts']} accounts, {told['groups']} groups, "
        f"{told['memberships']} memberships"
    )
    if not told["differences"]:
        return f"{head}: equal to the live state"
    lines = [f"{head}: {told['differences']} differences from the live state"]
    words = {"only_live": "only in the live state", "only_rebuilt": "only in what was rebuilt"}
    for each in told["shown"]:
        how = words.get(each["found"]) or f"differs in {', '.join(each['columns'])}"
        lines.append(f"  {each['object']}  {plain(each['key'])}  {how}")
    if told["differences"] > len(told["shown"]):
        lines.append(f"  and {told['differences'] - len(told['shown'])} more")
    if rebuilt.tenant in swapped:
        lines.append("  swapped: the live state holds what was rebuilt; `onefold plan` shows what follows from it")
    else:
        lines.append("  --swap puts what was rebuilt in its place; nothing is written to targets by it")
    return "\n".join(lines)
