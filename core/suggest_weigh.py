"""What agreement is worth: weights in bits after Fellegi and Sunter, learnt from the records themselves by expectation maximisation.

The bits of a level are log2(m / u): m is its share among pairs of one human, u among pairs of two. u comes from random
pairs, for equal values from their own frequency; m from the compared pairs and from pairs that are known to be one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.suggest_compare import SWAPPED, Codes, Compared, Floats, Levels, Records, compare

SAMPLE = 200_000  # random pairs that tell u
LEARNT = 500_000  # compared pairs that m is learnt from, at most
ROUNDS = 25
STILL = 1e-5
FAITH = 20.0  # pairs that the declared shares count for
ANCHORS = 200.0  # pairs that all known pairs together count for: they are cleaner than what is sought
SEED = 20251
CEILING = 20.0  # bits of one field at most


@dataclass(frozen=True)
class Weights:
    """The learnt weights: `prior` in bits, and for each field of the spec its `m` and `u` by level; `swap` in bits."""

    prior: float
    m: tuple[Floats, ...]
    u: tuple[Floats, ...]
    swap: float

    @property
    def bits(self) -> tuple[Floats, ...]:
        """By field the bits of each level, never rising from better to worse; the best is no reproach, the last no praise."""
        return tuple(_monotone(np.log2(m / u)) for m, u in zip(self.m, self.u, strict=True))


def _monotone(bits: Floats) -> Floats:
    bits = np.clip(bits, -CEILING, CEILING)
    bits[-1] = min(bits[-1], 0.0)
    bits[0] = max(bits[0], 0.0)
    result: Floats = np.maximum.accumulate(bits[::-1])[::-1]
    return result


def _priors(known: Records) -> list[Floats]:
    """The declared shares of levels, made to sum to one."""
    shares = [np.array([level.share for level in each.levels]) for each in known.spec.fields]
    return [share / share.sum() for share in shares]


def rarity(known: Records, compared: Compared, place: int) -> Floats:
    """log2 of the chance that a second entity has the value of a pair, the more frequent of its two; 0 where a field counts no frequency."""
    each = known.spec.fields[place]
    column = known.columns[each.name]
    told = np.zeros(len(compared.a))
    if not each.frequency or each.joint:
        return told
    said = np.flatnonzero(compared.levels[place] >= 0)
    shares = np.log2(column.shares)
    a, b = column.codes[compared.a[said]], column.codes[compared.b[said]]
    told[said] = np.maximum(shares[a], shares[b])
    swap = known.spec.swap or ()
    crossed = np.flatnonzero(compared.swapped[said]) if each.name in swap else np.zeros(0, np.int64)
    if len(crossed):
        # Turned names stand in each other's field: a value is as frequent as in the field where it is more so.
        first, second = (np.log2(known.columns[name].shares) for name in swap)
        both = np.maximum(first, second)
        own, other = (
            known.columns[name].codes for name in (each.name, next(name for name in swap if name != each.name))
        )
        rows = said[crossed]
        told[rows] = np.maximum(both[own[compared.a[rows]]], both[other[compared.b[rows]]])
    return told


def _worth(table: Floats, m: Floats, rare: Floats | None, levels: Levels) -> Floats:
    """The bits of levels; where frequency counts, equality by the value's own and likeness never more than equality would be."""
    told = np.where(levels >= 0, table[np.maximum(levels, 0)], 0.0)
    if rare is None:
        return told
    equal = np.clip(np.log2(m[0]) - rare, 0.0, CEILING)
    result: Floats = np.where(levels == 0, equal, np.where(levels > 0, np.minimum(told, equal), 0.0))
    return result


def bits_of(known: Records, weights: Weights, compared: Compared, place: int) -> Floats:
    """The bits of one field for each pair, in hundredths; 0 where it says nothing."""
    each = known.spec.fields[place]
    rare = rarity(known, compared, place) if each.frequency and not each.joint else None
    return np.round(_worth(weights.bits[place], weights.m[place], rare, compared.levels[place]), 2)


def total(known: Records, weights: Weights, compared: Compared) -> Floats:
    """The match weight of each pair in bits: the prior and what every field says."""
    told = np.where(compared.swapped, round(weights.swap, 2), 0.0) + round(weights.prior, 2)
    for place in range(len(known.spec.fields)):
        told += bits_of(known, weights, compared, place)
    return np.round(told, 2)


def probability(bits: Floats) -> Floats:
    """The probability that a weight in bits stands for."""
    result: Floats = 1.0 / (1.0 + np.exp2(-np.clip(bits, -200, 200)))
    return result


