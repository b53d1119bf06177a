"""How fast the SCIM inbox takes pushes and answers lookups: `python benchmarks/inbox.py [--users 100000] [--seconds 5] [--store ADDRESS]`.

Starts `onefold serve` on loopback over a filled store and loads it with wrk (a compiled load generator; on Debian the package
`wrk`) over 8 connections. Writes are durable: every answer comes after the flush of its transaction. `--store` names a PostgreSQL
database (postgresql://…), empty and of no other use, in the place of a SQLite file.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))  # before this folder: `state` is the package, not this file

from benchmarks.inbox_steady import steady
from connectors.inbox.asking import Turn, closed, every, one
from connectors.inbox.checkpoint import checkpoint, rebuild
from connectors.inbox.clock import stamp
from connectors.inbox.contest import Author
from connectors.inbox.desk import desk
from connectors.inbox.directory import InboxTenant, entered
from connectors.inbox.resources import Write, create
from connectors.inbox.statements import TURN_OPEN
from connectors.inbox.stores import Database, Where, beside
from connectors.inbox.tokens import mint
from connectors.inbox.wire import Limits
from connectors.source import SourceContext
from connectors.sources.inbox import Inbox, InboxSettings

MEMBERS = 50_000
CONNECTIONS = 8
HEAD = 'local token = os.getenv("INBOX_TOKEN")\nlocal headers = {["Authorization"] = "Bearer " .. token, ["Content-Type"] = "application/scim+json"}\nlocal count = 0\n'
CREATES = (
    HEAD
    + """
request = function()
  count = count + 1
  local name = "new" .. os.getenv("INBOX_ROUND") .. "-" .. count .. "@corp.example"
  return wrk.format("POST", "/scim/v2/Users", headers, '{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"' .. name ..
    '","externalId":"' .. name .. '","active":true,"displayName":"Ada Lovelace","name":{"givenName":"Ada","familyName":"Lovelace"},"emails":[{"primary":true,"type":"work","value":"' .. name .. '"}]}')
end
"""
)
READS = (
    HEAD
    + """
local users = tonumber(os.getenv("INBOX_USERS"))
request = function()
  count = (count + 7919) % users
  return wrk.format("GET", "/scim/v2/Users?filter=" .. string.format(os.getenv("INBOX_FILTER"), count), headers)
end
"""
)
PATCHES = (
    HEAD
    + """
request = function()
  count = count + 1
  local op = count % 2 == 1 and "add" or "remove"
  return wrk.format("PATCH", "/scim/v2/Groups/big", headers, '{"Operations":[{"op":"' .. op .. '","path":"members","value":[{"value":"late-' .. count .. '"}]}]}')
end
"""
)


def fill(where: Where, users: int) -> None:
    """Users and one group of MEMBERS, through the same operations as the service's, in large transactions."""
    with beside(where) as store:
        for start in range(0, users, 2000):
            with store.writing(1):
                turn = Turn(1, stamp(), *store.do(one(TURN_OPEN, 1)))
                for place in range(start, min(users, start + 2000)):
                    store.do(create(_write("User", f"id-{place}", _user(place)))(turn))
                store.do(closed(turn))
            if isinstance(where, Database) and start == 0:  # as the service does while tables grow
                store.do(every("ANALYZE inbox_user"))
        with store.writing(1):
            turn = Turn(1, stamp(), *store.do(one(TURN_OPEN, 1)))
            members = [{"value": f"id-{place}"} for place in range(MEMBERS)]
            store.do(create(_write("Group", "big", {"displayName": "big", "members": members}))(turn))
            store.do(closed(turn))


def _user(place: int) -> dict[str, object]:
    name = f"user{place}@corp.example"
    return {
        "userName": name,
        "externalId": name,
        "displayName": f"Ada {place}",
        "name": {"givenName": "Ada", "familyName": str(place)},
        "emails": [{"value": name, "type": "work", "primary": True}],
    }


def _write(kind: str, native_id: str, body: dict[str, object]) -> Write:
    return Write(kind, native_id, body, json.dumps(body), Author("t0"), Limits())


def load(url: str, script: str, folder: Path, seconds: float, **settings: str) -> str:
    """Requests per second, errors and 99th percentile."""
    file = folder / "load.lua"
    file.write_text(script)
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds:g}s", "--latency", "-s", str(file), url]
    done = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, check=True)
    rate = float(re.search(r"Requests/sec:\s*([\d.]+)", done.stdout)[1])
    late = re.search(r"99%\s+(\S+)", done.stdout)[1]
    wrong = re.search(r"Non-2xx or 3xx responses: (\d+)", done.stdout)
    return f"{rate:7,.0f} a second, 99 % within {late}" + (f", {wrong[1]} REFUSED" if wrong else "")


def generator() -> str:
    """Name and version of the compiled load generator, or that there is none."""
    if shutil.which("wrk") is None:
        return "(none is installed)"
    told = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False).stdout  # it ends with 1
    return " ".join(told.split()[:2])


