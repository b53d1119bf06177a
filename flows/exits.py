"""Exit codes of every command (a contract), and the order in which they win."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """What a script may rely on."""

    DONE = 0
    UNEXPECTED = 1
    CONFIG = 2
    HELD = 3  # some changes are held, or an input was not complete
    FAILED = 4  # some changes failed and are quarantined
    REFUSED = 5  # unsafe, locked, nothing approved


PRECEDENCE = (Exit.UNEXPECTED, Exit.CONFIG, Exit.REFUSED, Exit.FAILED, Exit.HELD, Exit.DONE)


def worst(*codes: Exit) -> Exit:
    """The code that wins among several outcomes of one command."""
    return next(code for code in PRECEDENCE if code in (*codes, Exit.DONE))
