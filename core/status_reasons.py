"""Why a person's status is what it is, in words, and who says otherwise. Who decides is in `merge_status`.

Words are made for the few whose accounts do not agree; everybody else is active and needs none.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from core.status_stance import ABSENT, ON, words

Ints = np.ndarray[tuple[int], np.dtype[np.int64]]
TOLD: dict[str, pl.DataType] = {"reason": pl.String(), "kept_by": pl.Int16(), "against": pl.String()}


def reasons(
    chosen: pl.DataFrame, said: pl.DataFrame, start: Ints, again: pl.DataFrame, names: Mapping[int, str]
) -> pl.DataFrame:
    """TOLD, a row a person.

    `chosen`: the row that decided each, with person, active_now, nobody; `said`: what every account says; `again`:
    `rehire.REHIRE`; `names`: of tenants by key.
    """
    counts = ~said.get_column("guest") & ~said.get_column("beside") & ~said.get_column("former")
    counts &= ~said.get_column("retired")
    here = (counts & said.get_column("on") & ~said.get_column("silent") & (said.get_column("stance") == ON)).to_numpy()
    off = (counts & ~said.get_column("on")).to_numpy()
    some_off = np.maximum.reduceat(off, start)
    active = chosen.get_column("active_now").to_numpy()
    unsure = chosen.select(
        (pl.col("stance") == ABSENT) & ~pl.col("trusted") & ~pl.col("nobody") & ~pl.col("retired")
    ).to_series()
    told = ~active | some_off | unsure.to_numpy()
    told[again.get_column("person").to_numpy()] = True
    if not told.any():
        return pl.DataFrame(
            {name: pl.Series([None], dtype=kind).new_from_index(0, len(start)) for name, kind in TOLD.items()}
        )
    people = np.flatnonzero(told)
    person = np.repeat(np.arange(len(start)), np.diff(np.append(start, said.height)))
    mine = np.flatnonzero(told[person] & (here | off))
    name = pl.col("tenant_key").replace_strict(names, return_dtype=pl.String).alias("tenant")
    rows = said[mine].with_columns(name, pl.Series("person", person[mine]), here=pl.Series(here[mine]))
    voices = _voices(rows)
    shown = chosen[people].with_columns(name, unsure=unsure.gather(pl.Series(people)))
    shown = shown.with_columns(_came_back(shown, said.select("tenant_key"), again, name))
    shown = shown.join(voices, on="person", how="left", maintain_order="left")
    shown = shown.select("person", _reason(), _kept_by(), _against())
    whole = pl.select(person=pl.int_range(len(start)))
    return whole.join(shown, on="person", how="left", maintain_order="left").select(
        pl.col(name).cast(kind) for name, kind in TOLD.items()
    )


def _voices(rows: pl.DataFrame) -> pl.DataFrame:
    """A row a person: `yes` and `no`, names of the tenants that say so by rank; `no_words`; `only`, the one tenant that says on."""
    # In a tenant an account that is on speaks for it; then the one whose stance is smallest.
    spoken = rows.sort("person", "rank", ~pl.col("here"), "stance", "account_key").unique(
        ["person", "tenant_key"], keep="first", maintain_order=True
    )
    spoken = spoken.with_columns(words=words())
    return spoken.group_by("person", maintain_order=True).agg(
        yes=pl.col("tenant").filter("here").str.join(", "),
        no=pl.col("tenant").filter(~pl.col("here")).str.join(", "),
        no_words=pl.col("words").filter(~pl.col("here")).str.join(", "),
        only=pl.when(pl.col("here").sum() == 1).then(pl.col("tenant_key").filter("here").first()),
        against=(~pl.col("here")).sum(),
        speaking=pl.col("here").sum(),
    )


def _came_back(shown: pl.DataFrame, said: pl.DataFrame, again: pl.DataFrame, name: pl.Expr) -> pl.Series:
    """`rehired on …` for those whose new account stands in the place of an old one."""
    none = pl.Series("back", [None], dtype=pl.String).new_from_index(0, shown.height)
    if again.is_empty():
        return none
    old, new = (said[again.get_column(side)].select(name) for side in ("old", "new"))
    day = "%Y-%m-%d"
    lines = again.select(
        "person",
        began=pl.format(" on {}", pl.col("began").dt.strftime(day)).fill_null(""),
        ended=pl.format(" since {}", pl.col("ended").dt.strftime(day)).fill_null(""),
    ).with_columns(now=new.get_column("tenant"), was=old.get_column("tenant"))
    lines = lines.select(
        "person", back=pl.format("rehired{} in {}; the account before is over in {}{}", "began", "now", "was", "ended")
    )
    lines = lines.unique("person", keep="last", maintain_order=True)
    joined = shown.select("person").join(lines, on="person", how="left", maintain_order="left")
    return joined.get_column("back")


def _reason() -> pl.Expr:
    back = pl.col("back")
    kept = (
        pl.when(pl.col("speaking") == 1)
        .then(pl.format("kept active only by {}; {}", "yes", "no_words"))
        .when(pl.col("speaking") > 1)
        .then(pl.format("active in {}; {} (overruled)", "yes", "no_words"))
        .when("nobody")
        .then(pl.format("{}: kept, nobody who says so may deactivate", "no_words"))
        .otherwise(pl.format("{}: kept by {}", "no_words", "tenant"))
    )
    overruled = (
        pl.when(pl.col("speaking") > 0).then(pl.format("; still active in {} (overruled)", "yes")).otherwise(pl.lit(""))
    )
    return (
        pl.when("unsure")
        .then(pl.format("missing from {}, whose newest read is not trusted: kept", "tenant"))
        .when(~pl.col("active_now"))
        .then(words() + overruled.fill_null(""))
        .when(pl.col("against") > 0)
        .then(kept + pl.format("; {}", back).fill_null(""))
        .otherwise(back)
        .alias("reason")
    )


def _kept_by() -> pl.Expr:
    return pl.when(pl.col("active_now") & (pl.col("against") > 0) & ~pl.col("unsure")).then("only").alias("kept_by")


def _against() -> pl.Expr:
    side = pl.when("active_now").then("no").otherwise("yes")
    return pl.when(side.str.len_bytes() > 0).then(side).alias("against")
