"""Commands that run: plan, apply, sync, approve, adopt, snapshot."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.errors import ConfigError, Problem
from flows.cli import ConfigOption, JsonOption, app, command
from flows.console import aged, emit, progress, table
from flows.exits import Exit
from flows.open import config_path, open_installation

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from flows.order import Result, What
    from tasks.apply import Applied
    from tasks.installation import Installation

WAIT_SECONDS = 20.0  # for another run, where one person is concerned
TenantOption = Annotated[list[str] | None, typer.Option("--tenant", help="Only these tenants.")]
PersonOption = Annotated[
    str | None, typer.Option("--person", metavar="WHO", help="This person alone: read, planned and applied in seconds.")
]
FullOption = Annotated[bool, typer.Option("--full", help="Read everything, whatever the cursors.")]


def _known(inst: Installation, tenants: list[str] | None) -> list[str] | None:
    unknown = sorted(set(tenants or ()) - set(inst.config.tenants))
    if unknown:
        known = ", ".join(sorted(inst.config.tenants))
        raise ConfigError([Problem("--tenant", f"{', '.join(unknown)} does not exist", f"Known: {known}")])
    return tenants or None


def _what(inst: Installation, tenants: list[str] | None, person: str | None, *, full: bool) -> What:
    from flows.order import What
    from tasks.person import whom

    if person is not None and full:
        raise ConfigError([Problem("--person", "reads one person, and --full everybody", "Leave one of them out")])
    who = None if person is None else whom(inst, person)
    return What(tenants=_known(inst, tenants), full=full, who=who)


def _waiting(person: str | None) -> AbstractContextManager[None]:
    """One person is done in seconds: such a run waits a little for the one that holds the state."""
    from state.control import patient

    return patient(WAIT_SECONDS if person is not None else 0.0)


@app.command("plan")
@command
def plan(  # noqa: PLR0917 - each is an option of the command line
    config: ConfigOption = None,
    tenant: TenantOption = None,
    full: FullOption = False,
    person: PersonOption = None,
    diff: Annotated[
        bool,
        typer.Option("--diff", help="How persons and plan would differ with --config OTHER; reads and writes nothing."),
    ] = False,
    as_json: JsonOption = False,
) -> Exit:
    """Reads the tenants, works out who is who, and plans. Writes nothing to targets."""
    from flows import order

    if diff:
        if config is None or tenant or full or person is not None:
            usage = "Write `onefold plan --config OTHER --diff` and no more; the live config is found as always"
            raise ConfigError([Problem("--diff", "compares the live config with --config OTHER", usage)])
        return _preview(config, as_json=as_json)
    with progress(quiet=as_json) as tell:
        inst = open_installation(config, progress=tell)
        with _waiting(person):
            result = order.plan(inst, _what(inst, tenant, person, full=full))
    report(inst, "plan", result)
    _emit_run(inst, result, as_json=as_json)
    return result.exit


def _preview(other: Path, *, as_json: bool) -> Exit:
    """Both sides on the same extracts. The live config is found without `--config`, which names the other one."""
    from core.render_preview import to_text
    from tasks.installation import load
    from tasks.preview import preview, refuse_same

    refuse_same(config_path(None), other)
    with progress(quiet=as_json) as tell:
        inst = open_installation(None, progress=tell)
        document = preview(inst, load(other), other.absolute())
    emit(document, "" if as_json else to_text(document, age=aged(document["snapshot_age_seconds"])), as_json=as_json)
    return Exit.DONE


@app.command("sync")
@command
def sync(  # noqa: PLR0917 - each is an option of the command line
    config: ConfigOption = None,
    tenant: TenantOption = None,
    full: FullOption = False,
    apply: Annotated[bool, typer.Option("--apply", help="Also apply what no guard holds.")] = False,
    person: PersonOption = None,
    as_json: JsonOption = False,
) -> Exit:
    """Plans, and with --apply applies what is not held."""
    from flows import order

    with progress(quiet=as_json) as tell:
        inst = open_installation(config, progress=tell)
        with _waiting(person):
            result = order.sync(inst, _what(inst, tenant, person, full=full), apply=apply)
    report(inst, "sync", result)
    _emit_run(inst, result, as_json=as_json)
    return result.exit


@app.command("apply")
@command
def apply(
    digest: Annotated[str | None, typer.Argument(help="The plan's digest, or its first digits (at least 4).")] = None,
    newest: Annotated[bool, typer.Option("--newest", help="The plan saved last.")] = False,
    person: PersonOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> Exit:
    """Applies a reviewed plan, less what would come out differently today, which it names. --person: plans one person and applies."""
    from flows import order
    from tasks.apply import newest_digest

    if (digest is not None) + newest + (person is not None) != 1:
        raise ConfigError([Problem("apply", "needs one plan", "Give its digest, --newest, or --person WHO")])
    with progress(quiet=as_json) as tell:
        inst = open_installation(config, progress=tell)
        if person is not None:
            with _waiting(person):
                result = order.sync(inst, _what(inst, None, person, full=False), apply=True, kind="apply")
        else:
            result = order.apply(inst, digest or newest_digest(inst))
    report(inst, "apply", result)
    if person is not None:
        _emit_run(inst, result, as_json=as_json)
        return result.exit
    if result.applied is not None:
        emit(result.applied.document(), _applied_text(result.applied), as_json=as_json)
    return result.exit


def report(inst: Installation, kind: str, result: Result) -> None:
    """Shows the run in Prefect where PREFECT_API_URL names a server."""
    from flows.prefect_api import PrefectApi

    if (server := PrefectApi.configured()) is not None:
        server.report(inst, kind, result, started_by="shell")


def _emit_run(inst: Installation, result: Result, *, as_json: bool) -> None:
    from core.render import to_json, to_text

    if result.plan is None:
        return
    document: dict[str, Any] = {}
    if as_json:
        document = to_json(result.plan)
        document["run_id"] = result.run_id
        if result.identified is not None:
            document["persons"] = result.identified.persons
            document["accounts"] = result.identified.accounts
            document["doubts"] = result.identified.doubts
        if result.applied is not None:
            document["apply"] = result.applied.document()
    text = to_text(result.plan, zone=inst.config.settings.timezone)
    if result.applied is not None:
        text += "\n" + _applied_text(result.applied)
    emit(document, text, as_json=as_json)


def _applied_text(applied: Applied) -> str:
    from core.render import plain

    head = (
        f"APPLIED {applied.digest[:8]}  {applied.applied:,} done, {applied.failed:,} failed, "
        f"{applied.compensated:,} undone, {applied.held:,} held, {len(applied.dropped):,} dropped, "
        f"{applied.quarantined:,} in quarantine"
    )
    lines = [head]
    if applied.done_before:
        lines.append(f"  {applied.done_before:,} were done by an earlier apply of this plan")
    if applied.settled:
        lines.append(f"  {applied.settled:,} calls without an answer were settled by looking at the target")
    lines += [f"  {name}: {count:,} requests" for name, count in sorted(applied.requests.items())]
    lines += [f"  {name}: stopped: {plain(why)}" for name, why in sorted(applied.stopped.items())]
    lines += [f"  {name}: not written: {plain(why)}" for name, why in sorted(applied.skipped.items())]
    lines += [
        f"  dropped: {each.target} {each.verb} {plain(each.object)}: {plain(each.reason)}" for each in applied.dropped
    ]
    return "\n".join(lines)


@app.command("approve")
@command
def approve(
    digest: Annotated[str, typer.Argument(help="The plan's digest, or its first digits (at least 4).")],
    hold: Annotated[list[str] | None, typer.Option("--hold", help="Only these holds, such as H1.")] = None,
    until: Annotated[
        datetime | None, typer.Option("--until", help="When the approval ends, in the directory's time zone.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> Exit:
    """Releases held changes by fingerprint; recorded with who and when."""
    from tasks.approve import approve as run

    inst = open_installation(config)
    end = until.replace(tzinfo=inst.config.zone).astimezone(UTC).replace(tzinfo=None) if until else None
    done = run(inst, digest, hold or [], approved_by=getpass.getuser(), until=end)
    document = {
        "digest": done.digest,
        "holds": list(done.holds),
        "released": done.released,
        "still_held": done.still_held,
        "not_releasable": list(done.not_releasable),
        "approved_by": getpass.getuser(),
    }
    lines = [f"Released {done.released:,} changes of plan {done.digest[:8]} ({', '.join(done.holds)})."]
    if done.still_held:
        lines.append(f"{done.still_held:,} of them are kept by other holds too and wait on.")
    if done.not_releasable:
        lines.append(f"Not released by approval: {', '.join(done.not_releasable)} (see `onefold show`).")
    lines.append(f"Next: onefold apply {done.digest[:8]}")
    emit(document, "\n".join(lines), as_json=as_json)
    return Exit.HELD if done.still_held else Exit.DONE


@app.command("adopt")
@command
def adopt(
    target: Annotated[str, typer.Argument(help="The target's name in the config.")],
    csv: Annotated[Path | None, typer.Option("--csv", help="Write the pairing there, for sign-off.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> Exit:
    """Lists the pairing of existing users and groups with persons. Writes nothing to the target."""
    from tasks.pairing import pairing
    from tasks.publish import publish
    from tasks.runs import begin, finish

    with progress(quiet=as_json) as tell:
        inst = open_installation(config, progress=tell)
        if target not in inst.config.targets:
            known = ", ".join(sorted(inst.config.targets)) or "none"
            raise ConfigError([Problem("adopt", f"target {target} does not exist", f"Known: {known}")])
        run_id = begin(inst, "adopt")
        with finish(inst, run_id, publish) as ending:
            rows = pairing(inst, run_id, target)
            ending.exit = Exit.DONE
    if csv is not None:
        csv.write_text(rows.write_csv(), encoding="utf-8")
    counts = rows.group_by("object", "state").len().sort("object", "state").rows()
    shown = rows.filter(rows.get_column("state") != "stranger")
    lines = [f"{target}: " + ", ".join(f"{number} {kind}s {state}" for kind, state, number in counts)]
    columns = ["object", "name", "state", "person", "rule", "evidence"]
    lines.append(
        table([["" if cell is None else str(cell) for cell in row] for row in shown.select(columns).rows()], columns)
    )
    if csv is not None:
        lines.append(f"Wrote {csv}")
    document = {
        "target": target,
        "counts": {f"{kind}_{state}": number for kind, state, number in counts},
        "rows": rows.to_dicts(),
    }
    emit(document, "\n".join(lines), as_json=as_json)
    return Exit.DONE


@app.command("snapshot")
@command
def snapshot(config: ConfigOption = None, as_json: JsonOption = False) -> Exit:
    """Publishes a read-only copy of the state now."""
    from tasks.publish import publish

    path = publish(open_installation(config))
    emit({"path": str(path)}, f"Published {path}", as_json=as_json)
    return Exit.DONE
