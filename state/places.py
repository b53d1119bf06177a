"""Where landed files live: a local folder, or an fsspec URL. Bytes under slash-separated names; what they mean is told in `landing`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Protocol

from core.errors import RefusedError
from state.private import FILE, private_folder, sync_folder


class Place(Protocol):
    """A tree of files that are written whole and never changed."""

    def write(self, name: str, content: bytes) -> None:
        """Stores a file durably; it appears whole or not at all."""

    def read(self, name: str) -> bytes:
        """The bytes of a file. FileNotFoundError when there is none."""

    def exists(self, name: str) -> bool:
        """Whether there is a file of that name."""

    def folders(self, name: str) -> list[str]:
        """Names of the folders inside a folder, sorted; none when it does not exist."""


class Folder:
    """A local folder: 0700, files 0600, each written beside its name, fsynced and renamed."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, name: str, content: bytes) -> None:
        """Durable when it returns: the file, its name, and the folders above it."""
        path = self.root / name
        if not path.parent.is_dir():
            fresh = [path.parent, *(each for each in path.parent.parents if not each.exists())]
            private_folder(path.parent)
            for each in fresh:
                sync_folder(each.parent)
        beside = path.with_name(f".{path.name}.writing")
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, FILE), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        sync_folder(path.parent)

    def read(self, name: str) -> bytes:
        """The bytes of a file."""
        return (self.root / name).read_bytes()

    def exists(self, name: str) -> bool:
        """Whether there is a file of that name."""
        return (self.root / name).is_file()

    def folders(self, name: str) -> list[str]:
        """Names of the folders inside a folder, sorted."""
        try:
            with os.scandir(self.root / name) as entries:
                return sorted(entry.name for entry in entries if entry.is_dir())
        except FileNotFoundError:
            return []


class Remote:
    """A tree behind an fsspec URL. An object store shows a file only when it was written to its end."""

    def __init__(self, url: str) -> None:
        try:
            from fsspec.core import url_to_fs
        except ImportError as error:
            raise RefusedError(
                "landing is a URL, and fsspec is not installed",
                field="landing",
                remedy="Install fsspec, or name a local folder",
            ) from error
        found: tuple[Any, str] = url_to_fs(url)
        self.files, self.root = found

    def write(self, name: str, content: bytes) -> None:
        """Stores a file under its name."""
        path = self._path(name)
        self.files.makedirs(path.rpartition("/")[0], exist_ok=True)
        with self.files.open(path, "wb") as file:
            file.write(content)

    def read(self, name: str) -> bytes:
        """The bytes of a file."""
        content: bytes = self.files.cat_file(self._path(name))
        return content

    def exists(self, name: str) -> bool:
        """Whether there is a file of that name."""
        return bool(self.files.isfile(self._path(name)))

    def folders(self, name: str) -> list[str]:
        """Names of the folders inside a folder, sorted."""
        self.files.invalidate_cache()
        try:
            entries: list[dict[str, Any]] = self.files.ls(self._path(name), detail=True)
        except FileNotFoundError:
            return []
        return sorted(
            str(each["name"]).rstrip("/").rpartition("/")[2] for each in entries if each["type"] == "directory"
        )

    def _path(self, name: str) -> str:
        return f"{self.root.rstrip('/')}/{name}"


def place(root: Path | str) -> Place:
    """The tree at a local folder or at an fsspec URL (anything with `://`)."""
    if isinstance(root, str) and "://" in root:
        return Remote(root)
    return Folder(Path(root))
