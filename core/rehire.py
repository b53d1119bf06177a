"""People who came back: a new account with the HR number of one whose time is over. The person goes on, status follows the new account."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from core.normalise import employee_numbers
from core.status_stance import OFF, ON, OVER

Ints = np.ndarray[tuple[int], np.dtype[np.int64]]
# `old`, `new`: rows of what accounts say. `elsewhere`: in another tenant. Days are null where the tenant gives none.
REHIRE: dict[str, pl.DataType] = {
    "person": pl.Int64(),
    "old": pl.Int64(),
    "new": pl.Int64(),
    "elsewhere": pl.Boolean(),
    "began": pl.Date(),
    "ended": pl.Date(),
}


def rehires(said: pl.DataFrame, accounts: pl.DataFrame, start: Ints, issuers: Mapping[int, str]) -> pl.DataFrame:
    """REHIRE, of members alone. `said`: what each account says, persons together, each one's first row at `start`.

    `issuers`: of HR numbers, by tenant_key. In one tenant an enabled account replaces a disabled or ended one. In another
    tenant it does only where the old account ended or was deleted, not merely disabled, and the new one began no sooner:
    a disable at home is no rehire.
    """
    member = ~(said.get_column("guest") | said.get_column("beside") | said.get_column("retired")).to_numpy()
    stance = said.get_column("stance").to_numpy()
    here = member & (stance == ON) & ~said.get_column("silent").to_numpy()
    over = member & np.isin(stance, [OFF, *OVER])
    both = np.maximum.reduceat(here, start) & np.maximum.reduceat(over, start)
    if not both.any():
        return pl.DataFrame(schema=REHIRE)
    person = np.repeat(np.arange(len(start)), np.diff(np.append(start, len(stance))))
    rows = np.flatnonzero((here | over) & both[person])
    facts = said.select("tenant_key", "stance", "starts_on", "ends_on", "disabled_at", "deleted_at", "place")[rows]
    of_account = accounts.select("employee_number", "created_at")[facts.get_column("place")]
    facts = facts.with_columns(
        pl.Series("row", rows),
        pl.Series("person", person[rows]),
        issuer=pl.col("tenant_key").replace_strict(issuers, return_dtype=pl.String),
        number=employee_numbers(of_account.get_column("employee_number")),
        began=pl.coalesce("starts_on", of_account.get_column("created_at").dt.date()),
        ended=pl.coalesce("ends_on", pl.col("deleted_at").dt.date(), pl.col("disabled_at").dt.date()),
    ).filter(pl.col("number").is_not_null())
    news = facts.filter(pl.col("stance") == ON).select("person", "issuer", "number", "tenant_key", "began", new="row")
    olds = facts.filter(pl.col("stance") != ON).select(
        "person", "issuer", "number", "tenant_key", "stance", "ended", old="row"
    )
    pairs = olds.join(news, on=["person", "issuer", "number"], suffix="_new").with_columns(
        elsewhere=pl.col("tenant_key") != pl.col("tenant_key_new")
    )
    later = pl.col("began") >= pl.col("ended")
    fits = later.fill_null(value=True) & ~pl.col("elsewhere")
    moved = later.fill_null(value=False) & pl.col("elsewhere") & pl.col("stance").is_in(OVER)
    found = (
        pairs.filter(fits | moved)
        .sort("person", "old", "new")
        .unique(["person", "old"], keep="first", maintain_order=True)
    )
    return found.select(pl.col(name).cast(kind) for name, kind in REHIRE.items())
