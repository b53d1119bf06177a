"""From landed files to a stored plan: `python benchmarks/plan.py [--accounts 100000] [--runs 3]`.

Six tenants, eight memberships an account, two targets that hold everybody with 1 % of names off; then 1 % of the accounts
and of the memberships move ("first run"), then nothing does ("unchanged"). Each phase is a process of its own; printed are
wall seconds, CPU seconds and peak memory, best of the runs, and the ratio to the probe where ONEFOLD_PROBE is present.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

sys.path.insert(0, str(Path(__file__).parent.parent))  # before this folder: `state` is the package, not this file

from benchmarks.state import TENANTS, moved, peak_mb, tenant
from core.model import Manifest, Part, Verb
from state.landing import LandingWriter
from state.store import Store
from tasks.consolidate import consolidate
from tasks.identify import identify
from tasks.installation import Installation, load
from tasks.planning import make_plan
from tasks.runs import begin

CONFIG = """\
directory: bench
precedence: [{names}]
tenants:
{tenants}
targets:
  jira: {{kind: jira_dc, url: "http://127.0.0.1:9", token: env:BENCH_TOKEN}}
  confluence: {{kind: confluence_dc, url: "http://127.0.0.1:9", token: env:BENCH_TOKEN}}
groups:
{groups}
"""
OWN_USERS = """
UPDATE target_user SET owned = true, person_key = p.person_key
FROM (SELECT person_key, user_name AS named FROM core_person) AS p WHERE p.named = target_user.user_name
"""
OWN = (
    OWN_USERS,
    "UPDATE target_group SET owned = true",
    "UPDATE target_membership SET owned = true",
)


class Still:
    """A target that is only spoken of: names it would refuse, and no seats."""

    attributes = ("user_name", "display_name", "email")
    verbs = frozenset(verb.value for verb in Verb)
    rate = 5.0

    def refuses_user_name(self, _name: str) -> str | None:
        """Takes every name."""
        return None

    def refuses_group_name(self, _name: str) -> str | None:
        """Takes every name."""
        return None

    def close(self) -> None:
        """Nothing to let go of."""


class Bench(Installation):
    """An installation whose targets are never asked."""

    def target(self, name: str):  # noqa: ANN201, ARG002 - only what planning calls
        """The same for every name."""
        return Still()


def installation(folder: Path) -> Installation:
    """The config beside the state, and a clock that stands near the landed files."""
    names = [f"t{index}" for index in range(TENANTS)]
    issuers = {"t0": "acme", "t1": "acme"}  # a sixth of the people is in two tenants
    tenants = "\n".join(
        f"  {name}: {{kind: scim, mode: live, url: 'http://127.0.0.1:9', token: env:BENCH_TOKEN, "
        f"employee_number_issuer: {issuers.get(name, name)}}}"
        for name in names
    )
    groups = "\n".join(f"  - {{from: {{tenant: {name}, name: '*'}}, members: exact}}" for name in names)
    path = folder / "onefold.yaml"
    path.write_text(CONFIG.format(names=", ".join(names), tenants=tenants, groups=groups), encoding="utf-8")
    config = load(path)
    return Bench(config, path, clock=lambda: datetime.now(UTC).replace(tzinfo=None))


def land(inst: Installation, number: int, frames: list[dict[str, pl.DataFrame]]) -> list[Manifest]:
    """Lands one full read of each tenant."""
    from core.model import ExtractKind, Verdict

    done = []
    for index, each in enumerate(frames):
        name, now = f"t{index}", inst.clock()
        extract_id = f"{name}-{number}"
        writer = LandingWriter(inst.landing, name, extract_id)
        parts: list[Part] = [writer.write(object_, frame) for object_, frame in each.items()]
        manifest = Manifest(
            extract_id, name, ExtractKind.FULL, None, None, now, now, each["accounts"].height, each["groups"].height,
            each["memberships"].height, 0, {}, tuple(parts), Verdict.COMPLETE, (),
        )  # fmt: skip
        writer.commit(manifest)
        done.append(manifest)
    return done


def boot(inst: Installation, accounts: int) -> None:
    """State and shadows before the first run, and the landed files of both runs."""
    rng = np.random.default_rng(7)
    frames = [tenant(index, accounts // TENANTS, rng) for index in range(TENANTS)]
    later = [moved(each, rng) for each in frames]
    run_id = begin(inst, "bench")
    consolidate(inst, run_id, land(inst, 0, frames))
    identify(inst, run_id)
    with Store.open(inst.state, purpose="bench", now=inst.clock) as store:
        persons = store.persons()
        users = persons.select(
            pl.format("R{}", "person_key").alias("remote_id"),
            "user_name",
            pl.when(pl.Series(rng.random(persons.height)) < 0.01)
            .then(pl.lit("Somebody Else"))
            .otherwise("display_name")
            .alias("display_name"),
            "email",
            "active",
        )
        groups = store.groups().select(remote_id="name", name="name")
        links = store.links().select("account_key", "person_key")
        edges = (
            store.memberships()
            .join(store.groups().select("group_key", "name"), on="group_key")
            .join(links, left_on="member_key", right_on="account_key")
            .join(persons.filter("active").select("person_key"), on="person_key", how="semi")
            .select(group_id="name", user_id=pl.format("R{}", "person_key"))
            .unique()
        )
        for name in ("jira", "confluence"):
            store.observe(name, users, groups, edges, complete=True, run_id=run_id, now=inst.clock())
            store.mark_adopted(name, run_id, inst.clock())
        for statement in OWN:
            store.session.con.execute(statement)
    names = [replace(each, extract_id=each.extract_id) for each in land(inst, 1, later)]
    from state.codec import dump

    (inst.base / "later.json").write_text(json.dumps([dump(each) for each in names]), encoding="utf-8")


def measured(inst: Installation) -> dict[str, float]:
    """Consolidate, identify, plan, store: what a run does after reading. Repeated, it is the unchanged run."""
    from state.codec import load as parse

    manifests = [parse(Manifest, text) for text in json.loads((inst.base / "later.json").read_text(encoding="utf-8"))]
    fresh = [replace(each, extract_id=f"{each.extract_id}-{time.time_ns()}") for each in manifests]
    for each, kept in zip(fresh, manifests, strict=True):
        (Path(str(inst.landing)) / each.tenant / each.extract_id).symlink_to(kept.extract_id)
    run_id = begin(inst, "bench")
    peak_mb(reset=True)
    wall, cpu, marks = time.perf_counter(), time.process_time(), {}
    for name, step in (
        ("consolidate", lambda: consolidate(inst, run_id, fresh)),
        ("identify", lambda: identify(inst, run_id)),
        ("plan", lambda: make_plan(inst, run_id)),
    ):
        began = time.perf_counter()
        result = step()
        marks[name] = time.perf_counter() - began
    return {
        "wall": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
        "peak_mb": peak_mb(),
        "changes": float(result.changes.height),  # type: ignore[attr-defined]  # the last step's is the plan
        **marks,
    }


def explained(inst: Installation) -> dict[str, float]:
    """Publishes a snapshot and explains a person in the middle of it; the command's process start comes on top."""
    from state.snapshot import Snapshot
    from tasks.explain import explain
    from tasks.publish import publish

    publish(inst)
    began = time.perf_counter()
    with Snapshot.open(inst.state) as newest:
        opened = time.perf_counter()
        who = newest.query("SELECT user_name FROM people ORDER BY person_id LIMIT 1 OFFSET 1000").item()
        asked = time.perf_counter()
        document = explain(inst, newest, who)
    took = opened - began + time.perf_counter() - asked
    return {"wall": took, "groups": float(len(document["groups"])), "targets": float(len(document["targets"]))}


