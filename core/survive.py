"""Whose value of each attribute survives: precedence, the settings of `attributes`, unions of lists, fallbacks. Who is active is in `merge_status`.

Nothing depends on the order in which accounts arrive: candidates are numbered by `merge.ranked`, and the smallest score wins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import polars as pl

from core.expression import evaluate
from core.frames import BIT, LISTS, PERSON_ATTRIBUTES, TEXTS
from core.model import TenantFacts
from core.normalise import comparable
from core.settings import AttributeRule

Ints = np.ndarray[tuple[int], np.dtype[np.int64]]
Bools = np.ndarray[tuple[int], np.dtype[np.bool_]]
NOBODY = np.iinfo(np.int64).max
# A score is the turn among preferred tenants, then the place in `order`; those who only say "none" to a union come last.
TURN, POSITION, NONE_OF_MINE = 32, 0xFFFFFFFF, 1 << 62
NOT_PREFERRED = 1 << 20
# How a value came to stand, two bits an attribute in PERSON's `rules`.
PRECEDENCE, DECLARED, FALLBACK, UNION = range(4)
MADE_BY = ("precedence", "preference", "fallback", "union")
PLAIN, UNITED = AttributeRule(), AttributeRule(merge="union")


@dataclass(frozen=True)
class Survived:
    """A row a person: `columns` holds each attribute and its `from_<attribute>`, `rules` how each came to stand.

    `fell`: attribute → which of its fallbacks gave the value (null: none). `notes`: fallbacks that could not be worked out.
    """

    columns: dict[str, pl.Series]
    rules: pl.Series
    fell: dict[str, pl.Series] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Rows:
    """The candidates: `base` is the place of a row that may speak at all, NOBODY of one that may not; `kinds` the class of its person."""

    place: np.ndarray[tuple[int], np.dtype[np.uint32]]
    present: np.ndarray[tuple[int], np.dtype[np.uint64]]
    start: Ints
    base: Ints
    tenant: pl.Series
    account: pl.Series
    kinds: pl.Series | None


def rule_of(attribute: str, rules: Mapping[str, AttributeRule]) -> AttributeRule:
    """What is declared for an attribute; lists are united where nothing else is said."""
    declared = rules.get(attribute, PLAIN)
    if attribute in LISTS and declared.merge is None:
        return UNITED if declared == PLAIN else declared.model_copy(update={"merge": "union"})
    return declared


def rule_at(rules: int, attribute: str) -> int:
    """How one attribute came to stand, from PERSON's `rules`."""
    return rules >> 2 * PERSON_ATTRIBUTES.index(attribute) & 3


def survivors(
    accounts: pl.DataFrame,
    order: pl.DataFrame,
    start: Ints,
    tenants: Sequence[TenantFacts],
    rules: Mapping[str, AttributeRule],
    *,
    today: date,
) -> Survived:
    """`order`: rows of `merge.ranked` (with `class` where classes are known), persons together, each one's first row at `start`."""
    standing = order.get_column("standing").cast(pl.Int64).to_numpy()
    best = np.repeat(standing[start], np.diff(np.append(start, len(standing))))
    eligible = (standing == best) & ~order.get_column("silent").to_numpy()
    rows = _Rows(
        order.get_column("place").to_numpy(),
        order.get_column("present").to_numpy(),
        start,
        np.where(eligible, np.arange(len(standing), dtype=np.int64), NOBODY),
        order.get_column("tenant_key"),
        order.get_column("account_key"),
        _kinds(order, start),
    )
    names = {each.name: each.tenant_key for each in tenants}
    columns: dict[str, pl.Series] = {}
    codes = np.zeros(len(start), dtype=np.uint64)
    for shift, attribute in enumerate(PERSON_ATTRIBUTES):
        values, keys, code = _survivor(
            attribute, accounts.get_column(attribute), rows, rule_of(attribute, rules), names
        )
        columns[attribute], columns[f"from_{attribute}"] = values, keys
        if code is not None:
            codes |= code.astype(np.uint64) << np.uint64(2 * shift)
    people = order.get_column("person_key").gather(start)
    fell, notes = _fall_back(columns, codes, people, rules, today)
    return Survived(columns, pl.Series("rules", codes), fell, notes)


def _kinds(order: pl.DataFrame, start: Ints) -> pl.Series | None:
    """The class of each row's person, which is that of the account that speaks first for them."""
    if "class" not in order.columns:
        return None
    sizes = np.diff(np.append(start, order.height))
    return order.get_column("class").gather(np.repeat(start, sizes))


def _survivor(
    attribute: str, given: pl.Series, rows: _Rows, rule: AttributeRule, names: Mapping[str, int]
) -> tuple[pl.Series, pl.Series, Ints | None]:
    """One attribute: its values, the accounts that gave them, and how (None: all by precedence)."""
    spoken = (rows.present & np.uint64(BIT[attribute])) != 0
    score = rows.base if spoken.all() else np.where(spoken, rows.base, NOBODY)
    if rule.nulls == "skip":
        score = np.where(given.is_not_null().to_numpy()[rows.place], score, NOBODY)
    turns = _turns(rule, rows, names)
    if turns is not None:
        able = score != NOBODY
        if rule.only:
            able &= turns != NOT_PREFERRED
        score = np.where(able, turns << TURN | score, NOBODY)
    if rule.merge == "union":
        empty = (given.list.len().fill_null(0) == 0).to_numpy()[rows.place]
        score = np.where((score != NOBODY) & empty, score | NONE_OF_MINE, score)
    winner = np.minimum.reduceat(score, rows.start)
    nobody = winner == NOBODY
    at = np.where(nobody, 0, winner & POSITION)
    where, keys = pl.Series(rows.place[at]), rows.account.gather(at)
    if nobody.any():
        where, keys = where.set(pl.Series(nobody), None), keys.set(pl.Series(nobody), None)
    code = None if turns is None else np.where(~nobody & (turns[at] != NOT_PREFERRED), DECLARED, PRECEDENCE)
    if rule.merge == "union":
        lists, several = _united(given, rows, score)
        if not lists.is_empty():
            where = where.scatter(lists.get_column("person"), len(given) + np.arange(lists.height))
            given = pl.concat([given, lists.get_column("element").alias(given.name)])
            code = np.where(several, UNION, 0 if code is None else code)
    return given.gather(where), keys, code


