"""`onefold sandbox serve`: stand-ins of the targets on loopback, to try everything without a vendor."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli import app, command
from flows.exits import Exit

sandbox = typer.Typer(name="sandbox", help="Stand-ins of vendors' servers on loopback.", no_args_is_help=True)
app.add_typer(sandbox)


@sandbox.command("serve")
@command
def serve(
    faults: Annotated[Path | None, typer.Option("--faults", help="A fault script (YAML).")] = None,
    seed: Annotated[int, typer.Option("--seed", help="Which made-up users the targets hold.")] = 1,
    users: Annotated[int, typer.Option("--users", help="How many users the targets hold already.")] = 150,
    port: Annotated[int, typer.Option("--port", help="Of the first stand-in; 0: any free one.")] = 0,
    version: Annotated[str, typer.Option("--jira-version", help="10.3 or 11.0.")] = "10.3",
) -> Exit:
    """Prints one JSON line with every URL and credential, then serves until it is ended."""
    from sandbox.serve import serve as run

    run(faults=faults, seed=seed, users=users, port=port, version=version)
    return Exit.DONE
