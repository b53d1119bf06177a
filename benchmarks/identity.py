"""What it costs to work out who is who: normalise, match, merge and closure over made-up tenants.

    python benchmarks/identity.py [--accounts 100000] [--memberships 800000] [--tenants 6] [--rounds 3]

Prints wall seconds, CPU seconds and peak memory of each step, best of the rounds; first without and then with links of
an earlier run. Each round is its own process, so that no round warms the next.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

sys.path.insert(0, str(Path(__file__).parent.parent))

from core.closure import closure
from core.frames import ACCOUNT, ATTRIBUTES, DECISION, GROUP, LINK, MEMBERSHIP, PERSON_ID, conform, empty
from core.match import Matching, MatchSettings, match
from core.merge import MergeSettings, merge
from core.model import Right, TenantFacts, TenantMode
from core.normalise import normalise

SEED = 7
EVERYTHING = (1 << len(ATTRIBUTES)) - 1


def tenants(count: int) -> list[TenantFacts]:
    """Tenants t0, t1, … of which every second one verifies a domain of its own; all share one HR."""
    return [
        TenantFacts(
            tenant_key=number + 1,
            name=f"t{number}",
            rank=number,
            mode=TenantMode.LIVE,
            may=frozenset(Right),
            verified_domains=frozenset({f"t{number}.example"} if number % 2 else ()),
            employee_number_issuer="hr",
        )
        for number in range(count)
    ]


def accounts(count: int, tenant_count: int) -> pl.DataFrame:
    """ACCOUNT rows of people with one to four accounts that share HR numbers, addresses, aliases, immutable ids.

    Case and blanks vary, some are guests, some are disabled.
    """
    rng = np.random.default_rng(SEED)
    several = rng.choice([1, 2, 3, 4], count, p=[0.6, 0.24, 0.11, 0.05])
    person = np.repeat(np.arange(count), several)[:count]
    nth = np.arange(count) - np.repeat(np.cumsum(several) - several, several)[:count]
    tenant = np.argsort(rng.random((count, tenant_count)), axis=1)[person, nth]

    def some(value: pl.Expr, share: float) -> pl.Expr:
        return pl.when(pl.Series(rng.random(count) < share)).then(value)

    def noisy(value: pl.Expr) -> pl.Expr:
        shout, blank = pl.Series(rng.random(count) < 0.2), pl.Series(rng.random(count) < 0.1)
        return pl.when(shout).then(value.str.to_uppercase()).when(blank).then(pl.lit(" ") + value).otherwise(value)

    p, t = pl.col("p"), pl.col("t")
    shared = pl.format("zoe{}.muller{}@corp{}.example", p % 997, p, p % 40)
    own = pl.format("u{}@t{}.example", p, t)
    home = pl.Series(rng.random(count) < 0.7)
    zeros = pl.when(pl.Series(rng.random(count) < 0.3)).then(pl.lit("00")).otherwise(pl.lit(""))
    frame = pl.DataFrame({"p": person, "t": tenant}).with_columns(
        account_key=pl.int_range(1, count + 1),
        tenant_key=t + 1,
        native_id=pl.format("{}-{}", p * 2654435761 % 1_000_000_007, t),
        email=noisy(pl.when(home).then(shared).otherwise(own)),
        user_name=noisy(pl.when(pl.Series(rng.random(count) < 0.5)).then(shared).otherwise(pl.format("m{}.{}", p, t))),
        aliases=pl.concat_list(
            some(noisy(shared), 0.5), some(pl.format("uid{}@legacy.example", p), 0.5), some(noisy(own), 0.5)
        ).list.drop_nulls(),
        employee_number=some(pl.format("{}{}", zeros, p + 100_000), 0.5),
        immutable_id=some(pl.format("{}==", (p * 7919 + 10**21).cast(pl.String).str.slice(0, 22)), 0.2),
        user_type=pl.when(pl.Series(rng.random(count) < 0.05)).then(pl.lit("guest")).otherwise(pl.lit("member")),
        active=pl.Series(rng.random(count) < 0.95),
        given_name=some(pl.format("Zoë{} ", p % 997), 0.97),
        family_name=some(pl.format("Müller{}", p), 0.97),
        display_name=some(pl.format("Müller{}, Zoë{} (T{})", p, p % 997, t), 0.9),
        department=some(pl.format("Department {}", p % 800), 0.8),
        title=some(pl.format("Title {}", (p + t) % 300), 0.6),
        location=some(pl.format("Office {}", p % 120), 0.7),
        phone=some(pl.format("+49 30 {}", p), 0.5),
        present=pl.lit(EVERYTHING, dtype=pl.UInt64),
    )
    return conform(frame, ACCOUNT)


def groups(count: int, account_count: int, tenant_count: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """MEMBERSHIP and GROUP: sizes of a long tail, one group in ten holds others."""
    rng = np.random.default_rng(SEED + 1)
    number = max(account_count // 20, 10)
    size = rng.pareto(1.2, number) + 1
    member = rng.choice(number, count, p=size / size.sum())
    direct = pl.DataFrame({"group_key": member + 1, "member_key": rng.integers(1, account_count + 1, count)}).unique()
    outer = rng.choice(number, number // 10, replace=False)
    nested = pl.DataFrame(
        {"group_key": np.repeat(outer + 1, 3), "member_key": rng.integers(1, number + 1, 3 * len(outer))}
    ).filter(pl.col("group_key") < pl.col("member_key"))
    edges = pl.concat([direct.with_columns(nested=pl.lit(False)), nested.with_columns(nested=pl.lit(True))])
    keys = pl.int_range(1, number + 1, eager=True)
    frame = pl.DataFrame(
        {"group_key": keys, "tenant_key": keys % tenant_count + 1, "native_id": keys.cast(pl.String)}
    ).with_columns(name=pl.format("Jira-{}", "native_id"))
    return conform(edges.sort("group_key", "member_key"), MEMBERSHIP), conform(frame, GROUP)


class Clock:
    """Wall and CPU seconds and peak memory by step."""

    def __init__(self) -> None:
        self.steps: dict[str, tuple[float, float, float]] = {}

    def time(self, name: str, work: Callable[[], Any]) -> Any:
        """Runs and notes one step."""
        Path("/proc/self/clear_refs").write_text("5")  # resets the peak
        wall, cpu = time.perf_counter(), time.process_time()
        result = work()
        peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
        self.steps[name] = (time.perf_counter() - wall, time.process_time() - cpu, int(peak.split()[1]) / 1024)
        return result


def one_round(account_count: int, membership_count: int, tenant_count: int) -> dict[str, tuple[float, float, float]]:
    """Every step once; the second matching knows the links of the first."""
    people, facts = accounts(account_count, tenant_count), tenants(tenant_count)
    edges, known = groups(membership_count, account_count, tenant_count)
    clock = Clock()

    def matched(normalised: pl.DataFrame, links: pl.DataFrame, persons: pl.DataFrame) -> Matching:
        return match(
            people,
            normalised,
            facts,
            links=links,
            persons=persons,
            decisions=empty(DECISION),
            settings=MatchSettings("acme"),
        )

    settings = MergeSettings(now=datetime(2026, 11, 24, 9), today=date(2026, 11, 24))  # noqa: DTZ001 - UTC without zone
    normalised = clock.time("normalise", lambda: normalise(people))
    first = clock.time("match", lambda: matched(normalised, empty(LINK), empty(PERSON_ID)))
    second = clock.time("match again", lambda: matched(normalised, first.links, first.persons))
    merged = clock.time("merge", lambda: merge(people, second, facts, settings))
    effective = clock.time("closure", lambda: closure(edges, known))
    assert second.links.equals(first.links)
    print(
        f"{account_count:,} accounts, {edges.height:,} edges: {merged.height:,} persons, {first.doubts.height:,} doubts, "
        f"{len(first.doubtful):,} doubtful, {effective.effective.height:,} effective memberships",
        file=sys.stderr,
    )
    total = [clock.steps[name] for name in ("normalise", "match", "merge", "closure")]
    clock.steps["total"] = (sum(each[0] for each in total), sum(each[1] for each in total), max(e[2] for e in total))
    return clock.steps


def main() -> None:
    """Best of the rounds, printed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=100_000)
    parser.add_argument("--memberships", type=int, default=None, help="default: eight an account")
    parser.add_argument("--tenants", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--once", action="store_true", help="one round in this process, as JSON")
    given = parser.parse_args()
    size = (given.accounts, given.memberships or 8 * given.accounts, given.tenants)
    if given.once:
        print(json.dumps(one_round(*size)))
        return
    command = [sys.executable, __file__, "--once", "--accounts", str(size[0]), "--memberships", str(size[1])]
    command += ["--tenants", str(size[2])]
    rounds = [json.loads(subprocess.run(command, check=True, stdout=-1).stdout) for _ in range(given.rounds)]
    print(
        f"{platform.machine()}, {resource.getpagesize()} B pages, Python {platform.python_version()}, polars {pl.__version__}"
    )
    for name in rounds[0]:
        wall, cpu, peak = (min(each[name][place] for each in rounds) for place in range(3))
        print(f"  {name:<12}{wall:8.2f} s  cpu {cpu:6.2f} s  peak {peak:7.0f} MB")


if __name__ == "__main__":
    main()
