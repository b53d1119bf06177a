"""Publishes the state as a read-only snapshot for analysts and for every command that only reads."""

from __future__ import annotations

from pathlib import Path

from state.snapshot import publish as write_snapshot
from state.store import Store
from tasks.installation import Installation


def publish(inst: Installation) -> Path:
    """Writes a snapshot beside the state and swaps it in; returns its path."""
    with Store.open(inst.state, purpose="publish", now=inst.clock) as store:
        return write_snapshot(store, now=inst.clock(), keep=inst.config.settings.keep.snapshots)
