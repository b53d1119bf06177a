"""Commands that only read, from the newest snapshot and the control store: show, history, status."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.errors import RefusedError
from flows.cli import ConfigOption, JsonOption, app, command
from flows.console import aged, emit, table
from flows.exits import Exit
from flows.open import open_installation

if TYPE_CHECKING:
    from state.snapshot import Snapshot
    from tasks.installation import Installation


@app.command("show")
@command
def show(
    what: Annotated[str, typer.Argument(help="`plan`, `run`, or the digest or run id itself.")],
    identifier: Annotated[str | None, typer.Argument(metavar="[ID]", help="Digest or run id.")] = None,
    csv: Annotated[bool, typer.Option("--csv", help="The changes as CSV.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> Exit:
    """Prints a plan or a run again."""
    from state.snapshot import Snapshot

    inst = open_installation(config)
    kind, wanted = (what, identifier) if what in {"plan", "run"} else ("", what)
    if identifier is not None and kind == "":
        raise RefusedError(f"{what!r} cannot be shown", remedy="Use `onefold show plan ID` or `onefold show run ID`")
    with Snapshot.open(inst.state) as newest:
        if kind == "run" or (kind == "" and wanted and not _is_digest(wanted)):
            return _show_run(newest, wanted, as_json=as_json)
        return _show_plan(inst, newest, wanted, csv=csv, as_json=as_json)


def _is_digest(text: str) -> bool:
    return all(letter in "0123456789abcdef" for letter in text)


def _show_plan(inst: Installation, newest: Snapshot, wanted: str | None, *, csv: bool, as_json: bool) -> Exit:
    from core.plan import Plan
    from core.render import change_documents, to_json, to_text

    stored = newest.plan(wanted) if wanted else newest.newest_plan()
    if stored is None:
        raise RefusedError("there is no plan yet", remedy="Run `onefold plan`")
    plan = Plan(stored.header, stored.changes, stored.values)
    if csv:
        import polars as pl

        rows: list[dict[str, Any]] = [dict(each) for each in change_documents(plan.changes, plan.values)]  # type: ignore[arg-type]  # every document is a dict
        flat = [{name: _cell(value) for name, value in row.items()} for row in rows]
        text = pl.DataFrame(flat, infer_schema_length=None).write_csv() if flat else ""
    else:
        text = to_text(plan, zone=inst.config.settings.timezone)
        text += f"\nsnapshot {aged(newest.age_seconds(inst.clock()))} old"
    emit(to_json(plan) if as_json else {}, text, as_json=as_json)
    return Exit.DONE


def _cell(value: object) -> object:
    """A cell of CSV; text that a spreadsheet would take for a formula is quoted."""
    if isinstance(value, dict):
        value = "; ".join(f"{name}={each}" for name, each in value.items())
    if isinstance(value, list):
        value = " ".join(str(each) for each in value)
    if isinstance(value, str) and value[:1] in {"=", "+", "-", "@", "\t", "\r"}:
        return f"'{value}"
    return value


def _show_run(newest: Snapshot, wanted: str | None, *, as_json: bool) -> Exit:
    rows = newest.table("runs").to_dicts()
    found = [row for row in rows if wanted is None or str(row["run_id"]).startswith(wanted)]
    if not found:
        raise RefusedError(f"no run starts with {wanted}", remedy="See `onefold history`")
    run = found[0]
    changes = newest.query("SELECT * FROM changes WHERE run_id = $run_id", {"run_id": run["run_id"]}).to_dicts()
    lines = [f"{name}: {value}" for name, value in run.items() if value is not None]
    header = ["target", "verb", "user_name", "group_name", "state", "detail"]
    lines.append(table([[str(row.get(name) or "") for name in header] for row in changes], header))
    emit({"run": run, "changes": changes}, "\n".join(lines), as_json=as_json)
    return Exit.DONE


@app.command("history")
@command
def history(config: ConfigOption = None, as_json: JsonOption = False) -> Exit:
    """Lists the runs, newest first, also one that runs right now."""
    from state.control import Control

    inst = open_installation(config)
    if not inst.state.exists():
        emit({"runs": []}, "No run yet. Start with: onefold plan", as_json=as_json)
        return Exit.DONE
    with Control.open(inst.state) as control:
        rows = control.runs(newest=200)
    header = ["run_id", "kind", "started_at", "finished_at", "outcome", "exit_code", "digest"]
    cells = [[_short(name, row[name]) for name in header] for row in rows]
    emit({"runs": rows}, table(cells, header), as_json=as_json)
    return Exit.DONE


def _short(name: str, value: object) -> str:
    if value is None:
        return "running" if name == "finished_at" else ""
    text = str(value)
    return text[:19] if name.endswith("_at") else text[:8] if name == "digest" else text


@app.command("status")
@command
def status(config: ConfigOption = None, as_json: JsonOption = False) -> Exit:
    """Last good read per tenant, holds, quarantine, frozen names, overrides, and who is running."""
    from core.render import plain
    from state.control import Control
    from state.ledger import Ledger
    from state.snapshot import FOLDER, LATEST, Snapshot
    from tasks.expiry import ending_tokens, told
    from tasks.override import listed

    inst = open_installation(config)
    ending = ending_tokens(inst)
    expiries = [{"tenant": t.tenant, "token_id": t.token_id, "days": t.days} for t in ending]
    warnings = [f"WARNING {told(each)}" for each in ending]
    if not (inst.state / FOLDER / LATEST).exists():
        text = "\n".join(["No run yet. Start with: onefold plan", *warnings])
        emit({"tenants": [], "expiries": expiries}, text, as_json=as_json)
        return Exit.DONE
    with Control.open(inst.state) as control:
        holder, frozen, holds = control.holder(), sorted(control.frozen()), control.mirrored("holds")
        newest_run = next(iter(control.runs(newest=1)), None)
    ledger = Ledger.open(inst.state)
    try:
        quarantine = ledger.quarantine()
        unknown = len(ledger.open_intents())
    finally:
        ledger.close()
    with Snapshot.open(inst.state) as newest:
        header, age = newest.newest_header(), newest.age_seconds(inst.clock())
        overrides = listed(inst, newest)
    extracts = [
        {
            "tenant": each.tenant,
            "verdict": each.verdict.value,
            "accounts": each.accounts,
            "last_good_read": each.finished_at.isoformat(timespec="seconds") + "Z" if each.finished_at else None,
            "reasons": list(each.reasons),
        }
        for each in (header.extracts if header else ())
    ]
    document: dict[str, Any] = {
        "plan": header.digest if header else None,
        "snapshot_age_seconds": int(age),
        "running": {"purpose": holder.purpose, "host": holder.host, "pid": holder.pid} if holder else None,
        "newest_run": newest_run,
        "tenants": extracts,
        "holds": holds,
        "quarantine": [
            {
                "target": each.target,
                "object": each.label,
                "error": each.error,
                "attempts": each.attempts,
                "next_try_at": each.next_try_at,
            }
            for each in quarantine
        ],
        "unsettled_calls": unknown,
        "expiries": expiries,
        "frozen": frozen,
        "overrides": overrides,
    }
    lines = [f"plan {header.digest[:8] if header else 'none'}; snapshot {aged(age)} old"]
    if holder:
        lines.append(f"running: {holder.purpose} on {holder.host} (pid {holder.pid})")
    cells = [
        [each["tenant"], each["verdict"], str(each["accounts"]), _ago(each["last_good_read"], inst.clock())]
        for each in extracts
    ]
    lines.append(
        table([[str(cell) for cell in row] for row in cells], ["tenant", "verdict", "accounts", "last good read"])
    )
    lines.append(f"holds: {len(holds)}; in quarantine: {len(quarantine)}; calls without an answer: {unknown}")
    lines += [f"  {each['id']} {each['target'] or ''}: {each['count']} {each['reason']}" for each in holds]
    lines += [f"  quarantine {each.target} {each.label}: {each.error}" for each in quarantine]
    lines += warnings
    if frozen:
        lines.append(f"frozen: {', '.join(frozen)}")
    if overrides:
        soon = [each for each in overrides if each["ends_soon"]]
        lines.append(f"overrides: {len(overrides)}; ending within 7 days: {len(soon)}")
        lines += [f"  {each['says']} {plain(each['name'])} until {each['until_local']}" for each in soon]
    emit(document, "\n".join(lines), as_json=as_json)
    return Exit.DONE


def _ago(stamp: object, now: datetime) -> str:
    if not isinstance(stamp, str):
        return "never"
    return f"{aged((now - datetime.fromisoformat(stamp.removesuffix('Z'))).total_seconds())} ago"
