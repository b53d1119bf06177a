"""Notes of a plan: what asks for no change and still should be looked at. What waits is a hold, not a note."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

NAMED = 3  # persons or groups that a note names


def conflict_notes(persons: pl.DataFrame, tenants: Mapping[int, str]) -> tuple[str, ...]:
    """One note a tenant that alone keeps people active whom others call off. `persons`: PERSON; `tenants`: names by key."""
    rows = persons.filter(pl.col("active") & pl.col("kept_by").is_not_null()).sort("kept_by", "user_name", "person_id")
    notes = []
    for (key,), mine in rows.group_by(["kept_by"], maintain_order=True):
        shown = mine.head(NAMED).select(pl.coalesce("user_name", "email", "person_id"), "against").rows()
        such = ", ".join(f"{name} (off in {against})" for name, against in shown)
        more = f" and {mine.height - NAMED} more" if mine.height > NAMED else ""
        keeps = "person is" if mine.height == 1 else "persons are"
        notes.append(
            f"{mine.height} {keeps} kept active only by {tenants.get(int(str(key)), key)}: {such}{more}; see status_conflicts"
        )
    return tuple(notes)
