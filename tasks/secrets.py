"""From a secret's reference to its value, at the last moment and in memory only."""

from __future__ import annotations

import os
import re
import typing
from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel

from core.errors import RefusedError
from core.settings import MAY_REFER, REFERENCE

Blocks = Callable[[str], str]
"""Reads a Prefect Secret block by name; given by `flows`, because nothing below it knows Prefect."""


def references(settings: BaseModel) -> dict[str, str]:
    """Field name → reference, for every field of the settings that is typed SecretRef, or may hold such a reference, and does."""
    found = {}
    for name, info in type(settings).model_fields.items():
        value = getattr(settings, name)
        extra = info.json_schema_extra
        marked = isinstance(extra, dict) and extra.get("pattern") == REFERENCE
        nested = any(
            getattr(part, "json_schema_extra", None) == {"pattern": REFERENCE}
            for argument in typing.get_args(info.annotation)
            for part in getattr(argument, "__metadata__", ())
        )
        marked = marked or (isinstance(extra, dict) and extra.items() >= MAY_REFER.items())
        if (marked or nested) and isinstance(value, str) and re.match(REFERENCE, value):
            found[name] = value
    return found


def resolve(reference: str, *, path: str, base: Path, blocks: Blocks | None = None) -> str:
    """The value behind `env:NAME`, `file:PATH` (relative to `base`) or `prefect:BLOCK`.

    RefusedError names the setting (`path`) and the reference, never the value.
    """
    kind, _, place = reference.partition(":")
    if kind == "env":
        value = os.environ.get(place)
        if value:
            return value
        raise RefusedError(
            f"the environment has no {place}", field=path, remedy=f"Set {place} to the secret and run again"
        )
    if kind == "file":
        try:
            text = (base / place).read_text(encoding="utf-8").strip()
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise RefusedError(
                f"cannot read {place}: {reason}", field=path, remedy="Create it, readable by us alone"
            ) from error
        if text:
            return text
        raise RefusedError(f"{place} is empty", field=path, remedy="Write the secret into it")
    if blocks is None:
        raise RefusedError(
            f"no Prefect to ask for {reference}", field=path, remedy="Use env: or file:, or set PREFECT_API_URL"
        )
    return blocks(place)


def resolved(settings: BaseModel, *, path: str, base: Path, blocks: Blocks | None = None) -> dict[str, str]:
    """All secrets of one tenant's or target's settings, by field name."""
    return {
        name: resolve(reference, path=f"{path}.{name}", base=base, blocks=blocks)
        for name, reference in references(settings).items()
    }