def memory(pid: int) -> str:
    """Resident now and at its peak."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.startswith("Vm")}
    return f"now {kilobytes['VmRSS'] / 1024:.0f} MB, peak {kilobytes['VmHWM'] / 1024:.0f} MB"


def timed(label: str, began: float) -> None:
    """One line."""
    print(f"  {label:<58}{time.perf_counter() - began:8.2f} s")


def measure(folder: Path, where: Where, users: int, seconds: float) -> None:
    """Everything."""
    kind = "{kind: inbox, store: env:INBOX_STORE}" if isinstance(where, Database) else "{kind: inbox}"
    (folder / "onefold.yaml").write_text(f"directory: bench\ntenants: {{corp: {kind}}}\n")
    if isinstance(where, Database):
        os.environ["INBOX_STORE"] = where.url
    with desk(where) as opened:
        opened.do(entered([InboxTenant("corp")]))
        token = opened.do(mint("corp", now=datetime.now(UTC))).text
    began = time.perf_counter()
    fill(where, users)
    timed(f"filled with {users:,} users and a group of {MEMBERS:,}", began)
    command = [
        sys.executable,
        "-m",
        "flows",
        "serve",
        "--port",
        "0",
        "--quiet",
        "--json",
        "--config",
        str(folder / "onefold.yaml"),
    ]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent.parent)
    try:
        url = json.loads(server.stdout.readline())["url"].removesuffix("/scim/v2")
        os.environ |= {"INBOX_TOKEN": token, "INBOX_USERS": str(users), "INBOX_ROUND": "0"}
        time.sleep(2)  # the first chores
        print(f"  {'memory after the start':<58}{memory(server.pid)}")
        loads = (
            ("creates, durable", CREATES, ""),
            ("lookups, userName eq", READS, "userName%%20eq%%20%%22user%d@corp.example%%22"),
            (
                "lookups, emails[type eq work].value eq",
                READS,
                "emails%%5Btype%%20eq%%20%%22work%%22%%5D.value%%20eq%%20%%22user%d@corp.example%%22",
            ),
            (
                "probes, id eq and members eq (on users: manager)",
                READS,
                "id%%20eq%%20%%22id-%d%%22%%20and%%20manager%%20eq%%20%%22x%%22",
            ),
            (f"PATCH of one member of the group of {MEMBERS:,}", PATCHES, ""),
        )
        for label, script, text in loads:
            print(f"  {label:<58}{load(url, script, folder, seconds, INBOX_FILTER=text)}")
        print(f"  {'memory after the load':<58}{memory(server.pid)}")
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)
    after(where)


def paced(folder: Path, users: int, seconds: float) -> None:
    """The filled store at Entra's pace; with `--steady` alone it is filled first."""
    path = folder / ".onefold/inbox/inbox.sqlite"
    fresh = not path.exists()
    with desk(path) as opened:
        opened.do(entered([InboxTenant("corp")]))
        token = opened.do(mint("corp", now=datetime.now(UTC))).text
    if fresh:
        fill(path, users)
    steady(folder, token, users, seconds)


def after(where: Where) -> None:
    """What the pipeline and the administrator do with the store."""
    now = datetime.now(UTC).replace(tzinfo=None)
    if isinstance(where, Database):
        context = SourceContext("corp", now, {"store": where.url})
        source = Inbox(InboxSettings(store="env:INBOX_STORE"), context)
    else:
        source = Inbox(InboxSettings(store=where.name), SourceContext("corp", now, base=where.parent))
    began, rows, cursor = time.perf_counter(), 0, ""
    for listing in (source.accounts, source.groups, source.memberships):
        for page in listing():
            rows, cursor = rows + len(page.rows), page.cursor_after or cursor
    timed(f"full read by the pipeline, {rows:,} rows", began)
    began = time.perf_counter()
    list(source.delta(cursor))
    timed("delta of nothing", began)
    source.close()
    began = time.perf_counter()
    checkpoint(where, 1)
    timed("checkpoint", began)
    with beside(where) as store:  # so that the whole log is replayed
        store.do(every("UPDATE inbox_tenant SET checkpoint_seq = 0"))
    began = time.perf_counter()
    proof = rebuild(where, "corp")
    timed(f"rebuild of {proof.events:,} events, {'equal' if proof.equal else 'DIFFERENT'}", began)
    size = store_bytes(where) / 2**20
    print(f"  {'store on the disk':<58}{size:8.0f} MB")


def store_bytes(where: Where) -> int:
    """All that it takes on the disk."""
    if isinstance(where, Database):
        with beside(where) as store:
            return int(store.do(one("SELECT pg_database_size(current_database())"))[0])
    return sum(each.stat().st_size for each in where.parent.iterdir())


def main() -> None:
    """Measures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=5, help="of each load")
    parser.add_argument(
        "--steady", type=float, default=60, help="seconds at 25 requests a second, twice; 0: none; SQLite only"
    )
    parser.add_argument("--only-steady", action="store_true")
    parser.add_argument("--store", help="postgresql://…; default: a SQLite file")
    chosen = parser.parse_args()
    print(
        f"{platform.machine()}, {os.cpu_count()} cores shared with the load generator {generator()}, {CONNECTIONS} connections, "
        f"Python {platform.python_version()}, load average before {os.getloadavg()[0]:.1f}"
    )
    folder = Path(tempfile.mkdtemp(prefix="onefold-inbox-"))
    try:
        where = Database(chosen.store) if chosen.store else folder / ".onefold/inbox/inbox.sqlite"
        if chosen.only_steady:
            pass
        elif shutil.which("wrk") is None:
            print("skipped: wrk is not installed; a load generator in Python would take the core under test")
        else:
            measure(folder, where, chosen.users, chosen.seconds)
        if chosen.steady and not isinstance(where, Database):
            paced(folder, chosen.users, chosen.steady)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
