"""What one target holds, as the shadow believes it."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from core.frames import EXISTING_GROUP, EXISTING_MEMBERSHIP, EXISTING_USER, empty

PROTECTED: dict[str, pl.DataType] = {"user_key": pl.Int32(), "protected": pl.String()}
TRAITS: dict[str, pl.DataType] = {"group_key": pl.Int32(), "grants_admin": pl.Boolean(), "implicit": pl.Boolean()}


@dataclass(frozen=True, slots=True)
class Existing:
    """What a target holds, as EXISTING_USER, EXISTING_GROUP and EXISTING_MEMBERSHIP, each sorted by its keys.

    `protected`: user_key and why nobody may touch that user. `traits`: group_key, grants_admin, implicit.
    """

    users: pl.DataFrame
    groups: pl.DataFrame
    memberships: pl.DataFrame
    protected: pl.DataFrame
    traits: pl.DataFrame


def nothing() -> Existing:
    """A target that holds nothing."""
    return Existing(
        empty(EXISTING_USER), empty(EXISTING_GROUP), empty(EXISTING_MEMBERSHIP), empty(PROTECTED), empty(TRAITS)
    )
