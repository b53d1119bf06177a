"""From `active: false` accepted to the user disabled in both targets: `python benchmarks/soon.py [--persons 10000] [--leavers 20]`.

A served inbox with its warm runner, stand-ins of Jira and Confluence on loopback that hold everybody already, all processes up. Prints the
median, the 95th percentile and the slowest; two seconds of each are the window that gathers reductions.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # before this folder: `state` is the package, not this file

import httpx

from connectors.inbox.asking import Turn
from connectors.inbox.clock import stamp
from connectors.inbox.contest import Author
from connectors.inbox.desk import desk
from connectors.inbox.directory import InboxTenant, entered
from connectors.inbox.resources import Write, create
from connectors.inbox.sqlite import connect, drive_now, transaction
from connectors.inbox.statements import TURN_CLOSE, TURN_OPEN
from connectors.inbox.tokens import mint
from connectors.inbox.wire import Limits
from sandbox.serve import Sandbox

ROOT = Path(__file__).parent.parent
CONFIG = """\
directory: bench
precedence: [partner]
tenants:
  partner: {{kind: inbox, mode: live, may: [create, update, deactivate, groups, attributes], verified_domains: [partner.example]}}
targets:
  jira: {{kind: jira_dc, mode: apply, url: "{jira}", token: env:BENCH_JIRA, rate: 500}}
  confluence: {{kind: confluence_dc, mode: apply, url: "{confluence}", token: env:BENCH_CONFLUENCE, rate: 500}}
adopt: {{by: [verified_email, user_name]}}
map: {{user_name: "split_part(person.email, '@', 1)"}}
run: {{scheduled: apply_safe}}
limits: {{deactivate: {{explicit: {{floor: 1000}}, window: {{floor: 1000}}}}}}
"""
PATCH = {
    "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
    "Operations": [{"op": "Replace", "path": "active", "value": "False"}],
}


def seed(persons: int) -> dict[str, object]:
    """What each target holds already."""
    users = [
        {
            "name": f"user{place}",
            "email": f"user{place}@partner.example",
            "display_name": f"Ada {place}",
            "active": True,
            "groups": [],
        }
        for place in range(persons)
    ]
    return {"users": users, "groups": []}


def fill(path: Path, persons: int) -> str:
    """Everybody as pushed and sealed; returns a token."""
    with desk(path) as opened:
        opened.do(entered([InboxTenant("partner")]))
        token = opened.do(mint("partner", now=datetime.now(UTC))).text
    with closing(connect(path)) as con, transaction(con):
        turn = Turn(1, stamp(), *con.execute(TURN_OPEN, (1,)).fetchone())
        for place in range(persons):
            name = f"user{place}@partner.example"
            body = {
                "userName": name,
                "displayName": f"Ada {place}",
                "active": True,
                "emails": [{"value": name, "type": "work"}],
            }
            drive_now(con, create(Write("User", f"id-{place}", body, json.dumps(body), Author("t0"), Limits()))(turn))
        con.execute(TURN_CLOSE, (turn.seq, turn.users, turn.groups, 1))
    with desk(path) as opened:
        opened.seal("partner")
    return token


def onefold(folder: Path, environment: dict[str, str], *words: str) -> dict[str, object]:
    """One command's document."""
    done = subprocess.run(
        [sys.executable, "-m", "flows", *words, "--json", "--config", str(folder / "onefold.yaml")],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in {0, 3}:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout)


def disabled(box: Sandbox, name: str) -> bool:
    """In both targets."""
    for target in ("jira", "confluence"):
        users = box.state(target)["users"]
        rows = users.values() if isinstance(users, dict) else users
        if any(row["name"] == name and row["active"] for row in rows):
            return False
    return True


def measure(folder: Path, persons: int, leavers: int) -> None:
    """Everything."""
    path = folder / ".onefold/inbox/inbox.sqlite"
    token = fill(path, persons)
    with Sandbox({"jira": seed(persons), "confluence": seed(persons)}, rate=None) as box:
        (folder / "onefold.yaml").write_text(CONFIG.format(jira=box.jira.url, confluence=box.confluence.url))
        environment = {**os.environ, "BENCH_JIRA": box.jira.token, "BENCH_CONFLUENCE": box.confluence.token}
        plan = onefold(folder, environment, "plan")
        onefold(folder, environment, "approve", str(plan["digest"]))
        onefold(folder, environment, "apply", str(plan["digest"]))
        command = [sys.executable, "-m", "flows", "serve", "--port", "0", "--quiet", "--json"]
        command += ["--config", str(folder / "onefold.yaml")]
        served = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
        url = json.loads(served.stdout.readline())["url"]
        took = []
        try:
            with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=30) as client:
                time.sleep(5)  # the runner is up and has nothing to do
                for place in range(leavers):
                    number = (place * 7919) % persons
                    began = time.perf_counter()
                    client.patch(f"/Users/id-{number}", json=PATCH).raise_for_status()
                    while not disabled(box, f"user{number}"):
                        if time.perf_counter() - began > 60:
                            raise SystemExit(f"user{number} is still active after a minute")
                        time.sleep(0.1)  # a look at a stand-in costs it a copy of all users
                    took.append(time.perf_counter() - began)
                    time.sleep(1.0)  # the run ends: it publishes and reports
        finally:
            served.terminate()
            served.wait(120)
    took.sort()
    late = took[min(len(took) - 1, round(0.95 * len(took)))]
    print(
        f"  pushed to disabled in both, {persons:,} persons, {leavers} leavers: "
        f"median {statistics.median(took):.2f} s, p95 {late:.2f} s, slowest {took[-1]:.2f} s"
    )


def main() -> None:
    """Measures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--persons", type=int, default=10_000)
    parser.add_argument("--leavers", type=int, default=20)
    chosen = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="onefold-soon-"))
    try:
        measure(folder, chosen.persons, chosen.leavers)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
