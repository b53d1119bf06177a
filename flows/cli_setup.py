"""Commands that set up and check: init, schema, check."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from core.errors import RefusedError
from flows.cli import ConfigOption, JsonOption, app, command
from flows.console import emit
from flows.exits import Exit
from flows.open import FILE, open_installation
from flows.starter import STARTER


@app.command("init")
@command
def init(
    path: Annotated[Path, typer.Argument(help="Where to write it.")] = Path(FILE), as_json: JsonOption = False
) -> Exit:
    """Writes a commented starter configuration; never over an existing file."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(STARTER)
    except FileExistsError as error:
        raise RefusedError(f"{path} exists already", remedy="Name another path, or edit that file") from error
    emit({"path": str(path)}, f"Wrote {path}. Edit it, then run: onefold check", as_json=as_json)
    return Exit.DONE


@app.command("schema")
@command
def schema() -> Exit:
    """Prints the JSON Schema of onefold.yaml."""
    from tasks.installation import schema as build

    sys.stdout.write(json.dumps(build(), indent=2) + "\n")
    return Exit.DONE


@app.command("check")
@command
def check(
    config: ConfigOption = None,
    live: Annotated[bool, typer.Option("--live", help="Also connect to every tenant and target.")] = False,
    as_json: JsonOption = False,
) -> Exit:
    """Validates the configuration; live: says what each credential may do, lacks, and has too much of."""
    from tasks.check import check as run

    inst = open_installation(config)
    findings = run(inst, live=live)
    signs = {"ok": "ok     ", "warning": "WARNING", "error": "ERROR  "}
    lines = [
        f"{signs[each.level]} {each.subject}: {each.text}" + (f". {each.remedy}" if each.remedy else "")
        for each in findings
    ]
    document = {
        "config": str(inst.path),
        "digest": inst.config.digest,
        "findings": [
            {"level": each.level, "subject": each.subject, "text": each.text, "remedy": each.remedy}
            for each in findings
        ],
    }
    emit(document, "\n".join(lines), as_json=as_json)
    return Exit.CONFIG if any(each.level == "error" for each in findings) else Exit.DONE
