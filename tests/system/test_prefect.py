"""The flows under a real Prefect server and a process worker: deployed from prefect.yaml, run by a form, the same plan as the plain order."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.serve import TOKENS, Sandbox
from tests.company import CONFIG, Company, people, seed

pytestmark = pytest.mark.system
ROOT = Path(__file__).parent.parent.parent
BIN = Path(sys.executable).parent


def free_port() -> int:
    """A port that nobody has right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


class Server:
    """A Prefect server with its home, and the processes beside it."""

    def __init__(self, home: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/api"
        self.env = {
            **os.environ,
            "PREFECT_HOME": str(home),
            "PREFECT_API_URL": self.url,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "ONEFOLD_CHECKOUT": str(ROOT),
            "PREFECT_LOGGING_LEVEL": "WARNING",
            "ONEFOLD_CONFIG": str(home / "acme" / "onefold.yaml"),
            "COMPANY_JIRA": TOKENS["jira"],
            "COMPANY_CONFLUENCE": TOKENS["confluence"],
        }
        self.acme = home / "acme"  # the installation that the worker finds by its environment
        self.log = home / "log.txt"
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, *words: str) -> None:
        """Starts a long process in its own group."""
        with self.log.open("ab") as log:
            self._running.append(
                subprocess.Popen(
                    [str(BIN / "prefect"), *words],
                    cwd=ROOT,
                    env=self.env,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            )

    def run(self, *words: str, seconds: float = 180) -> str:
        """Runs a command of Prefect to its end."""
        done = subprocess.run(
            [str(BIN / "prefect"), *words],
            cwd=ROOT,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}\n{self.log.read_text()[-4000:]}"
        return done.stdout

    def ask(self, path: str, **body: object) -> list[dict[str, object]]:
        """A filter question to the API."""
        answer = httpx.post(f"{self.url}/{path}", json=body, timeout=30)
        answer.raise_for_status()
        rows: list[dict[str, object]] = answer.json()
        return rows

    def wait(self) -> None:
        """Until the server answers."""
        for _ in range(600):
            try:
                if httpx.get(f"{self.url}/health", timeout=2).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.2)
        raise AssertionError(self.log.read_text()[-4000:])

    def stop(self) -> None:
        """Ends every process group."""
        for process in reversed(self._running):
            try:
                os.killpg(process.pid, signal.SIGTERM)
                process.wait(20)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Server, work pool, deployments and worker, as the docs say."""
    one = Server(tmp_path_factory.mktemp("prefect"))
    try:
        one.start("server", "start", "--host", "127.0.0.1", "--port", str(one.port), "--no-ui")
        one.wait()
        one.run("work-pool", "create", "onefold", "--type", "process")
        one.run("--no-prompt", "deploy", "--all")
        one.start("worker", "start", "--pool", "onefold", "--type", "process")
        yield one
    finally:
        one.stop()


def installation(folder: Path) -> Path:
    """A company of two in a file; one row has no id."""
    folder.mkdir()
    (folder / "hr.csv").write_text(
        "id,user_name,email\n1,ada,ada@corp.example\n2,bo,bo@corp.example\n", encoding="utf-8"
    )
    (folder / "onefold.yaml").write_text(
        "directory: acme\nprecedence: [hr]\ntenants:\n"
        '  hr: {kind: files, mode: live, accounts: {glob: "hr.csv", columns: {native_id: id}}}\ntargets: {}\n',
        encoding="utf-8",
    )
    return folder / "onefold.yaml"


def deployed(server: Server, name: str, **form: object) -> dict[str, object]:
    """Runs a deployment to its end; returns the flow run."""
    before = {run["id"] for run in server.ask("flow_runs/filter")}
    server.run("deployment", "run", name, "--param", f"run={json.dumps(form)}")
    for _ in range(300):
        fresh = [run for run in server.ask("flow_runs/filter") if run["id"] not in before]
        if fresh and fresh[0]["state_type"] in {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}:
            return fresh[0]
        time.sleep(0.5)
    raise AssertionError(f"{name} did not end\n{server.log.read_text()[-4000:]}")


def told(server: Server, name: str) -> list[dict[str, object]]:
    """Events of that name; they are written a little later than states."""
    for _ in range(60):
        answer: Any = server.ask("events/filter", filter={"event": {"prefix": [name]}})
        if answer["events"]:
            found: list[dict[str, object]] = answer["events"]
            return found
        time.sleep(0.5)
    return []


def cli(config: Path, *words: str) -> tuple[int, dict[str, object]]:
    """The same from a shell, without a server."""
    done = subprocess.run(
        [sys.executable, "-m", "flows", *words, "--config", str(config), "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, json.loads(done.stdout)


def test_deployed_run_gives_the_plan_of_the_plain_order(server: Server, tmp_path: Path):
    """By a form through a worker: completed, named for what ran, with plan and counts as artifacts, and the same digest."""
    config = installation(tmp_path / "one")
    run = deployed(server, "onefold-sync/by-hand", config=str(config))
    assert run["state_type"] == "COMPLETED", server.log.read_text()[-4000:]
    assert run["name"] == "sync: all tenants"
    keys = {row["key"] for row in server.ask("artifacts/filter", artifacts={"flow_run_id": {"any_": [run["id"]]}})}
    assert {"plan", "counts"} <= keys
    assert any(str(key).startswith("progress-") for key in keys), keys
    _, shown = cli(config, "show", "plan")
    other = installation(tmp_path / "two")
    code, plain = cli(other, "sync")
    assert code == 0
    assert plain["digest"] == shown["digest"]


def test_both_ways_end_in_the_same_target_state(server: Server, tmp_path: Path):
    """Adoption and a leaver, once from a shell and once through the worker: the same changes, the same users and edges."""
    ends, planned = {}, {}
    for way in ("shell", "worker"):
        with Sandbox({"jira": seed(["user001"], ["jira-devs"]), "confluence": seed(["user001"])}, rate=None) as box:
            one = Company(tmp_path / way, box, people(12))
            one.groups = {"Jira-Devs": ["c000", "c001", "c002"], "Wiki-Eds": ["c001"]}
            one.write()
            config = str(one.folder / "onefold.yaml")
            if way == "shell":
                plan = one.run("sync")[1]
                one.run("approve", plan["digest"])
                one.run("apply", plan["digest"])
            else:
                assert deployed(server, "onefold-sync/by-hand", config=config)["state_name"] == "Held"
                plan = one.run("show", "plan")[1]
                one.run("approve", plan["digest"])
                run = deployed(server, "onefold-apply/reviewed", config=config, digest=plan["digest"])
                assert run["state_type"] == "COMPLETED", server.log.read_text()[-4000:]
            planned[way] = [change["fingerprint"] for change in plan["changes"]]
            one.change("c002", active=False)
            one.write()
            if way == "shell":
                one.run("sync", "--apply")
            else:
                run = deployed(server, "onefold-sync/by-hand", config=config, apply=True)
                assert run["name"] == "sync and apply: all tenants"
                assert told(server, "onefold.run.held")
                assert told(server, "onefold.run.applied")
            ends[way] = one.holds()
    assert planned["worker"] == planned["shell"]
    assert ends["worker"] == ends["shell"]
    assert ends["worker"]["jira"]["users"]["user002"]["active"] is False


def test_an_incomplete_input_is_completed_as_held(server: Server, tmp_path: Path):
    """Exit code 3 is a Completed state named Held; the form's validation refuses what it does not know."""
    config = installation(tmp_path / "held")
    (config.parent / "hr.csv").unlink()
    run = deployed(server, "onefold-sync/by-hand", config=str(config))
    assert (run["state_type"], run["state_name"]) == ("COMPLETED", "Held")


