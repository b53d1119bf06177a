"""Time as the inbox writes it: UTC in ISO 8601 with milliseconds, which sorts as text and which every SCIM client reads."""

from __future__ import annotations

from datetime import UTC, datetime


def stamp(moment: datetime | None = None) -> str:
    """That moment, or now: `2026-11-24T04:07:34.123Z`."""
    return (moment or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def moment(text: str) -> datetime:
    """Back to an aware time."""
    return datetime.fromisoformat(text)