def phase(folder: Path, name: str, accounts: int) -> dict[str, float]:
    """One phase in its own process."""
    words = [sys.executable, __file__, "--phase", name, "--dir", str(folder), "--accounts", str(accounts)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env={**os.environ, "BENCH_TOKEN": "x"})
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout or "{}")


def probe(accounts: int) -> float | None:
    """Wall seconds of the probe's first run on this machine; None where it is absent."""
    home = os.environ.get("ONEFOLD_PROBE")
    if not home:
        return None
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, str(Path(home) / "limit_probe.py"), str(accounts), "--dir", folder],
            capture_output=True,
            text=True,
            check=False,
        )
    found = re.findall(r"delta.*?TOTAL\s+([\d.]+)", done.stdout, flags=re.DOTALL | re.IGNORECASE)
    return min(map(float, found)) if found else None


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--accounts", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--phase")
    parser.add_argument("--dir", type=Path)
    given = parser.parse_args()
    if given.phase:
        inst = installation(given.dir)
        if given.phase == "boot":
            boot(inst, given.accounts)
        elif given.phase == "explain":
            print(json.dumps(explained(inst)))
        else:
            print(json.dumps(measured(inst)))
        return
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    results: dict[str, list[dict[str, float]]] = {"first run": [], "unchanged": [], "explain": []}
    for _ in range(given.runs):
        folder = Path(tempfile.mkdtemp(prefix="onefold-bench-"))
        try:
            phase(folder, "boot", given.accounts)
            for name, rows in results.items():
                rows.append(phase(folder, "explain" if name == "explain" else "measure", given.accounts))
        finally:
            shutil.rmtree(folder)
    for name, rows in results.items():
        best = min(rows, key=lambda row: row["wall"])
        print(
            f"{name:10} {given.accounts:>9,} accounts  "
            + "  ".join(f"{key} {value:,.2f}" for key, value in best.items())
        )
    if (limit := probe(given.accounts)) is not None:
        best_wall = min(row["wall"] for row in results["first run"])
        print(f"probe      {limit:.2f} s; ratio {best_wall / limit:.1f}")


if __name__ == "__main__":
    main()
