"""The main job on a made-up company, from nothing: `make demo`. Drives the `onefold` command as an admin would.

Two real SCIM servers and an HR export go into stand-ins of Jira and Confluence that hold hand-made users already:
adoption plan, approval, apply, a run that writes nothing; then a leaver, a rename and a joiner, and exactly those writes;
then a partner that pushes SCIM to `onefold serve`, whose leaver is disabled within seconds.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from sandbox.config import demo_config
from sandbox.demo_partner import Partner, Served
from sandbox.scim import ScimServer, apply_event, seed
from sandbox.serve import Sandbox
from sandbox.world import World, company
from sandbox.world_events import events

TOKEN = "demo-only"
FOLDER = Path(".demo")
HELD = 3


class DemoError(RuntimeError):
    """The demo did not end as it should; what was expected and what came."""


class Stop:
    """SIGTERM as an ordinary end; while a process is being started it waits, or that process would be nobody's to end."""

    def __init__(self) -> None:
        self._holding = self._told = False

    def __call__(self, _number: int, _frame: object) -> None:
        """The signal's handler."""
        if self._holding:
            self._told = True
        else:
            sys.exit(143)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Ends only after the block."""
        self._holding = True
        try:
            yield
        finally:
            self._holding = False
        if self._told:
            sys.exit(143)


STOP = Stop()


@dataclass
class Demo:
    """A running demo: its folder, its servers, and how its commands are run and told."""

    folder: Path
    box: Sandbox
    world: World
    urls: dict[str, str]
    quiet: bool = False
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """What a command finds its config and its credentials by."""
        return {
            **os.environ,
            "ONEFOLD_CONFIG": str(self.folder / "onefold.yaml"),
            "DEMO_SCIM_TOKEN": TOKEN,
            "DEMO_JIRA_TOKEN": self.box.jira.token,
            "DEMO_CONFLUENCE_TOKEN": self.box.confluence.token,
        }

    def say(self, text: str) -> None:
        """A line between two commands."""
        if not self.quiet:
            sys.stdout.write(f"\n\033[1m{text}\033[0m\n" if sys.stdout.isatty() else f"\n=== {text}\n")
            sys.stdout.flush()

    def onefold(self, *words: str, ok: tuple[int, ...] = (0,), show: bool = False) -> dict[str, Any]:
        """Runs a command with --json and returns its document; `show` prints what a human would see."""
        began = time.monotonic()
        done = self._run([*words, "--json"], ok)
        self.seconds[words[0]] = round(time.monotonic() - began, 2)
        document: dict[str, Any] = json.loads(done.stdout)
        if show and not self.quiet:
            again = ["show", "plan", document["digest"]] if words[0] in {"plan", "sync"} else list(words)
            sys.stdout.write(self._run(again, (0, HELD)).stdout)
        return document

    def _run(self, words: list[str], ok: tuple[int, ...]) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "flows", *words]
        process = None
        try:
            with STOP.held():
                process = subprocess.Popen(
                    command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
                )
            out, err = process.communicate()
        except BaseException:
            if process is not None:
                process.kill()
                process.wait()
            raise
        done = subprocess.CompletedProcess(command, process.returncode, out, err)
        if done.returncode not in ok:
            raise DemoError(f"onefold {' '.join(words)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def writes(self) -> dict[str, int]:
        """How many requests changed something at each stand-in since the last count."""
        counts = {name: int(self.box.audit(name)["writes"]) for name in ("jira", "confluence")}
        self.box.reset_audit()
        return counts


def expect(what: str, found: object, wanted: object) -> None:
    """Ends the demo when the world is not as it should be."""
    if found != wanted:
        raise DemoError(f"{what}: expected {wanted}, found {found}")


def run(demo: Demo) -> dict[str, Any]:
    """The whole story; returns its figures. DemoError when a step does not do what it promises."""
    figures: dict[str, Any] = {}
    demo.say("1. Who is there? The adoption plan: nothing is written, everything waits for approval")
    plan = demo.onefold("plan", ok=(HELD,), show=True)
    expect("writes before any approval", demo.writes(), {"jira": 0, "confluence": 0})
    demo.say("2. Approve and apply it")
    demo.onefold("approve", plan["digest"], ok=(0, HELD))
    applied = demo.onefold("apply", plan["digest"], ok=(0, HELD))
    figures["adoption"] = {"applied": applied["applied"], "writes": demo.writes()}
    demo.say(f"   {applied['applied']} done, {applied['failed']} failed; writes: {figures['adoption']['writes']}")
    demo.say("3. What had to wait for the adoption: leavers who still had access")
    sync = demo.onefold("sync", "--apply", ok=(0, HELD), show=True)
    figures["after_adoption"] = demo.writes()
    demo.say("4. Again, with nothing changed: zero writes")
    sync = demo.onefold("sync", "--apply", ok=(0, HELD))
    figures["unchanged"] = demo.writes()
    expect("writes of an unchanged run", figures["unchanged"], {"jira": 0, "confluence": 0})
    demo.say(f"   writes: {figures['unchanged']}")
    demo.say("5. A leaver, a rename, a joiner")
    for event in events(demo.world):
        apply_event(demo.urls, event, token=TOKEN)
        (demo.folder / "hr.csv").write_text(event.hr_csv, encoding="utf-8")
        sync = demo.onefold("sync", "--apply", ok=(0, HELD))
        figures[event.kind] = demo.writes()
        ready = {name: each["ready"] for name, each in sync["counts"].items() if each["ready"]}
        demo.say(f"   {event.words}: planned {ready}, writes {figures[event.kind]}")
        for name, verbs in ready.items():
            wanted = sum(number for verb, number in verbs.items() if not verb.startswith("adopt_"))
            wanted += verbs.get("deactivate_user", 0) if name == "jira" else 0  # Jira's sessions are ended too
            expect(f"writes to {name} for the {event.kind}", figures[event.kind][name], wanted)
    demo.say("6. And again: zero writes")
    demo.onefold("sync", "--apply", ok=(0, HELD))
    expect("writes at the end", demo.writes(), {"jira": 0, "confluence": 0})
    figures["partner"] = pushed(demo)
    figures["seconds"] = demo.seconds
    return figures


def pushed(demo: Demo) -> dict[str, Any]:
    """A partner pushes its people to the inbox, then a leaver; from each push on the inbox's own runner does the work."""
    demo.say("7. A partner pushes SCIM to the inbox: `onefold serve` is running, and nobody runs anything else")
    configure(demo.folder, demo.urls, demo.box, partner=True)
    secret = demo.onefold("token", "new", "partner")["token"]
    headers = {"Authorization": f"Bearer {secret}"}
    with (
        Served(demo.folder / "onefold.yaml", demo.environment) as served,
        httpx.Client(base_url=served.url, headers=headers, timeout=30, trust_env=False) as client,
    ):
        partner = Partner.of(demo.world, client, demo.box)
        many, seconds = partner.push_all()
        demo.say(f"   {many} people pushed; all of them in Jira {seconds:g} s later")
        sealed = demo.onefold("inbox", "seal", "partner", "--users", str(many))
        demo.say(f"   The first load is over: sealed with {sealed['users']} users and {sealed['groups']} group")
        who, took = partner.push_leaver()
        told = ", ".join(f"in {name.title()} after {each:g} s" for name, each in took.items())
        demo.say(f"   The partner disables {who}: disabled {told}, two of them to gather further leavers")
    return {"people": many, "created_seconds": seconds, "disabled_seconds": took}


