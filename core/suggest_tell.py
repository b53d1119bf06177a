"""How a suggestion is told: a waterfall of what each field says in bits, and one sentence for a human."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from core.suggest_compare import SWAPPED, Codes, Compared, Field, Records
from core.suggest_weigh import Weights, bits_of

RARE = 10  # entities at most that share a value for it to be told as rare
PRAISE, BLAME = 1.0, -1.0  # bits from which the sentence mentions a field


@dataclass(frozen=True)
class _Told:
    """One field's words and bits as expressions; a null detail says nothing."""

    field: str
    detail: pl.Expr
    bits: pl.Expr

    @property
    def entry(self) -> pl.Expr:
        """Its entry in the waterfall, JSON."""
        whole = pl.struct(field=pl.lit(self.field), detail=self.detail, bits=self.bits).struct.json_encode()
        return pl.when(self.detail.is_not_null()).then(whole)


def waterfall(known: Records, weights: Weights, compared: Compared) -> pl.DataFrame:
    """Columns waterfall (JSON list of field, detail, bits; their bits sum to the match weight) and reason, one row a pair."""
    frame = pl.DataFrame({"place": np.arange(len(compared.a))})
    one = 2 ** -min(weights.prior, 0.0)
    prior = pl.struct(
        field=pl.lit("prior"),
        detail=pl.lit(f"before looking, one pair in {one:,.0f} is one human"),
        bits=pl.lit(round(weights.prior, 2)),
    )
    told = []
    for place, each in enumerate(known.spec.fields):
        detail = _details(known, each, compared, place)
        frame = frame.with_columns(
            detail.alias(f"d{place}"), pl.Series(f"b{place}", bits_of(known, weights, compared, place))
        )
        told.append(_Told(each.name, pl.col(f"d{place}"), pl.col(f"b{place}")))
    turned = pl.Series(compared.swapped)
    frame = frame.with_columns(
        ds=pl.select(pl.when(turned).then(pl.lit(SWAPPED.levels[0].told))).to_series(),
        bs=pl.lit(round(weights.swap, 2)),
    )
    told.append(_Told(SWAPPED.name, pl.col("ds"), pl.col("bs")))
    parts = [prior.struct.json_encode(), *(each.entry for each in told)]
    praise = _listed([pl.when(each.bits >= PRAISE).then(each.detail) for each in told])
    blame = _listed([pl.when(each.bits <= BLAME).then(each.detail) for each in told])
    reason = (
        pl.when(blame == "").then(praise).when(praise == "").then(blame).otherwise(praise + pl.lit("; but ") + blame)
    )
    return frame.select(
        waterfall=pl.lit("[") + pl.concat_str(parts, separator=", ", ignore_nulls=True) + pl.lit("]"), reason=reason
    )


def _listed(words: list[pl.Expr]) -> pl.Expr:
    return pl.concat_str(words, separator=", ", ignore_nulls=True)


def _shown(known: Records, each: Field, rows: Codes) -> pl.Series:
    return known.frame.get_column(each.shown or each.name).gather(rows)


def _details(known: Records, each: Field, compared: Compared, place: int) -> pl.Series:
    """What one field says of each pair in words; null where it says nothing."""
    column = known.columns[each.name]
    levels = pl.Series(compared.levels[place])
    frame = pl.DataFrame({"level": levels})
    if not each.joint:
        a, b = (_shown(known, each, rows) for rows in (compared.a, compared.b))
        swap = known.spec.swap or ()
        if each.name in swap:  # where names are turned, the other record's value stands in the other field
            other = next(field for field in known.spec.fields if field.name in swap and field.name != each.name)
            crossed = pl.Series(compared.swapped)
            b = pl.select(pl.when(crossed).then(_shown(known, other, compared.b)).otherwise(b)).to_series()
        frame = frame.with_columns(a.alias("a"), b.alias("b"))
        frame = frame.with_columns(holders=pl.Series(column.holders).gather(np.maximum(column.codes[compared.a], 0)))
    told = pl.lit(None, dtype=pl.String)
    for number, level in reversed(list(enumerate(each.levels))):
        text = level.told.replace("{field}", each.word)
        words = pl.lit(text)
        if "{a}" in text:
            words = pl.format(text.replace("{a}", "{}").replace("{b}", "{}"), "a", "b")
        if number == 0 and each.frequency and not each.joint:
            words = words + _rarity()
        told = pl.when(pl.col("level") == number).then(words).otherwise(told)
    return frame.select(told=told).to_series()


def _rarity() -> pl.Expr:
    held = pl.col("holders")
    return (
        pl.when(held <= 2)
        .then(pl.lit(" (nobody else has it)"))
        .when(held <= RARE)
        .then(pl.format(" (rare: {} people)", "holders"))
        .otherwise(pl.format(" ({} people)", "holders"))
    )
