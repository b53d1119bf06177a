"""Commands that concern one person, now: override, offboard. What they do is in `tasks/override.py` and `tasks/person.py`."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from core.errors import ConfigError, InUseError, Problem
from flows.cli import ConfigOption, JsonOption, app, command
from flows.cli_explain import WhoArgument
from flows.console import emit, progress, table
from flows.exits import Exit
from flows.open import open_installation

if TYPE_CHECKING:
    from flows.order import Result

WAIT_SECONDS = 20.0  # for a run that holds the state; then it is named
Row = dict[str, Any]


@app.command("override")
@command
def override(  # noqa: PLR0917 - each is an option of the command line
    who: Annotated[str, typer.Argument(metavar="WHO|list", help="As for `explain`; or `list`: what holds now.")],
    inactive: Annotated[bool, typer.Option("--inactive", help="No access, whatever the tenants say.")] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Access, although a tenant took it; ends after 30 days.")
    ] = False,
    clear: Annotated[bool, typer.Option("--clear", help="Take back what was said of the person.")] = False,
    until: Annotated[
        str | None,
        typer.Option(
            "--until", help="A day (to its end) or a time, in the directory's time zone. --keep: at most 180 days."
        ),
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why; shown in plans, status and explain.")] = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> Exit:
    """Sets, takes back or lists exceptions from the rules of status. The next run carries them out."""
    from tasks.override import clear as take_back
    from tasks.override import ending, say

    if (inactive + keep + clear) != (who != "list") or (until is not None and not (inactive or keep)):
        usage = "Write `override WHO --inactive|--keep [--until T]`, `override WHO --clear`, or `override list`"
        raise ConfigError([Problem("override", "needs exactly one of --inactive, --keep and --clear", usage)])
    inst = open_installation(config)
    if who == "list":
        return _listed(inst, as_json=as_json)
    if clear:
        rows = take_back(inst, who, reason=reason, said_by=getpass.getuser())
        text = "\n".join(f"Taken back: {_line(each)}" for each in rows)
        emit({"cleared": rows}, f"{text}\n{_next(rows[0]['person_id'])}", as_json=as_json)
        return Exit.DONE
    says: Literal["inactive", "keep"] = "inactive" if inactive else "keep"
    end = ending(until, inst.config.zone) if until is not None else None
    row = say(inst, who, says, until=end, reason=reason, said_by=getpass.getuser())
    emit(row, f"{_line(row)}\n{_next(row['person_id'])}", as_json=as_json)
    return Exit.DONE


def _listed(inst: Any, *, as_json: bool) -> Exit:
    from core.render import plain
    from state.snapshot import Snapshot
    from tasks.override import listed

    with Snapshot.open(inst.state) as newest:
        rows = listed(inst, newest)
    header = ["says", "name", "person_id", "until", "said by", "reason", ""]
    cells = [
        [
            each["says"],
            plain(each["name"]),
            each["person_id"],
            each["until_local"] or "cleared",
            plain(each["said_by"]),
            plain(each["reason"]),
            "waits for a run" if each["waits_for_a_run"] else "ends within 7 days" if each["ends_soon"] else "",
        ]
        for each in rows
    ]
    emit({"overrides": rows}, table(cells, header) if cells else "No override holds.", as_json=as_json)
    return Exit.DONE


def _line(row: Row) -> str:
    from core.render import plain

    end = "until it is cleared" if row["until"] is None else f"until {row['until_local']}"
    return f"{row['says']}: {plain(row['name'])} ({row['person_id']}) {end}"


def _next(person_id: str) -> str:
    return f"The next run carries it out; now: onefold sync --apply --person {person_id}"


@app.command("offboard")
@command
def offboard(
    who: WhoArgument,
    reason: Annotated[str, typer.Option("--reason", help="Why; kept, and shown in plans, status and explain.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> Exit:
    """Takes one person's access in every target, now: an override that stands until it is cleared, its plan and its apply."""
    from flows import order
    from flows.cli_run import report
    from state.control import patient
    from tasks.override import say

    with progress(quiet=as_json) as tell:
        inst = open_installation(config, progress=tell)
        said = say(inst, who, "inactive", until=None, reason=reason, said_by=getpass.getuser())
        try:
            with patient(WAIT_SECONDS):
                result = order.offboard(inst, said["person_id"])
        except InUseError as busy:
            text = f"{busy.problem}; that {said['name']} is inactive is recorded, and the next run carries it out"
            raise InUseError(text, remedy="Run `onefold offboard` again when it is free") from busy
    report(inst, "offboard", result)
    document: Row = {
        "run_id": result.run_id,
        "digest": result.plan.header.digest if result.plan else None,
        "override": said,
        "targets": [each.document() for each in result.left],
        "exit": int(result.exit),
    }
    if result.applied is not None:
        document["apply"] = result.applied.document()
    emit(document, _offboarded(said, result), as_json=as_json)
    return result.exit


def _offboarded(said: Row, result: Result) -> str:
    from core.render import plain

    words = {
        0: "no access is left",
        3: "ACCESS IS LEFT: held",
        4: "ACCESS IS LEFT: failed",
        5: "ACCESS IS LEFT: refused",
    }
    lines = [f"OFFBOARD {plain(said['name'])} ({said['person_id']})  {words[int(result.exit)]}"]
    lines += [
        f"  {each.target}: {each.state} {plain(each.user)}{f' ({plain(each.why)})' if each.why else ''}"
        for each in result.left
    ]
    lines.append(f"  the override stands until `onefold override {said['person_id']} --clear`")
    return "\n".join(lines)