def test_a_digest_nobody_knows_is_failed(server: Server, tmp_path: Path):
    """Failure is never reported as success."""
    config = installation(tmp_path / "unknown")
    cli(config, "plan")
    run = deployed(server, "onefold-apply/reviewed", config=str(config), digest="00000000")
    assert run["state_type"] == "FAILED"
    assert run["name"] == "apply 00000000"
    assert any("00000000" in str(each["payload"]) for each in told(server, "onefold.run.failed"))


def test_steps_run_without_a_server():
    """The plain order never imports Prefect."""
    words = "import sys; from flows import order; sys.exit('prefect' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", words], cwd=ROOT, check=False).returncode == 0


def pushing(
    server: Server, folder: Path, box: Sandbox, *options: str
) -> tuple[Company, subprocess.Popen[str], httpx.Client]:
    """A company with a partner that pushes, adopted; its served inbox, told of the Prefect server; the partner's client."""
    one = Company(folder, box, people(2))
    inbox = "  partner: {{kind: inbox, mode: live, may: [create, update, deactivate, groups, attributes], verified_domains: [partner.example]}}\ntargets:"
    after = "run: {{scheduled: apply_safe, after_push: {{reduction: 1s, quiet: 1s, most: 2s}}}}\n"
    one.write(CONFIG.replace("targets:", inbox, 1).replace("[corp, hr]", "[corp, partner, hr]") + after)
    token = one.run("token", "new", "partner")[1]["token"]
    one.adopt()  # before anything is pushed: from then on the runner may be at work
    served = subprocess.Popen(
        [sys.executable, "-m", "flows", "serve", "--port", "0", "--quiet", "--json", *options],
        cwd=ROOT,
        env={**server.env, **one.environment},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert served.stdout is not None
    url = json.loads(served.stdout.readline())["url"]
    client = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=30)
    return one, served, client


