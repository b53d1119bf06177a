"""Folders that only we may enter and files that only we may read."""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = 0o700
FILE = 0o600


def private_folder(folder: Path) -> Path:
    """Creates the folder 0700, or narrows an existing one, and from now on lets this process create private files only.

    The umask is the one thing that reaches the write-ahead logs, which DuckDB and SQLite create whenever they like.
    """
    os.umask(0o077)
    folder.mkdir(parents=True, exist_ok=True, mode=FOLDER)
    if folder.stat().st_mode & 0o077:
        folder.chmod(FOLDER)
    return folder


def private_file(path: Path) -> None:
    """Narrows an existing file to 0600."""
    if path.exists() and path.stat().st_mode & 0o077:
        path.chmod(FILE)


def sync_folder(folder: Path) -> None:
    """Makes renames inside the folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_file(path: Path) -> None:
    """Makes the content of a file durable. Never for a database that is open: closing any handle drops its locks."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
