"""What the suggestions are worth and what they cost: `python benchmarks/suggest.py [--people 10000] [--accounts 1000000]`.

First the labelled world: a perfect reviewer accepts the true ones among the suggestions, and the rules match again; printed
are the recall of all pairs before and after, and how long the list is for it. Then wall seconds and peak memory of the
suggestions for many made-up accounts, in a process of their own. `--accounts 0` leaves the second part out.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl

sys.path.insert(0, str(Path(__file__).parent.parent))  # before this folder

from benchmarks.quality import judge, matched
from benchmarks.world.labels import true_pairs
from benchmarks.world.make import make
from benchmarks.world.people import World, tenants
from core.frames import ACCOUNT, DECISION, LINK, PERSON_ID, conform, empty
from core.match import Matching, MatchSettings, match
from core.model import Right, TenantFacts, TenantMode
from core.normalise import normalise
from core.suggest import SIMILAR, SuggestSettings, suggest, unexplained

GOAL = 0.995
SEED = 11


def reviewed(world: World, matching: Matching, settings: SuggestSettings) -> pl.DataFrame:
    """The list for the reviewer (SUGGESTION, best first) with `right`: whether both accounts are of one person."""
    accounts = world.frame()
    found = suggest(
        accounts,
        normalise(accounts),
        list(tenants().values()),
        matching.links,
        decisions=empty(DECISION),
        doubts=matching.doubts,
        settings=settings,
        classes=matching.links.select("account_key", "class"),
    )
    label = world.truth().select("account_key", "person")
    listed = pl.concat([unexplained(matching.doubts, found, matching.links), found], how="diagonal")
    return (
        listed.join(label.rename({"account_key": "account_a", "person": "person_a"}), on="account_a")
        .join(label.rename({"account_key": "account_b", "person": "person_b"}), on="account_b")
        .with_columns(right=pl.col("person_a") == pl.col("person_b"))
        .sort("score", "account_a", "account_b", descending=[True, False, False])
    )


def decided(world: World, links: pl.DataFrame, listed: pl.DataFrame, *, whole: bool) -> pl.DataFrame:
    """DECISION rows of a reviewer who says `same` to the right ones of `listed`.

    `whole`: as `onefold review accept --whole`, wherever both persons are nobody else's: also every account of the one
    with every account of the other, because a veto (say, two enabled members in one tenant) would keep them apart.
    """
    right = listed.filter("right").select("account_a", "account_b")
    if whole:
        held = links.select("account_key", "person_key").join(
            world.truth().select("account_key", truth="person"), on="account_key"
        )
        pure = held.filter(pl.col("truth").n_unique().over("person_key") == 1)
        sides = [pure.rename({"account_key": f"account_{side}", "person_key": side}) for side in "ab"]
        crossed = (
            right.join(sides[0], on="account_a")
            .join(sides[1], on="account_b")
            .select("a", "b")
            .unique()
            .join(sides[0], on="a")
            .join(sides[1], on="b")
            .select("account_a", "account_b")
        )
        right = pl.concat([right, crossed]).unique()
    return conform(right.with_columns(decision=pl.lit("same")), DECISION)


def recall_with(world: World, matching: Matching, listed: pl.DataFrame, *, whole: bool = False) -> float:
    """Recall of all true pairs after the right ones of `listed` were accepted and the rules matched again."""
    decisions = decided(world, matching.links, listed, whole=whole)
    return judge(world, matched(world, decisions).links).recall


def quality(people: int, seed: int) -> bool:
    """Prints the figures of one labelled world; whether the goal is reached with the default settings."""
    world = make(people, seed)
    matching = matched(world)
    before = judge(world, matching.links)
    started = time.perf_counter()
    whole = reviewed(world, matching, SuggestSettings(min_score=0.01))
    seconds = time.perf_counter() - started
    print(f"labelled world: {people} people, {len(world.accounts)} accounts, {len(true_pairs(world))} true pairs")
    print(
        f"  rules alone: precision {before.precision:.4f}  recall {before.recall:.4f}  (suggested in {seconds:.1f} s)"
    )
    similar, rest = whole.filter(pl.col("rule") == SIMILAR), whole.filter(pl.col("rule") != SIMILAR)
    for least in (0.99, 0.9, 0.5, 0.1, 0.01):
        _line(f"suggestions from {least}", world, matching, similar.filter(pl.col("score") >= least))
    default = similar.filter(pl.col("score") >= SuggestSettings().min_score)
    everything = pl.concat([default, rest])
    _line("default and all doubts", world, matching, everything)
    reached = _line("the same, with --whole", world, matching, everything, whole=True)
    print(f"  goal {GOAL}: {'reached' if reached >= GOAL else 'NOT reached'}")
    return reached >= GOAL


def _line(title: str, world: World, matching: Matching, listed: pl.DataFrame, *, whole: bool = False) -> float:
    recall = recall_with(world, matching, listed, whole=whole)
    share = listed.get_column("right").mean() or 0.0
    print(f"  {title:23} {listed.height:6} looked at, {share:6.1%} right  recall of all pairs {recall:.4f}")
    return recall


def crowd(count: int) -> tuple[pl.DataFrame, list[TenantFacts]]:
    """ACCOUNT rows of people with one to four accounts in six tenants; one account in ten shares no strong key with the rest."""
    rng = np.random.default_rng(SEED)
    several = rng.choice([1, 2, 3, 4], count, p=[0.6, 0.24, 0.11, 0.05])
    person = np.repeat(np.arange(count), several)[:count]
    nth = np.arange(count) - np.repeat(np.cumsum(several) - several, several)[:count]
    tenant = np.argsort(rng.random((count, 6)), axis=1)[person, nth]
    people = int(person.max()) + 1

    def words(size: int, parts: tuple[str, ...], length: int) -> np.ndarray[tuple[int], np.dtype[np.str_]]:
        return np.array(["".join(rng.choice(parts, length)).capitalize() for _ in range(size)])

    def zipf(size: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        weight = 1 / np.arange(10, size + 10)
        return rng.choice(size, people, p=weight / weight.sum())

    syllables = (
        "ba",
        "ri",
        "no",
        "len",
        "mar",
        "to",
        "sch",
        "ü",
        "vi",
        "ka",
        "del",
        "sen",
        "hof",
        "er",
        "ól",
        "mi",
        "ta",
        "wen",
    )
    given = words(1500, syllables, 2)[zipf(1500)][person]
    family = words(60_000, syllables, 3)[zipf(60_000)][person]
    stranger = rng.random(count) < 0.1
    typo = stranger & (rng.random(count) < 0.3)

    def some(values: pl.Series, share: float) -> pl.Series:
        return pl.select(pl.when(pl.Series(rng.random(count) < share)).then(values)).to_series()

    def fact(pool: int, word: str) -> pl.Series:
        return some(
            pl.Series([f"{word} {number}" for number in range(pool)]).gather(rng.integers(0, pool, people)[person]), 0.8
        )

    p, t = pl.col("p"), pl.col("t")
    frame = pl.DataFrame({"p": person, "t": tenant, "far": stranger}).with_columns(
        given_name=pl.Series(given),
        family_name=pl.select(
            pl.when(pl.Series(typo))
            .then(pl.Series(family).str.slice(0, 3) + pl.Series(family).str.slice(4))
            .otherwise(pl.Series(family))
        ).to_series(),
        department=fact(400, "Department"),
        location=fact(150, "Town"),
        title=fact(900, "Title"),
        company=fact(40, "Company"),
        phone=some(pl.Series(rng.integers(10_000_000, 99_999_999, people)[person]).cast(pl.String), 0.6),
        starts_on=some(pl.Series([date(2001, 1, 1)]).new_from_index(0, count).dt.offset_by("1d"), 0.0).cast(pl.Date),
        manager_id=some(pl.Series(rng.integers(0, count, people)[person]).cast(pl.String), 0.5),
        account_key=pl.int_range(1, count + 1),
        native_id=pl.int_range(0, count).cast(pl.String),
        tenant_key=t + 1,
        user_type=pl.lit("member"),
        active=pl.lit(value=True),
    )
    frame = frame.with_columns(
        display_name=pl.col("given_name") + " " + pl.col("family_name"),
        email=pl.when("far")
        .then(pl.format("x{}@t{}.example", "account_key", t))
        .otherwise(pl.format("p{}@corp.example", p)),
        employee_number=pl.when(~pl.col("far")).then(p.cast(pl.String)),
        aliases=pl.concat_list(pl.format("a{}.{}@t{}.example", p, "account_key", t)),
    )
    facts = [
        TenantFacts(
            tenant_key=number + 1, name=f"t{number}", rank=number, mode=TenantMode.LIVE, may=frozenset(Right),
            verified_domains=frozenset({f"t{number}.example", "corp.example"}), employee_number_issuer="hr",
        )
        for number in range(6)
    ]  # fmt: skip
    return conform(frame, ACCOUNT), facts


def speed(count: int) -> None:
    """Prints wall and CPU seconds and the peak memory of the suggestions, matching not counted in the seconds."""
    accounts, facts = crowd(count)
    normalised = normalise(accounts)
    matching = match(
        accounts, normalised, facts, links=empty(LINK), persons=empty(PERSON_ID), decisions=empty(DECISION),
        settings=MatchSettings(directory="bench"),
    )  # fmt: skip
    started, cpu = time.perf_counter(), time.process_time()
    found = suggest(accounts, normalised, facts, matching.links, decisions=empty(DECISION), doubts=matching.doubts)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    persons = matching.links.get_column("person_key").n_unique()
    print(
        f"{count} accounts, {persons} persons: {found.height} suggestions in {seconds:.1f} s wall, {cpu:.1f} s CPU,"
        f" peak {peak:.1f} GB (with matching)"
    )


def main() -> None:
    """Prints the quality here and the speed from a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=10_000)
    parser.add_argument("--accounts", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--speed-only", action="store_true")
    arguments = parser.parse_args()
    if arguments.speed_only:
        speed(arguments.accounts)
        return
    quality(arguments.people, arguments.seed)
    if arguments.accounts:
        again = [sys.executable, __file__, "--speed-only", "--accounts", str(arguments.accounts)]
        subprocess.run(again, check=True)


if __name__ == "__main__":
    main()
