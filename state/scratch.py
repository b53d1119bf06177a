"""A scratch copy of everything that is remembered, from the newest snapshot: to try something out without touching the state."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from state.control import NAME as CONTROL
from state.ledger import NAME as LEDGER
from state.migrate import NAME as STATE
from state.private import private_file, private_folder
from state.snapshot import Snapshot
from state.sqlite import connect_reading


def copy_of(snapshot: Snapshot, folder: Path, scratch: Path) -> None:
    """Makes `scratch` a state folder that holds what the open snapshot holds, with the control store and ledger of `folder` as they are.

    Takes no lease and writes nothing to `folder`. Landed files are not copied: nothing can be consolidated from there.
    """
    private_folder(scratch)
    shutil.copyfile(snapshot.path, scratch / STATE)
    private_file(scratch / STATE)
    for name in (CONTROL, LEDGER):
        source = connect_reading(folder / name)
        if source is None:
            continue
        with closing(source), closing(sqlite3.connect(scratch / name, isolation_level=None)) as copy:
            source.backup(copy)
            if name == CONTROL:
                copy.execute("DELETE FROM lease")  # whoever runs now holds the other one
        private_file(scratch / name)
