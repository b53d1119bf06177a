"""How fast a tenant is read: 100,000 users and 1,000,000 direct memberships from the Graph stand-in, which runs in a process of its own.

    .venv/bin/python benchmarks/sources.py [--users N] [--memberships M] [--groups G] [--profile]

The stand-in serves pages that it rendered before (a first read that is not measured), so that it is not what is measured.
Printed: seconds, CPU seconds of ours, peak memory of ours, requests against the vendor's minimum (its pages and one login).
Exit code 1 when a limit is not kept: 60 s for 100,000 users, 500 MB whatever the size, 1.05 times the minimum of requests
(so that no user costs one), everything there. Ours uses two connections: a round of deltas is one chain of pages.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))  # before this folder: `state` is the package, not this file

import httpx

MOST_SECONDS, MOST_MEGABYTES, MOST_SHARE = 60.0, 500.0, 1.05


def stand_in(users: int, groups: int, memberships: int, pipe: Any) -> None:
    """Serves one tenant until the pipe says so."""
    from sandbox.graph import Graph
    from sandbox.graph_rounds import PLAIN
    from sandbox.seen import crowd
    from sandbox.wire import Server

    graph = Graph([crowd(users, groups, memberships)], quirks=PLAIN)
    server = Server(graph.answer)
    graph.url = f"http://127.0.0.1:{server.port}"
    server.start()
    pipe.send(graph.announcement())
    pipe.recv()
    server.stop()


def prerendered(known: dict[str, Any], wanted: dict[str, str]) -> int:
    """Walks both rounds once, so that their pages are ready; returns how many there are."""
    given = known["tenants"]["crowd"]
    form = {
        "grant_type": "client_credentials",
        "client_id": given["client_id"],
        "client_secret": given["client_secret"],
    }
    form["scope"] = f"{known['url'].removesuffix('/v1.0')}/.default"
    pages = 0
    with httpx.Client(trust_env=False, timeout=120) as client:
        token = client.post(f"{known['login_url']}/{given['tenant_id']}/oauth2/v2.0/token", data=form).json()
        client.headers["Authorization"] = f"Bearer {token['access_token']}"
        for kind, select in wanted.items():
            link = f"{known['url']}/{kind}/delta?$select={select}"
            while link:
                answer = client.get(link)
                if answer.status_code == 429:
                    time.sleep(float(answer.headers["Retry-After"]))
                    continue
                pages += 1
                link = answer.json().get("@odata.nextLink")
    return pages


def measured(known: dict[str, Any], pipe: Any, profile: str | None) -> None:
    """One full read in a process of its own, so that its memory is only its own."""
    from connectors.source import SourceContext
    from connectors.sources.entra import Entra, EntraSettings
    from tasks.extract import extract

    given = known["tenants"]["crowd"]
    settings = EntraSettings(
        tenant_id=given["tenant_id"],
        client_id=given["client_id"],
        client_secret="env:SECRET",
        url=known["url"],
        login_url=known["login_url"],
    )
    now = datetime.now(UTC).replace(tzinfo=None)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    source = Entra(settings, SourceContext("crowd", now, {"client_secret": given["client_secret"]}))
    started, cpu = time.monotonic(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        if profile:
            import cProfile

            cProfile.runctx(
                "extract(source, **more)",
                {"extract": extract, "source": source, "more": _more(folder, now)},
                {},
                profile,
            )
            manifest = None
        else:
            manifest = extract(source, **_more(folder, now))
    found = {
        "seconds": round(time.monotonic() - started, 2),
        "cpu_seconds": round(time.process_time() - cpu, 2),
        "megabytes": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "megabytes_before": round(before),
        "requests": source.graph.http.requests + 1,
        "resource_units": source.graph.meter.units,
    }
    source.close()
    if manifest is not None:
        found |= {"verdict": manifest.verdict.value, "reasons": list(manifest.reasons)}
        found |= {"accounts": manifest.accounts, "groups": manifest.groups, "memberships": manifest.memberships}
    pipe.send(found)


def _more(folder: str, now: datetime) -> dict[str, Any]:
    return {
        "tenant": "crowd",
        "root": Path(folder) / "landing",
        "extract_id": "e1",
        "cursor_before": None,
        "full": True,
        "now": lambda: now,
    }


def run(users: int, groups: int, memberships: int, profile: str | None) -> dict[str, Any]:
    """Starts the stand-in, reads from it, and returns the figures."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    server = context.Process(target=stand_in, args=(users, groups, memberships, theirs))
    server.start()
    try:
        known = ours.recv()
        from connectors.sources._entra_records import GROUP_SELECT, USER_SELECT

        pages = prerendered(known, {"users": ",".join(USER_SELECT), "groups": ",".join(GROUP_SELECT)})
        with httpx.Client(trust_env=False) as client:
            origin = known["url"].partition("/graph")[0]
            client.post(f"{origin}/_onefold/reset-audit")
            time.sleep(10)  # the bucket of resource units fills again
            reader = context.Process(target=measured, args=(known, theirs, profile))
            reader.start()
            while not ours.poll(1):
                if not reader.is_alive():
                    raise RuntimeError("the reader died")
            found: dict[str, Any] = ours.recv()
            reader.join()
            audit = client.get(f"{origin}/_onefold/audit").json()
        minimum = pages + 1  # and one login
        found |= {"by_route": audit["by_route"], "minimum": minimum, "share": round(found["requests"] / minimum, 4)}
        return found
    finally:
        ours.send("over")
        server.join(10)
        if server.is_alive():
            server.kill()


def main() -> int:
    """Prints the figures as JSON, and what is not kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--groups", type=int, default=2_000)
    parser.add_argument("--memberships", type=int, default=1_000_000)
    parser.add_argument("--profile", metavar="FILE", help="writes a profile of our process; its figures are slower")
    chosen = parser.parse_args()
    os.environ.setdefault("NO_PROXY", "127.0.0.1")
    found = run(chosen.users, chosen.groups, chosen.memberships, chosen.profile)
    print(json.dumps({"entra": {"users": chosen.users, "memberships": chosen.memberships, **found}}, indent=2))
    if chosen.profile:
        return 0
    most = MOST_SECONDS * max(1.0, chosen.users / 100_000)
    wrong = [
        *([f"took {found['seconds']} s"] if found["seconds"] > most else ()),
        *([f"took {found['megabytes']} MB"] if found["megabytes"] > MOST_MEGABYTES else ()),
        *([f"{found['share']} times the minimum of requests"] if found["share"] > MOST_SHARE else ()),
        *([f"is {found['verdict']}: {found['reasons']}"] if found["verdict"] != "complete" else ()),
        *([f"read {found['memberships']} memberships"] if found["memberships"] != chosen.memberships else ()),
    ]
    for each in wrong:
        print(f"NOT KEPT: {each}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
