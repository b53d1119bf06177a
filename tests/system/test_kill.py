"""The apply process dies by SIGKILL at 50 points, before and after a target took a write; the next apply ends where an
uninterrupted one ends: no duplicate, no lost change, no id changed."""

from __future__ import annotations

import shutil
import socket
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sandbox.serve import Sandbox
from tests.company import Company, keys, people, seed

pytestmark = [pytest.mark.system, pytest.mark.timeout(1800)]
POINTS = 50
KILLED = -9


def free_pair() -> int:
    """A port that is free, and so is the next: the config must be the same each time."""
    while True:
        with socket.socket() as one, socket.socket() as two:
            one.bind(("127.0.0.1", 0))
            port: int = one.getsockname()[1]
            try:
                two.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port


def before() -> dict[str, Any]:
    """Hand-made users and groups."""
    hand_made = [f"user{place:03}" for place in range(0, 24, 2)]
    return {
        "jira": seed([*hand_made, "stranger"], ["jira-devs", "others"]),
        "confluence": seed([*hand_made[:6], "stranger"], ["confluence-users"]),
    }


def company(folder: Path, box: Sandbox) -> Company:
    """40 people, one of them disabled already, two groups pushed to each target, one nested."""
    one = Company(folder, box, people(40))
    one.change("c004", active=False)
    one.groups = {
        "Jira-Devs": [f"c{place:03}" for place in range(30)],
        "Jira-Ops": [f"c{place:03}" for place in range(25, 40)],
        "Wiki-Editors": ["group:Jira-Ops", "c001"],
    }
    one.write()
    return one


def later(one: Company) -> None:
    """What changes after the adoption: leavers, other names, movers, a joiner."""
    for place in (5, 6, 7):
        one.change(f"c{place:03}", active=False)
    for place in (10, 11, 12):
        one.change(f"c{place:03}", display=f"Renamed {place}")
    one.groups["Jira-Devs"] = [each for each in one.groups["Jira-Devs"] if each not in {"c013", "c014"}] + ["c035"]
    one.people += people(42)[40:]
    one.write()


@dataclass
class Baseline:
    """A state folder with an approved adoption plan that nobody has applied, and how it ends when nobody dies."""

    folder: Path
    port: int
    digest: str
    adopted: dict[str, Any]
    settled: dict[str, Any]
    writes: dict[str, Counter[str]]


def count(box: Sandbox) -> Counter[str]:
    """Writes by target and method since the last reset."""
    found: Counter[str] = Counter()
    for name in ("jira", "confluence"):
        for line in box.audit(name)["log"]:
            if line["method"] != "GET":
                found[f"{name} {line['method']}"] += 1
    box.reset_audit()
    return found


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> Baseline:
    """Plans, approves, keeps a copy of the folder, then lets everything run to its end once."""
    folder, port = tmp_path_factory.mktemp("kill"), free_pair()
    with Sandbox(before(), port=port, rate=None) as box:
        one = company(folder / "work", box)
        _, plan, err = one.run("plan")
        assert plan, err
        one.run("approve", plan["digest"])
        shutil.copytree(folder / "work", folder / "approved")
        box.reset_audit()
        code, done, err = one.run("apply", plan["digest"])
        assert (code, done["failed"]) == (3, 0), (done, err)  # one deactivation waits for the adoption
        first = count(box)
        one.run("sync", "--apply")
        adopted = one.holds()
        later(one)
        box.reset_audit()
        code, done, err = one.run("sync", "--apply")
        assert done["apply"]["failed"] == 0, (done, err)
        assert code == 0, (done["holds"], err)
        second = count(box)
        settled = one.holds()
    return Baseline(folder, port, plan["digest"], adopted, settled, {"apply": first, "sync": second})


def points(writes: dict[str, Counter[str]]) -> list[tuple[str, str, int, str]]:
    """Phase, target and method, ordinal, when: spread evenly over all writes, each before and after its effect."""
    every = [
        (phase, what, number)
        for phase, found in sorted(writes.items())
        for what, total in sorted(found.items())
        for number in range(1, total + 1)
    ]
    late = [each for each in every if each[0] == "sync"]  # fewer, and the ones that take access away
    step = max(1, len(every) // (POINTS // 2 - min(len(late), 10)))
    chosen = every[::step][: POINTS // 2 - min(len(late), 10)] + late[:: max(1, len(late) // 10)][:10]
    return [(*each, when) for each in chosen for when in ("before", "after")][:POINTS]


def test_killed_anywhere_it_ends_in_the_same_state(baseline: Baseline, tmp_path: Path):
    """50 times SIGKILL; each time the same command again, then a sync; each time the state of the run that nobody killed."""
    chosen = points(baseline.writes)
    assert len(chosen) == POINTS
    died = 0
    for number, (phase, what, ordinal, when) in enumerate(chosen):
        target, method = what.split()
        folder, pid_file = tmp_path / f"point{number}", tmp_path / f"point{number}.pid"
        shutil.copytree(baseline.folder / "approved", folder)
        with Sandbox(before(), port=baseline.port, rate=None) as box:
            one = company(folder, box)
            ids = {name: keys(box.state(name)) for name in ("jira", "confluence")}
            if phase == "sync":
                one.run("apply", baseline.digest)
                one.run("sync", "--apply")
                later(one)
            fault = {"target": target, "method": method, "call": ordinal, "fault": "kill", "when": when}
            box.faults([{**fault, "pid_file": str(pid_file)}])
            words = ("apply", baseline.digest) if phase == "apply" else ("sync", "--apply")
            killed = one.spawn(*words, pid_file=pid_file)
            died += killed.returncode == KILLED
            box.faults([])
            at_death = {name: keys(box.state(name)) for name in ("jira", "confluence")}
            code, done, err = one.run(*words)
            label = f"point {number}: {phase}, {what} {ordinal}, {when}"
            assert code == (3 if phase == "apply" else 0), (label, done, err)
            assert (done if phase == "apply" else done.get("apply", {"failed": 0}))["failed"] == 0, (label, done)
            if phase == "apply":
                one.run("sync", "--apply")
            wanted = baseline.adopted if phase == "apply" else baseline.settled
            assert one.holds() == wanted, label
            for name in ("jira", "confluence"):
                now = keys(box.state(name))
                for known in (ids[name], at_death[name]):
                    assert {user: now.get(user) for user in known} == known, label
            box.reset_audit()
            one.run("sync", "--apply")
            assert not sum(box.audit(name)["writes"] for name in ("jira", "confluence")), label
        shutil.rmtree(folder)
    assert died == POINTS
