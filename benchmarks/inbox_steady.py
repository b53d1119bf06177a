"""How late answers are at the pace that Entra requires, 25 requests a second, while syncs run: the part of `benchmarks/inbox.py` with a clock.

Open loop: each request has a time at which it is due, and its latency counts from then, so that a stall is paid by every
request behind it. Half are filtered lookups, the others creates and patches in equal parts, from a process of its own over
as many connections as are needed. `onefold serve` keeps its warm runner, which syncs again as soon as it has synced.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import quote

sys.path.insert(0, str(Path(__file__).parent.parent))  # before this folder: `state` is the package, not this file

from sandbox.serve import Sandbox

ROOT = Path(__file__).parent.parent
RATE = 25.0  # what Microsoft asks of a gallery application, per tenant
CONNECTIONS = 16
CONFIG = """\
directory: bench
precedence: [corp]
tenants: {{corp: {{kind: inbox, mode: live, may: [create, update, deactivate, groups, attributes], verified_domains: [corp.example]}}}}
targets: {{jira: {{kind: jira_dc, mode: plan_only, url: "{jira}", token: env:BENCH_JIRA}}}}
map: {{user_name: "split_part(person.email, '@', 1)"}}
run: {{after_push: {{reduction: 1s, quiet: 1s, most: 1s}}}}
"""
USER = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "active": True, "name": {"givenName": "Ada"}}


def request(place: int, users: int) -> tuple[str, str, str | None]:
    """Method, path and body of the request that is due at that place."""
    other = (place * 7919) % users
    if place % 2 == 0:
        return "GET", "/Users?filter=" + quote(f'userName eq "user{other}@corp.example"'), None
    if place % 4 == 1:
        name = f"steady{os.getpid()}-{place}@corp.example"
        return "POST", "/Users", json.dumps({**USER, "userName": name, "emails": [{"value": name, "type": "work"}]})
    operation = {"op": "Replace", "path": "title", "value": f"Countess {place}"}
    return "PATCH", f"/Users/id-{other}", json.dumps({"Operations": [operation]})


def drive(url: str, token: str, users: int, seconds: float) -> dict[str, list[float]]:
    """Sends at RATE for so long; milliseconds from due to answered, in the order of the requests, and how late the client itself woke up."""
    host, _, prefix = url.removeprefix("http://").partition("/")
    due: queue.Queue[tuple[int, float] | None] = queue.Queue()
    late: dict[int, float] = {}

    def work() -> None:
        wire = http.client.HTTPConnection(host, timeout=30)
        while (task := due.get()) is not None:
            place, at = task
            method, path, body = request(place, users)
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/scim+json"}
            wire.request(method, f"/{prefix}{path}", body, headers)
            answer = wire.getresponse()
            answer.read()
            if answer.status < 300:
                late[place] = (time.perf_counter() - at) * 1000

    workers = [threading.Thread(target=work, daemon=True) for _ in range(CONNECTIONS)]
    for each in workers:
        each.start()
    began = time.perf_counter() + 0.5
    many, woke = int(seconds * RATE), []
    for place in range(many):
        at = began + place / RATE
        time.sleep(max(0.0, at - time.perf_counter()))
        due.put((place, at))
        woke.append((time.perf_counter() - at) * 1000)
    for _ in workers:
        due.put(None)
    for each in workers:
        each.join(60)
    if len(late) != many:
        raise SystemExit(f"{many - len(late)} requests of {many} were not answered by a success")
    return {"late": [late[place] for place in range(many)], "woke": woke}


def told(late: list[float]) -> str:
    """Percentiles."""
    ordered = sorted(late)
    points = {f"p{share}": ordered[min(len(ordered) - 1, len(ordered) * share // 100)] for share in (50, 95, 99)}
    return ", ".join(f"{name} {value:.1f} ms" for name, value in (points | {"max": ordered[-1]}).items())


def steady(folder: Path, token: str, users: int, seconds: float) -> None:
    """Serves the filled store with its runner and measures: first with nothing beside, then while syncs run."""
    with Sandbox({"jira": {"users": [], "groups": []}, "confluence": {"users": [], "groups": []}}, rate=None) as box:
        (folder / "onefold.yaml").write_text(CONFIG.format(jira=box.jira.url))
        environment = {**os.environ, "BENCH_JIRA": box.jira.token}
        for label, option in (("nothing beside", "--no-sync"), ("while syncs run", "--sync")):
            command = [sys.executable, "-m", "flows", "serve", "--port", "0", "--quiet", "--json", option]
            command += ["--config", str(folder / "onefold.yaml")]
            served = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
            try:
                url = json.loads(served.stdout.readline())["url"]
                time.sleep(5)
                before = runs(folder, environment) if option == "--sync" else 0
                client = [sys.executable, str(Path(__file__)), url, token, str(users), f"{seconds:g}"]
                done = subprocess.run(client, capture_output=True, text=True, check=False)
                if done.returncode:
                    raise SystemExit(done.stderr)
                ran = f", {runs(folder, environment) - before} syncs" if option == "--sync" else ""
                heard = json.loads(done.stdout)
                print(f"  {f'{RATE:g} requests/s for {seconds:g} s, {label}':<58}{told(heard['late'])}{ran}")
                load = f"  the client's own lateness, load average {os.getloadavg()[0]:.1f}"
                print(f"  {load:<58}{told(heard['woke'])}")
            finally:
                served.terminate()
                served.wait(180)


def runs(folder: Path, environment: dict[str, str]) -> int:
    """How many runs the state knows."""
    command = [sys.executable, "-m", "flows", "history", "--json", "--config", str(folder / "onefold.yaml")]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    return len(json.loads(done.stdout)["runs"]) if done.returncode == 0 else 0


def main() -> None:
    """The client's process: prints what it measured as one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("token")
    parser.add_argument("users", type=int)
    parser.add_argument("seconds", type=float)
    chosen = parser.parse_args()
    print(json.dumps(drive(chosen.url, chosen.token, chosen.users, chosen.seconds)))


if __name__ == "__main__":
    main()