def appears(company: Company, name: str, seconds: float = 60) -> float:
    """Seconds until Jira holds that user."""
    began = time.monotonic()
    while name not in company.holds()["jira"]["users"]:
        assert time.monotonic() - began < seconds, company.holds()["jira"]["users"].keys()
        time.sleep(0.2)
    return time.monotonic() - began


def test_a_push_reaches_jira_by_prefect_alone(server: Server):
    """`serve --no-sync`: the event starts the deployment `pushed`, which reads that tenant and writes, in under 30 seconds."""
    with Sandbox({"jira": seed(), "confluence": seed()}, rate=None) as box:
        one, served, client = pushing(server, server.acme, box, "--no-sync")
        try:
            client.post(
                "/Users",
                json={"userName": "pia@partner.example", "emails": [{"value": "pia@partner.example", "primary": True}]},
            )
            seconds = appears(one, "pia")
            print(f"pushed to written by Prefect's trigger: {seconds:.1f} s")
            assert seconds < 30
            assert any(run["name"] == "sync: partner" for run in server.ask("flow_runs/filter"))
        finally:
            client.close()
            served.terminate()
            served.wait(60)


def test_a_run_of_the_runner_is_reported_afterwards(server: Server, tmp_path: Path):
    """The fast path asks nobody; Prefect sees the run with its plan when it is over."""
    with Sandbox({"jira": seed(), "confluence": seed()}, rate=None) as box:
        one, served, client = pushing(server, tmp_path / "acme", box)
        try:
            client.post(
                "/Users",
                json={
                    "userName": "paul@partner.example",
                    "emails": [{"value": "paul@partner.example", "primary": True}],
                },
            )
            appears(one, "paul")
            for _ in range(100):
                mine = [
                    run
                    for run in server.ask("flow_runs/filter")
                    if "by-inbox" in run["tags"] and run["state_type"] != "RUNNING"
                ]
                if mine:
                    break
                time.sleep(0.1)
            assert mine
            assert {run["state_type"] for run in mine} == {"COMPLETED"}
            rows = server.ask("artifacts/filter", artifacts={"flow_run_id": {"any_": [mine[0]["id"]]}})
            assert {row["key"] for row in rows} == {"plan"}
        finally:
            client.close()
            served.terminate()
            served.wait(60)
