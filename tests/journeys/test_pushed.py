"""A partner pushes SCIM; Jira ends right: users appear, a leaver is deactivated on the partner's explicit word, silence removes nobody."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from sandbox.serve import Sandbox
from tests.company import CONFIG, ROOT, Company, people, seed

INBOX = """\
  partner:
    kind: inbox
    mode: live
    may: [create, update, deactivate, groups, attributes]
    verified_domains: [partner.example]
targets:"""
SOON = "run: {{scheduled: apply_safe, after_push: {{reduction: 1s, quiet: 2s, most: 4s}}}}\n"


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    """Corp in files, a partner that pushes; nothing adopted yet."""
    with Sandbox({"jira": seed(), "confluence": seed()}, rate=None) as box:
        one = Company(tmp_path / "acme", box, people(3))
        one.write(CONFIG.replace("targets:", INBOX, 1).replace("[corp, hr]", "[corp, partner, hr]") + SOON)
        yield one


@contextmanager
def serving(company: Company, option: str) -> Iterator[httpx.Client]:
    """A provider's client against an `onefold serve` of its own."""
    token = company.run("token", "new", "partner")[1]["token"]
    config = str(company.folder / "onefold.yaml")
    served = subprocess.Popen(
        [sys.executable, "-m", "flows", "serve", "--port", "0", "--quiet", "--json", "--config", config, option],
        cwd=ROOT,
        env={**os.environ, **company.environment},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert served.stdout is not None
    try:
        url = json.loads(served.stdout.readline())["url"]
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=url, headers=headers, timeout=30) as client:
            yield client
    finally:
        served.terminate()
        served.wait(30)
        served.stdout.close()


@pytest.fixture(params=["--no-sync"])
def push(company: Company, request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    """The provider's client against `onefold serve`, whose runner is on where the test asks for it."""
    with serving(company, request.param) as client:
        yield client


def pushed(client: httpx.Client, name: str) -> str:
    """Creates a user as a provider does; returns its id."""
    answer = client.post(
        "Users",
        json={
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "userName": f"{name}@partner.example",
            "displayName": name.title(),
            "active": True,
            "emails": [{"value": f"{name}@partner.example", "primary": True, "type": "work"}],
        },
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def test_pushed_people_reach_jira_and_leave_it(company: Company, push: httpx.Client):
    """Create, adopt, deactivate by PATCH, delete; filling until sealed, and then nobody else is touched."""
    ids = {name: pushed(push, name) for name in ("pia", "paul", "petra")}
    _, plan, _ = company.run("plan")
    company.run("approve", plan["digest"])
    company.run("apply", plan["digest"])
    users = company.holds()["jira"]["users"]
    assert {"pia", "paul", "petra", "user000"} <= set(users)
    assert company.run("inbox", "seal", "partner")[0] == 0
    operation = {"op": "Replace", "path": "active", "value": "False"}
    body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [operation]}
    assert push.patch(f"Users/{ids['paul']}", json=body).status_code in {200, 204}
    assert push.delete(f"Users/{ids['petra']}").status_code == 204
    code, document, err = company.run("sync", "--apply")
    users = company.holds()["jira"]["users"]
    assert (users["paul"]["active"], users["petra"]["active"], users["pia"]["active"]) == (False, False, True), (
        document,
        err,
    )
    assert {each["evidence"] for each in document["changes"]} == {"explicit"}
    assert code == 0, document["extracts"]
    company.box.reset_audit()
    company.run("sync", "--apply")
    assert not company.box.audit("jira")["writes"]


def users_of(company: Company) -> dict[str, bool]:
    """User names of Jira and whether they are active."""
    return {name: user["active"] for name, user in company.holds()["jira"]["users"].items()}


def until(company: Company, wanted: dict[str, bool], seconds: float = 60) -> dict[str, bool]:
    """Waits until Jira holds those users so."""
    end = time.monotonic() + seconds
    while True:
        there = users_of(company)
        if wanted.items() <= there.items() or time.monotonic() > end:
            assert wanted.items() <= there.items(), there
            return there
        time.sleep(0.1)


@pytest.mark.parametrize("push", ["--sync"], indirect=True)
def test_a_push_is_written_without_anybody_running_anything(company: Company, push: httpx.Client):
    """The inbox runs the sync itself: a joiner appears, a leaver goes; who came and went within the window is never written."""
    company.adopt()  # before the first push: from then on the runner may be at work
    pushed(push, "pia")
    joined = pushed(push, "paul")
    until(company, {"pia": True, "paul": True})
    assert company.run("inbox", "seal", "partner")[0] == 0
    company.box.reset_audit()
    brief = pushed(push, "petra")
    assert push.delete(f"Users/{brief}").status_code == 204
    operation = {"op": "replace", "path": "active", "value": False}
    body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [operation]}
    assert push.patch(f"Users/{joined}", json=body).status_code in {200, 204}
    there = until(company, {"paul": False})
    assert "petra" not in there
    assert there["pia"]
    assert {run["kind"] for run in company.run("history")[1]["runs"]} >= {"sync"}