def _random_pairs(entity: Codes) -> tuple[Codes, Codes]:
    """Pairs of rows of different entities: all of them where they are few, else drawn with a fixed seed."""
    n = len(entity)
    if n * (n - 1) // 2 <= SAMPLE:
        a, b = (side.astype(np.int32) for side in np.triu_indices(n, 1))
    else:
        rng = np.random.default_rng(SEED)
        a, b = (rng.integers(0, n, SAMPLE, dtype=np.int32) for _ in range(2))
    kept = entity[a] != entity[b]
    return a[kept], b[kept]


def _chance(known: Records, pairs: float) -> list[Floats]:
    """By field, the shares of levels among random pairs."""
    drawn = compare(known, *_random_pairs(known.entity))
    found = []
    for place, each in enumerate(known.spec.fields):
        column, size = known.columns[each.name], len(each.levels)
        levels = drawn.levels[place]
        counts: Floats = np.bincount(levels[levels >= 0], minlength=size).astype(np.float64)
        share = (counts + 0.5 / size) / (counts.sum() + 0.5)
        if each.joint:
            share[0] = (len(known.joint[each.name]) + 0.5) / max(pairs, 1.0)
        else:
            held, h = column.holders.astype(np.float64), float(column.entities)
            share[0] = ((held * (held - 1)).sum() + 1) / (h * (h - 1) + 2)
        found.append(np.clip(share / share.sum(), 1e-9, 1.0))
    return found


def _counts(compared: Compared, place: int, size: int, weight: Floats) -> Floats:
    levels = compared.levels[place]
    said = levels >= 0
    return np.bincount(levels[said], weights=weight[said], minlength=size).astype(np.float64)


def learn(known: Records, compared: Compared, anchors: Compared) -> Weights:
    """Weights from compared pairs of different entities and from `anchors`, pairs that are known to be one human.

    Expectation maximisation over all pairs that there could be, of which only compared ones may be matches. Without
    matches to learn from, the shares that the spec declares stand.
    """
    entities = len(np.unique(known.entity))
    pairs = max(entities * (entities - 1) / 2, 1.0)
    chance, priors = _chance(known, pairs), _priors(known)
    sizes = [len(each.levels) for each in known.spec.fields]
    step = max(1, -(-len(compared.a) // LEARNT))
    some = Compared(compared.a[::step], compared.b[::step], compared.levels[:, ::step], compared.swapped[::step])
    sure = np.full(len(anchors.a), min(1.0, ANCHORS / max(len(anchors.a), 1)))
    firm = [
        FAITH * prior + (0 if known.spec.fields[place].joint else _counts(anchors, place, sizes[place], sure))
        for place, prior in enumerate(priors)
    ]
    rare = [rarity(known, some, place) for place in range(len(sizes))]
    m, expected, swap = [each / each.sum() for each in firm], max(0.02 * entities, 0.5), SWAPPED.levels[0].share
    for _ in range(ROUNDS):
        share = min(expected / pairs, 0.5)
        u = [_unmixed(c, each, share) for c, each in zip(chance, m, strict=True)]
        belief = np.log2(share / (1 - share)) + np.where(some.swapped, np.log2(swap), 0.0)
        for place, each in enumerate(known.spec.fields):
            counted = each.frequency and not each.joint
            table = _monotone(np.log2(m[place] / u[place]))
            belief += _worth(table, m[place], rare[place] if counted else None, some.levels[place])
        likely = probability(belief) * step
        before, expected = expected, max(float(likely.sum()), 0.5)
        counts = [firm[place] + _counts(some, place, size, likely) for place, size in enumerate(sizes)]
        m = [each / each.sum() for each in counts]
        swap = (FAITH * SWAPPED.levels[0].share + float(likely[some.swapped].sum())) / (FAITH + float(likely.sum()))
        if abs(expected - before) < STILL * before:
            break
    share = min(expected / pairs, 0.5)
    return Weights(
        prior=float(np.log2(share / (1 - share))),
        m=tuple(m),
        u=tuple(_unmixed(c, each, share) for c, each in zip(chance, m, strict=True)),
        swap=float(np.log2(swap)),
    )


def _unmixed(chance: Floats, m: Floats, share: float) -> Floats:
    """Shares among pairs of two humans, out of the shares among all pairs, `share` of which are one."""
    left = np.maximum(chance - share * m, np.maximum(chance * 0.05, 1e-9))
    whole: Floats = left / left.sum()
    return whole
