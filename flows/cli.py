"""The `onefold` command: options, exit codes and errors. Each command's work is in its own file beside this one."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer
from typer.exceptions import TyperException

from core.errors import ConfigError, OnefoldError, RefusedError, TerminalError, TransientError
from flows.console import complain
from flows.exits import Exit

app = typer.Typer(
    name="onefold",
    help="Many identity tenants in, one Jira and Confluence directory out, and only the differences are ever written.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="onefold.yaml; else ONEFOLD_CONFIG, else the working directory.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


def exit_code(error: OnefoldError) -> Exit:
    """The exit code of an error that ended a command."""
    match error:
        case ConfigError():
            return Exit.CONFIG
        case RefusedError():
            return Exit.REFUSED
        case TransientError() | TerminalError():
            return Exit.FAILED
        case _:
            return Exit.UNEXPECTED


def command(work: Callable[..., Exit]) -> Callable[..., None]:
    """Wraps a command: its Exit becomes the process's, errors of ours are said in one line, not as tracebacks."""

    @wraps(work)
    def run(*args: object, **options: object) -> None:
        try:
            code = work(*args, **options)
        except OnefoldError as error:
            complain(error, as_json=bool(options.get("as_json")))
            code = exit_code(error)
        raise typer.Exit(int(code))

    return run


def register() -> None:
    """Imports every `cli_*.py` beside this file, which registers its commands: being in the folder is being enrolled."""
    for path in sorted(Path(__file__).parent.glob("cli_*.py")):
        import_module(f"flows.{path.stem}")


def main(arguments: list[str] | None = None) -> int:
    """Runs a command line and returns its exit code."""
    register()
    try:
        code = app(arguments, standalone_mode=False)
    except TyperException as error:
        sys.stderr.write(f"{error}\n")
        return int(Exit.CONFIG)
    except KeyboardInterrupt:
        sys.stderr.write("stopped between two writes; run again to go on\n")
        return int(Exit.REFUSED)
    except Exception:  # noqa: BLE001 - the outermost frame: exit code 1 is a contract, the traceback is shown
        traceback.print_exc()
        return int(Exit.UNEXPECTED)
    return int(code or 0)


if __name__ == "__main__":
    sys.exit(main())
