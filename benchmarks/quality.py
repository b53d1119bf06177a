"""How well the rules find out who is who: `python benchmarks/quality.py [--people 10000] [--seed 1]`.

Runs `normalise` and `match` on the labelled world and prints precision, recall and F1 of pairs and of clusters, the wrong
merges by fault, the vetoed pairs joined, and the recall over the pairs that a person's own strong keys connect.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

sys.path.insert(0, str(Path(__file__).parent.parent))  # before this folder

from benchmarks.world.labels import Pair, pairs, strong_pairs, true_pairs
from benchmarks.world.make import make
from benchmarks.world.people import NOW, World, tenants
from core.classify import Rules, classify
from core.frames import DECISION, LINK, PERSON_ID, empty
from core.match import Matching, MatchSettings, match
from core.normalise import normalise


@dataclass(frozen=True)
class Quality:
    """What one matching of a labelled world is worth; pairs are account keys, the smaller first."""

    joined: set[Pair]
    true: set[Pair]
    strong: set[Pair]
    lured: dict[Pair, str]
    clusters: tuple[float, float]

    @property
    def wrong(self) -> set[Pair]:
        """Joined pairs of two people."""
        return self.joined - self.true

    @property
    def vetoed(self) -> set[Pair]:
        """Joined pairs that a fault tempts the rules to join and a veto forbids."""
        return self.joined & set(self.lured)

    @property
    def precision(self) -> float:
        """Share of the joined pairs that are one person."""
        return len(self.joined & self.true) / max(1, len(self.joined))

    @property
    def recall(self) -> float:
        """Share of all true pairs that are joined."""
        return len(self.joined & self.true) / max(1, len(self.true))

    @property
    def strong_recall(self) -> float:
        """Share of the pairs that a person's own strong keys connect that are joined."""
        return len(self.joined & self.strong) / max(1, len(self.strong))


def f1(precision: float, recall: float) -> float:
    """The harmonic mean."""
    return 2 * precision * recall / max(precision + recall, 1e-12)


def matched(world: World, decisions: pl.DataFrame | None = None) -> Matching:
    """The world's accounts as `match` joins them on a first run, with the built-in classes."""
    accounts, facts = world.frame(), list(tenants().values())
    normalised = normalise(accounts)
    return match(
        accounts,
        normalised,
        facts,
        classes=classify(accounts, normalised, facts, Rules({}), today=NOW.date()).classes,
        links=empty(LINK),
        persons=empty(PERSON_ID),
        decisions=empty(DECISION) if decisions is None else decisions,
        settings=MatchSettings(directory="bench"),
    )


def _clusters(frame: pl.DataFrame, column: str) -> list[tuple[int, ...]]:
    return [tuple(sorted(keys)) for keys in frame.group_by(column).agg("account_key").get_column("account_key")]


def judge(world: World, links: pl.DataFrame) -> Quality:
    """The links (LINK) of the world's accounts against its truth."""
    found, truth = _clusters(links, "person_key"), _clusters(world.truth(), "person")
    hits = len(set(found) & set(truth))
    return Quality(
        joined={pair for members in found for pair in pairs(members)},
        true=true_pairs(world),
        strong=strong_pairs(world),
        lured={(a, b): why for a, b, why in world.lures},
        clusters=(hits / len(found), hits / len(truth)),
    )


def blame(world: World, wanted: Iterable[Pair]) -> Counter[str]:
    """Which faults the accounts of these pairs carry, most frequent first."""
    return Counter(
        name
        for pair in wanted
        for name in {fault for key in pair for fault in world.accounts[key - 1].faults} or {"no fault"}
    )


def report(world: World, quality: Quality) -> None:
    """Prints the figures and what is behind the misses."""
    print(
        f"  pairs     precision {quality.precision:.4f}  recall {quality.recall:.4f}  F1 {f1(quality.precision, quality.recall):.4f}"
    )
    print("  clusters  precision {:.4f}  recall {:.4f}  F1 {:.4f}".format(*quality.clusters, f1(*quality.clusters)))
    print(f"  wrong merges {len(quality.wrong)}  vetoed pairs joined {len(quality.vetoed)}")
    print(f"  recall over {len(quality.strong)} strong-key pairs {quality.strong_recall:.4f}")
    for title, wanted in (("wrong", quality.wrong), ("missed", quality.strong - quality.joined)):
        for name, count in blame(world, wanted).most_common(8):
            print(f"    {title:7} {count:5}  {name}")


def main() -> None:
    """Prints the figures of one world."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    world = make(arguments.people, arguments.seed)
    started = time.perf_counter()
    links = matched(world).links
    seconds = time.perf_counter() - started
    print(
        f"labelled world: {arguments.people} people, {len(world.accounts)} accounts in 6 tenants, matched in {seconds:.2f} s"
    )
    report(world, judge(world, links))


if __name__ == "__main__":
    main()