def prepare(folder: Path, world: World, urls: dict[str, str], box: Sandbox) -> None:
    """Writes config and HR export into an empty folder."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(mode=0o700)
    (folder / "hr.csv").write_text(world.hr_csv(), encoding="utf-8")
    configure(folder, urls, box, partner=False)


def configure(folder: Path, urls: dict[str, str], box: Sandbox, *, partner: bool) -> None:
    """Writes the config; `partner` joins later."""
    text = demo_config(
        corp_url=urls["corp"],
        acquired_url=urls["acquired"],
        hr_glob="hr.csv",
        jira_url=box.jira.url,
        confluence_url=box.confluence.url,
        partner=partner,
    )
    (folder / "onefold.yaml").write_text(text, encoding="utf-8")


def main() -> int:
    """Runs the demo in `.demo`; the state stays there to explore."""
    signal.signal(signal.SIGTERM, STOP)  # so that everything it started is ended
    world = company()
    began = time.monotonic()
    with (
        ScimServer("corp", token=TOKEN) as corp,
        ScimServer("acquired", token=TOKEN) as acquired,
        Sandbox(seed=world.existing()) as box,
    ):
        urls = {"corp": corp.url, "acquired": acquired.url}
        for name in ("corp", "acquired"):
            seed(urls[name], world.scim_users(name), world.groups(name), token=TOKEN)
        prepare(FOLDER, world, urls, box)
        demo = Demo(FOLDER.absolute(), box, world, urls)
        try:
            figures = run(demo)
        except (RuntimeError, httpx.HTTPError) as error:
            sys.stderr.write(f"{error}\n")
            return 1
    sys.stdout.write(
        f"\nDone in {time.monotonic() - began:.0f} s: {json.dumps(figures)}\n"
        f"Explore {FOLDER}/.onefold/snapshots/latest.duckdb with any DuckDB client, or:\n"
        f"  .venv/bin/onefold history --config {FOLDER}/onefold.yaml\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
