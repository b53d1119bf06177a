"""`onefold rehearse DIGEST`: a plan applied to stand-ins that hold what the targets hold. Nothing real is asked or written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.errors import RefusedError
from flows.cli import ConfigOption, JsonOption, app, command
from flows.console import emit
from flows.exits import Exit, worst
from flows.open import open_installation

if TYPE_CHECKING:
    from tasks.rehearse import Stage

ADMIN = "onefold-rehearsal"  # whom the stand-in takes us for: nobody of the real users
STAND_INS = {"jira_dc": "jira", "confluence_dc": "confluence"}


@app.command("rehearse")
@command
def rehearse(  # noqa: PLR0917 - options of a command line
    digest: Annotated[str, typer.Argument(help="Of the plan, or its first letters.")],
    jira_version: Annotated[str, typer.Option("--jira-version", help="8.2, 9, 10.0, 10.3 or 11.")] = "10.3",
    confluence_version: Annotated[str, typer.Option("--confluence-version", help="7, 8.4, 9.2 or 10.")] = "10",
    faults: Annotated[Path | None, typer.Option("--faults", help="A fault script (YAML): what if?")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> Exit:
    """Applies the plan to stand-ins of its targets, seeded with what those hold, and says what came out otherwise than planned."""
    from tasks.rehearse import rehearse as run

    inst = open_installation(config)
    versions = {"jira": jira_version, "confluence": confluence_version}

    @contextmanager
    def staging(target: str, kind: str, seed: Mapping[str, Any]) -> Iterator[Stage]:
        from sandbox.serve import Sandbox
        from tasks.rehearse import Stage

        if kind not in STAND_INS:
            raise RefusedError(f"there is no stand-in of kind {kind}", target=target, remedy="Rehearse other targets")
        name = STAND_INS[kind]
        own = {**seed, "admin": ADMIN, **({"default_groups": seed["implicit"]} if seed["implicit"] else {})}
        with Sandbox(own, faults, versions["jira"], confluence_version=versions["confluence"], rate=None) as box:
            told = box.announcement()[name]
            yield Stage(told["url"], told["token"])

    document = run(inst, digest, staging)
    emit(document, _text(document), as_json=as_json)
    codes = [Exit.DONE]
    if document["failed"] or document["stopped"] or document["differing"] or document["left_count"]:
        codes.append(Exit.FAILED)
    if document["held"] or document["dropped"]:
        codes.append(Exit.HELD)
    return worst(*codes)


def _text(document: Mapping[str, Any]) -> str:
    from core.render import plain

    where, sent = ", ".join(document["targets"]), sum(document["requests"].values())
    counts = f"{document['applied']} applied, {document['failed']} failed, {document['held']} held"
    dropped = len(document["dropped"])
    lines = [
        f"REHEARSAL of {document['digest'][:8]} on stand-ins of {where}: {counts}, {dropped} dropped, {sent} requests"
    ]
    for each in document["answers"]:
        who = each["user_name"] or each["group_name"] or each["object_id"]
        lines.append(
            f"  {each['target']}  {each['verb']}  {plain(who)}  {each['state']}: {plain(each['detail'] or '')}"
        )
    if document["differing"] > len(document["answers"]):
        lines.append(f"  and {document['differing'] - len(document['answers'])} more")
    lines += [f"  {name} stopped: {plain(why)}" for name, why in document["stopped"].items()]
    lines += [f"  {name} could not be read afterwards: {plain(why)}" for name, why in document["unread"].items()]
    if document["left_count"]:
        lines.append(f"  {document['left_count']} changes would still be wanted afterwards:")
        lines += [f"    {each['target']}  {each['verb']}  {plain(each['object'])}" for each in document["left"][:20]]
    else:
        lines.append("  afterwards nothing that is ready would be left to do")
    lines.append("Nothing real was asked or written.")
    return "\n".join(lines)
