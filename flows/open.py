"""Finds and opens the installation a command or a flow works on."""

from __future__ import annotations

import os
from pathlib import Path

from tasks.installation import Installation, Progress, load
from tasks.secrets import Blocks

FILE = "onefold.yaml"


def config_path(chosen: Path | None) -> Path:
    """`--config`, then ONEFOLD_CONFIG, then the working directory."""
    if chosen is not None:
        return chosen.absolute()
    if named := os.environ.get("ONEFOLD_CONFIG"):
        return Path(named).absolute()
    return Path.cwd() / FILE


def open_installation(
    chosen: Path | None, *, blocks: Blocks | None = None, progress: Progress | None = None
) -> Installation:
    """Loads and validates the config. ConfigError with every problem at once."""
    path = config_path(chosen)
    inst = Installation(load(path), path, blocks=blocks)
    return inst if progress is None else Installation(inst.config, path, blocks=blocks, progress=progress)