def _turns(rule: AttributeRule, rows: _Rows, names: Mapping[str, int]) -> Ints | None:
    """Each row's turn among the tenants that are preferred for its person; None where nobody is."""
    if not rule.prefer and (not rule.per_class or rows.kinds is None):
        return None
    turns = _turn(rule.prefer, rows.tenant, names)
    for kind, prefer in sorted(rule.per_class.items()):
        if rows.kinds is not None:
            mine = (rows.kinds == kind).fill_null(value=False).to_numpy()
            turns = np.where(mine, _turn(prefer, rows.tenant, names), turns)
    return turns


def _turn(prefer: Sequence[str], tenant: pl.Series, names: Mapping[str, int]) -> Ints:
    turn = {names[name]: place for place, name in reversed(list(enumerate(prefer))) if name in names}
    return tenant.replace_strict(turn, default=NOT_PREFERRED, return_dtype=pl.Int64).to_numpy()


def _united(given: pl.Series, rows: _Rows, score: Ints) -> tuple[pl.DataFrame, Bools]:
    """`person`, `element`: the lists of several accounts as one, best first, equal elements once; and who got of several."""
    giving = score < NONE_OF_MINE
    several = np.add.reduceat(giving.astype(np.int64), rows.start) > 1
    person = np.repeat(np.arange(len(rows.start)), np.diff(np.append(rows.start, len(score))))
    chosen = np.flatnonzero(giving & several[person])
    chosen = chosen[np.lexsort((score[chosen], person[chosen]))]
    long = pl.DataFrame(
        {"person": person[chosen], "row": chosen, "element": given.gather(pl.Series(rows.place[chosen]))}
    ).explode("element")
    long = long.filter(pl.col("element").is_not_null())
    long = long.with_columns(form=comparable(long.get_column("element")))
    long = long.unique(["person", "form"], keep="first", maintain_order=True)
    lists = long.group_by("person", maintain_order=True).agg("element", givers=pl.col("row").n_unique())
    united = np.zeros(len(rows.start), dtype=np.bool_)
    united[lists.get_column("person").to_numpy()] = (lists.get_column("givers") > 1).to_numpy()
    return lists, united


def _fall_back(
    columns: dict[str, pl.Series], codes: np.ndarray[tuple[int], np.dtype[np.uint64]], people: pl.Series,
    rules: Mapping[str, AttributeRule], today: date,
) -> tuple[dict[str, pl.Series], tuple[str, ...]]:  # fmt: skip
    """Values for those of whom nobody says anything, by the first fallback that has one; changes `columns` and `codes`.

    Fallbacks see what survived, never what other fallbacks gave: no order among attributes, no circle.
    """
    survived = dict(columns)
    fell: dict[str, pl.Series] = {}
    notes: list[str] = []
    for attribute in sorted(name for name, rule in rules.items() if rule.fallback and name in TEXTS):
        # clones: `scatter` changes a series in place, and `survived` must stay what tenants said
        values, keys = columns[attribute].clone(), columns[f"from_{attribute}"].clone()
        chosen = pl.Series(attribute, [None], dtype=pl.Int32).new_from_index(0, len(values))
        for place, step in enumerate(rules[attribute].fallback):
            open_at = (values.is_null() & keys.is_null() & chosen.is_null()).arg_true()
            if open_at.is_empty():
                break
            found, givers = _step(
                step, f"attributes.{attribute}.fallback.{place}", survived, people, open_at, today, notes
            )
            hit = found.is_not_null()
            where = open_at.filter(hit)
            values = values.scatter(where, found.filter(hit))
            keys = keys.scatter(where, givers.filter(hit))
            chosen = chosen.scatter(where, place)
        columns[attribute], columns[f"from_{attribute}"], fell[attribute] = values, keys, chosen
        shift = np.uint64(2 * PERSON_ATTRIBUTES.index(attribute))
        codes |= chosen.is_not_null().to_numpy().astype(np.uint64) * np.uint64(FALLBACK) << shift
    return fell, tuple(notes)


def _step(  # noqa: PLR0917 - one link of a chain needs what the chain has
    step: str, path: str, survived: Mapping[str, pl.Series], people: pl.Series, at: pl.Series, today: date, notes: list[str]
) -> tuple[pl.Series, pl.Series]:  # fmt: skip
    """What one fallback gives the persons at these places, and the account behind it where it is another attribute."""
    if step in PERSON_ATTRIBUTES:
        found = survived[step].gather(at).cast(pl.String)
        givers = survived[f"from_{step}"].gather(at)
    else:
        frame = pl.DataFrame({name: survived[name].gather(at) for name in PERSON_ATTRIBUTES})
        done = evaluate({"value": step}, frames={"person": frame}, key=people.gather(at), today=today)
        found = done.frame.get_column("value").cast(pl.String)
        givers = pl.Series("from", [None], dtype=pl.Int32).new_from_index(0, len(at))
        if failure := done.failed.get("value"):
            notes.append(f"{path} fails for {failure.count} persons and gives them nothing: {failure.error}")
    found = found.str.strip_chars()
    return found.set(found == "", None), givers
