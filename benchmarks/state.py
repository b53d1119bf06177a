"""How fast the state takes in, keeps and shows what it is given: `python benchmarks/state.py [--accounts 100000] [--ledger]`.

Prints wall seconds, CPU seconds and peak memory per step for six tenants with eight memberships an account.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import polars as pl

sys.path.insert(0, str(Path(__file__).parent.parent))  # before this folder: `state` is the package, not this file

from core.frames import BIT, CHANGE, CHANGE_VALUE, LANDED, LINK, PERSON, PERSON_ID, conform
from core.model import ExtractKind, Manifest, Outcome, Part, PlanHeader, Receipt, Verb, Verdict
from state.ledger import Intent
from state.snapshot import publish
from state.store import Store

TENANTS = 6
MEMBERSHIPS = 8
NOW = datetime(2026, 11, 2, 9, 0, 0)  # noqa: DTZ001 - stored in UTC without zone
Frames = dict[str, pl.DataFrame]


def peak_mb(*, reset: bool = False) -> float:
    """Peak memory of this process since the last reset (Linux)."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    line = next(each for each in Path("/proc/self/status").read_text(encoding="ascii").splitlines() if "VmHWM" in each)
    return int(line.split()[1]) / 1024


@contextmanager
def timed(name: str) -> Iterator[None]:
    """Prints what a step cost."""
    peak_mb(reset=True)
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    print(f"{name:34} {time.perf_counter() - wall:7.3f} s  {time.process_time() - cpu:7.3f} CPU s  {peak_mb():7.0f} MB")


