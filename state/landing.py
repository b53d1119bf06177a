"""Landed extracts: Parquet parts and, written last, the manifest that makes them an extract. Judging them is not done here.

    {root}/{tenant}/{extract_id}/accounts-0000.parquet, groups-…, memberships-…, rejected-…, manifest.json

A folder without a manifest was never finished and counts for nothing. Equal rows give equal bytes: parts hold the rows in
the order of their keys, in one chunk, without times; so an unchanged tenant shows the same sha256 again.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from core.errors import RefusedError, TerminalError
from core.frames import LANDED, conform, empty
from core.model import Manifest, Part
from state import codec
from state.places import Place, place

MANIFEST = "manifest.json"
# What one row is called; rows of a part are in this order.
KEYS: dict[str, tuple[str, ...]] = {
    "accounts": ("native_id",),
    "groups": ("native_id",),
    "memberships": ("group_id", "member_id", "member_kind"),
    "rejected": ("object", "native_id", "field", "problem", "raw"),
}
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,200}")


class LandingWriter:
    """Writes the files of one extract. Nobody sees them as an extract before `commit`."""

    def __init__(self, root: Path | str, tenant: str, extract_id: str) -> None:
        """RefusedError when that extract was committed before, or when its id is no file name."""
        for word in (tenant, extract_id):
            if not NAME.fullmatch(word):
                raise RefusedError(f"{word!r} cannot be the name of a folder", tenant=tenant)
        self.tenant, self.extract_id = tenant, extract_id
        self.parts: list[Part] = []
        self._place = place(root)
        self._folder = f"{tenant}/{extract_id}"
        if self._place.exists(f"{self._folder}/{MANIFEST}"):
            raise RefusedError(f"extract {extract_id} was landed before", tenant=tenant, remedy="Read under a new id")

    def write(self, object: str, frame: pl.DataFrame) -> Part:  # noqa: A002 - the vocabulary's word
        """Lands rows of LANDED[object] as the next part. Rows of one key belong into one part: give ranges of keys."""
        schema = LANDED[object]
        # The native ids decide the order; all columns are given, so that rows of one key cannot come in two orders.
        keys = list(KEYS[object])
        ordered = conform(frame, schema).sort(keys, nulls_last=True, maintain_order=True).rechunk()
        buffer = io.BytesIO()
        ordered.write_parquet(buffer, compression="zstd", statistics=True)
        content = buffer.getvalue()
        number = sum(part.object == object for part in self.parts)
        name = f"{object}-{number:04}.parquet"
        self._place.write(f"{self._folder}/{name}", content)
        part = Part(object, name, ordered.height, hashlib.sha256(content).hexdigest())
        self.parts.append(part)
        return part

    def commit(self, manifest: Manifest) -> None:
        """Makes the extract exist: the manifest is written last, by rename, when all its parts are durable."""
        if manifest.parts != tuple(self.parts):
            raise ValueError(f"the manifest of {self.extract_id} does not list the parts that were landed")
        self._place.write(f"{self._folder}/{MANIFEST}", codec.dump(manifest).encode())


def manifest(root: Path | str, extract_id: str) -> Manifest:
    """The manifest of one extract, whosesoever it is. RefusedError when there is none."""
    files = place(root)
    for tenant in files.folders(""):
        if extract_id in files.folders(tenant) and (found := _manifest(files, tenant, extract_id)):
            return found
    raise RefusedError(f"there is no extract {extract_id}", remedy="`onefold history` lists what was read")


def manifests(root: Path | str, tenant: str) -> list[Manifest]:
    """All finished extracts of a tenant, newest last."""
    files = place(root)
    found = [_manifest(files, tenant, name) for name in files.folders(tenant)]
    return sorted((each for each in found if each), key=lambda each: (each.finished_at, each.extract_id))


def newest_first(root: Path | str, tenant: str) -> Iterator[Manifest]:
    """Finished extracts of a tenant, the one that was begun last first, each read when it is asked for.

    The order is that of their ids, which begin with tenant and time: of thousands that are kept, mostly one is looked at.
    """
    files = place(root)
    for name in sorted(files.folders(tenant), reverse=True):
        if found := _manifest(files, tenant, name):
            yield found


def _manifest(files: Place, tenant: str, extract_id: str) -> Manifest | None:
    name = f"{tenant}/{extract_id}/{MANIFEST}"
    try:
        text = files.read(name).decode()
    except FileNotFoundError:
        return None  # never finished, or pruned a moment ago
    try:
        return codec.load(Manifest, text)
    except (TerminalError, ValueError) as error:
        raise RefusedError(
            f"{name} is damaged: {error}",
            tenant=tenant,
            remedy=f"Move the folder {extract_id} away; the next read replaces it",
        ) from error


def read_part(root: Path | str, manifest: Manifest, object: str) -> pl.DataFrame:  # noqa: A002 - the vocabulary's word
    """All landed rows of one object (LANDED[object]), in the order of their keys.

    RefusedError names the file that is missing, or whose bytes are not those that were landed.
    """
    files = place(root)
    parts = [part for part in manifest.parts if part.object == object]
    schema = LANDED[object]
    return pl.concat([empty(schema), *(conform(_verified(files, manifest, part), schema) for part in parts)])


def _verified(files: Place, manifest: Manifest, part: Part) -> pl.DataFrame:
    name = f"{manifest.tenant}/{manifest.extract_id}/{part.file}"
    remedy = "Restore it from a backup, or read the tenant again with `onefold plan --full`"
    try:
        content = files.read(name)
    except FileNotFoundError as error:
        raise RefusedError(
            f"the landed file {name} is missing", tenant=manifest.tenant, object=part.object, remedy=remedy
        ) from error
    if hashlib.sha256(content).hexdigest() != part.sha256:
        raise RefusedError(
            f"the landed file {name} is not what was landed (its sha256 differs)",
            tenant=manifest.tenant,
            object=part.object,
            remedy=remedy,
        )
    return pl.read_parquet(io.BytesIO(content))