def tenant(index: int, accounts: int, rng: np.random.Generator) -> Frames:
    """One made-up tenant: accounts with fourteen attributes, groups of about 160, eight direct edges an account."""
    number = pl.int_range(accounts, eager=True)
    name = pl.select(pl.format("ada.muller{}", number * TENANTS + index)).to_series()
    rows = pl.DataFrame({"n": number, "user_name": name}).select(
        pl.format("{}-{}-4f6c-9a1b-0123456789ab", pl.lit(index), "n").alias("native_id"),
        "user_name",
        pl.format("{}@corp{}.example", "user_name", pl.lit(index)).alias("email"),
        pl.concat_list(pl.format("{}@legacy.example", "user_name")).alias("aliases"),
        pl.format("Müller{}, Ada", "n").alias("display_name"),
        pl.format("Ada{}", pl.col("n") % 997).alias("given_name"),
        pl.format("Müller{}", "n").alias("family_name"),
        pl.format("{}", pl.col("n") + 100000).alias("employee_number"),
        pl.lit("member").alias("user_type"),
        (pl.col("n") % 20 != 0).alias("active"),
        pl.format("Department {}", pl.col("n") % 800).alias("department"),
        pl.format("Title {}", pl.col("n") % 300).alias("title"),
        pl.format("Office {}", pl.col("n") % 120).alias("location"),
        pl.format("+49 89 {}", "n").alias("phone"),
    )
    present = sum(BIT[each] for each in rows.columns if each in BIT)
    groups = max(accounts // 20, 1)
    group_ids = pl.select(pl.format("{}-g{}-0123456789abcdef", pl.lit(index), pl.int_range(groups))).to_series()
    packed = np.unique(
        rng.integers(0, groups, accounts * MEMBERSHIPS) * accounts + rng.integers(0, accounts, accounts * MEMBERSHIPS)
    )
    return {
        "accounts": conform(rows.with_columns(present=pl.lit(present, pl.UInt64)), LANDED["accounts"]),
        "groups": conform(pl.DataFrame({"native_id": group_ids, "name": group_ids}), LANDED["groups"]),
        "memberships": conform(
            pl.DataFrame(
                {
                    "group_id": group_ids.gather(packed // accounts),
                    "member_id": rows["native_id"].gather(packed % accounts),
                    "member_kind": "user",
                    "removed": False,
                }
            ),
            LANDED["memberships"],
        ),
    }


def moved(frames: Frames, rng: np.random.Generator) -> Frames:
    """The same tenant later: 1 % of titles changed, 1 % of edges gone, 0.5 % of accounts gone."""
    accounts, edges = frames["accounts"], frames["memberships"]
    changed = pl.Series(rng.random(accounts.height) < 0.01)
    stay = pl.Series(rng.random(accounts.height) >= 0.005)
    title = pl.when(changed).then(pl.lit("Changed")).otherwise("title").alias("title")
    return {
        **frames,
        "accounts": accounts.with_columns(title).filter(stay),
        "memberships": edges.filter(pl.Series(rng.random(edges.height) >= 0.01)),
    }


def manifest(index: int, number: int, content: str, at: datetime) -> Manifest:
    """A complete full extract of tenant `index`."""
    part = Part("accounts", "accounts.parquet", 1, content)
    return Manifest(
        f"t{index}-{number}", f"t{index}", ExtractKind.FULL, None, None, at, at, 0, 0, 0, 0, {}, (part,), Verdict.COMPLETE, ()
    )  # fmt: skip


def identity(accounts: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """One person an account, as match and merge would give them."""
    key = accounts["account_key"]
    ids = pl.select(pl.format("00000000-0000-5000-8000-{}", key)).to_series()
    links = pl.DataFrame({"account_key": key, "person_key": key, "rule": "founding", "evidence": "founding"})
    person_ids = pl.DataFrame({"person_key": key, "person_id": ids, "founder_key": key, "generation": 0})
    persons = accounts.with_columns(person_key=key, person_id=ids, home_key=key, home_tenant=pl.col("tenant_key"))
    persons = persons.with_columns(pl.col("account_key").alias(f"from_{name}") for name in ("email", "title", "phone"))
    return conform(links, LINK), conform(person_ids, PERSON_ID), conform(persons, PERSON)


def plan_frames(changes: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """A plan of that many updates with two attributes each."""
    seq = pl.int_range(changes, eager=True, dtype=pl.Int32)
    frame = pl.DataFrame({"seq": seq}).with_columns(
        target=pl.lit("jira"),
        verb=pl.lit(Verb.UPDATE_USER.value),
        object_id=pl.format("JIRAUSER{}", "seq"),
        user_name=pl.format("user{}", "seq"),
        person_id=pl.format("00000000-0000-5000-8000-{}", "seq"),
        evidence=pl.lit("grant"),
        reason=pl.lit("title changed in corp"),
        unit=pl.col("seq"),
        reversible=pl.lit(True),
        fingerprint=pl.format("{}0123456789abcdef0123456789abcd", "seq"),
    )
    values = pl.concat(
        [pl.DataFrame({"seq": seq, "attribute": name, "before": "Old", "after": "New"}) for name in ("title", "email")]
    )
    return conform(frame, CHANGE), conform(values, CHANGE_VALUE)


def the_state(folder: Path, accounts: int) -> None:
    """Consolidation, identity, plans and snapshots."""
    rng = np.random.default_rng(7)
    frames = [tenant(index, accounts // TENANTS, rng) for index in range(TENANTS)]
    later = [moved(each, rng) for each in frames]

    def load(name: str, number: int, content: str, given: list[Frames]) -> None:
        at = NOW + timedelta(minutes=number)
        with timed(name):
            for index in range(TENANTS):
                store.consolidate(manifest(index, number, content, at), given[index].__getitem__, f"run-{number}", at)

    with timed("open a new state"):
        store = Store.open(folder, purpose="bench", now=lambda: NOW)
    with store:
        load("consolidate, first", 1, "a", frames)
        load("consolidate, unchanged content", 2, "a", frames)
        load("consolidate, other bytes, same rows", 3, "b", frames)
        load("consolidate, 1 % changed", 4, "c", later)
        with timed("read accounts, groups, memberships"):
            known = store.accounts()
            store.groups(), store.memberships()
        given = identity(known)
        with timed("save identity, first"):
            store.save_identity("run-4", *given, NOW)
        with timed("save identity, unchanged"):
            store.save_identity("run-5", *given, NOW)
        title = pl.when(pl.int_range(pl.len()) % 100 == 0).then(pl.lit("Other")).otherwise("title").alias("title")
        with timed("save identity, 1 % changed"):
            store.save_identity("run-6", given[0], given[1], given[2].with_columns(title), NOW)
        header = PlanHeader("acme", "run-6", NOW, "c0ffee", "abcdef0123456789", (), (), ())
        changes = plan_frames(20_000)
        with timed("save a plan of 20,000 changes"):
            store.save_plan(header, *changes)
        with timed("save the same plan again"):
            store.save_plan(header, *changes)
        with timed("publish a snapshot"):
            publish(store, now=NOW, keep=2)
        with timed("publish an unchanged state"):
            publish(store, now=NOW + timedelta(minutes=1), keep=2)
    print(f"{'state.duckdb':34} {(folder / 'state.duckdb').stat().st_size / 2**20:7.0f} MB")
    with timed("open again and close"):
        Store.open(folder, purpose="bench", now=lambda: NOW).close()


def the_ledger(folder: Path, batches: int = 100, size: int = 100) -> None:
    """Group commits: our ledger against the same rows in a DuckDB table."""
    after = {"user_name": "ada", "email": "ada@corp.example", "display_name": "Ada"}
    rows = [
        Intent(seq, "jira", Verb.CREATE_USER, f"person:{seq}", f"{seq:032x}", user_name="ada", after=after)
        for seq in range(size)
    ]
    with Store.open(folder, purpose="bench", now=lambda: NOW) as store:

        def once() -> None:
            ids = store.ledger.intend("run", "abcd", rows, NOW)
            store.ledger.receive("run", [(number, Receipt(Outcome.APPLIED, str(number))) for number in ids], NOW)

        with timed(f"ledger: {batches} batches of {size}"):
            repeat(once, batches)
        with timed("ledger into the shadow"):
            store.record_receipts("run", NOW)
    con = duckdb.connect(str(folder / "compare.duckdb"))
    con.execute(
        "CREATE TABLE intent (intent_id BIGINT, target VARCHAR, verb VARCHAR, object_id VARCHAR, fingerprint VARCHAR, user_name VARCHAR)"
    )
    con.execute("CREATE TABLE receipt (intent_id BIGINT, outcome VARCHAR, remote_id VARCHAR)")

    def in_duckdb() -> None:
        intents = pl.DataFrame(
            [(row.seq, row.target, row.verb.value, row.object_id, row.fingerprint, row.user_name) for row in rows],
            orient="row",
        )
        receipts = pl.DataFrame([(row.seq, "applied", "1") for row in rows], orient="row")
        for name, frame in (("intent", intents), ("receipt", receipts)):
            con.register("incoming", frame)
            con.execute(f"INSERT INTO {name} SELECT * FROM incoming").fetchall()
            con.unregister("incoming")

    with timed("the same, without values, in DuckDB"):
        repeat(in_duckdb, batches)
    con.close()


def repeat(step: Callable[[], None], times: int) -> None:
    """Runs a step again and again."""
    for _ in range(times):
        step()


def main() -> None:
    """Measures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=100_000)
    parser.add_argument("--ledger", action="store_true", help="only the ledger")
    chosen = parser.parse_args()
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, DuckDB {duckdb.__version__}, polars {pl.__version__}"
    )
    folder = Path(tempfile.mkdtemp(prefix="onefold-bench-"))
    try:
        if not chosen.ledger:
            print(f"{chosen.accounts:,} accounts, {chosen.accounts * MEMBERSHIPS:,} memberships, {TENANTS} tenants")
            the_state(folder / "state", chosen.accounts)
        the_ledger(folder / "ledger")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
