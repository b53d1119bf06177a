"""Faults come as scripted, the wire carries many at once, and the command serves until it is told to end."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from sandbox import faults
from sandbox.people import existing
from sandbox.serve import Sandbox

ROOT = Path(__file__).parent.parent.parent
USER = {"name": "fresh", "emailAddress": "f@corp.example", "displayName": "F", "applicationKeys": []}


@pytest.fixture
def box():
    with Sandbox() as running:
        yield running


@pytest.fixture
def jira(box):
    headers = {"Authorization": f"Bearer {box.jira.token}"}
    with httpx.Client(base_url=f"{box.jira.url}/rest/api/2", headers=headers, trust_env=False, timeout=5) as client:
        yield client


def names(box):
    return {each["name"] for each in box.state("jira")["users"]}


def test_statuses_come_when_called_for(box, jira):
    """The n-th, a range, every k-th; with Retry-After and without."""
    box.faults(
        [
            {
                "target": "jira",
                "path": "/rest/api/2/serverInfo",
                "call": 2,
                "fault": "status",
                "status": 429,
                "retry_after": 7,
            },
            {"target": "jira", "path": "/myself", "call": [2, 3], "fault": 503},
            {"path": "/user/*", "method": "get", "every": 2, "fault": "status", "status": 500},
            {"target": "confluence", "fault": 502},
        ]
    )
    info = [jira.get("/serverInfo") for _ in range(3)]
    assert [each.status_code for each in info] == [200, 429, 200]
    assert info[1].headers["Retry-After"] == "7"
    assert [jira.get("/myself").status_code for _ in range(4)] == [200, 503, 503, 200]
    assert [jira.get("/user/list").status_code for _ in range(4)] == [200, 500, 200, 500]
    assert httpx.get(f"{box.confluence.url}/rest/api/group", trust_env=False).status_code == 502
    box.faults([{"fault": "status", "status": 429}])
    jira.cookies.clear()
    assert "Retry-After" not in jira.get("/myself").headers
    box.faults([])
    assert jira.get("/myself").status_code == 200


def test_a_page_of_a_proxy_is_no_json(box, jira):
    """HTML with 200, as a login page comes."""
    box.faults([{"fault": "html"}])
    answer = jira.get("/myself")
    assert (answer.status_code, answer.headers["Content-Type"][:9]) == (200, "text/html")


@pytest.mark.parametrize(("fault", "there"), [("reset_before", False), ("reset_after", True)])
def test_a_reset_loses_the_answer_and_maybe_the_write(box, jira, fault, there):
    """The connection breaks without an answer; afterwards the user is there or not, and the audit knows."""
    box.faults([{"method": "POST", "path": "/user", "call": 1, "fault": fault}])
    with pytest.raises(httpx.TransportError):
        jira.post("/user", json=USER)
    assert ("fresh" in names(box)) is there
    found = box.audit("jira")
    assert (found["writes"], found["effects"]) == (int(there), int(there))
    assert (found["log"][0]["status"], found["log"][0]["fault"]) == (0, fault)
    assert jira.post("/user", json=USER).status_code == (400 if there else 201)


def test_a_status_can_come_after_the_effect(box, jira):
    """A gateway that gives up does not undo the write."""
    box.faults([{"method": "POST", "fault": "status", "status": 502, "when": "after"}])
    assert jira.post("/user", json=USER).status_code == 502
    assert "fresh" in names(box)


def test_half_a_body_is_no_answer(box, jira):
    """The length promised never comes."""
    box.faults([{"path": "/user/list", "call": 1, "fault": "truncate"}])
    with pytest.raises(httpx.RemoteProtocolError):
        jira.get("/user/list")
    assert len(jira.get("/user/list").json()["values"]) == 150


def test_a_page_comes_twice(box, jira):
    """The second page asked for is the first again, cursor and all."""
    box.faults([{"path": "/user/list", "call": 2, "fault": "repeat_page"}])
    first = jira.get("/user/list?maxResults=10").json()
    asked = f"/user/list?maxResults=10&cursor={first['nextCursor']}"
    assert jira.get(asked).json() == first
    assert jira.get(asked).json() != first


def test_an_answer_comes_late(box, jira):
    """A client that waits less than the delay gives up, and the write is had all the same."""
    box.faults([{"method": "POST", "fault": "timeout", "seconds": 0.4}])
    with pytest.raises(httpx.ReadTimeout):
        jira.post("/user", json=USER, timeout=0.1)
    until = time.monotonic() + 5
    while "fresh" not in names(box):
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_process_is_killed_at_its_write(box, jira, tmp_path, when):
    """SIGKILL to the process in the file, the effect had or not; no answer to anybody."""
    with subprocess.Popen(["sleep", "60"]) as victim:
        (tmp_path / "pid").write_text(f"{victim.pid}\n")
        box.faults([{"method": "POST", "fault": "kill", "when": when, "pid_file": str(tmp_path / "pid")}])
        with pytest.raises(httpx.TransportError):
            jira.post("/user", json=USER)
        assert victim.wait(5) == -signal.SIGKILL
    assert ("fresh" in names(box)) is (when == "after")


@pytest.mark.parametrize(
    "wrong",
    [
        {"fault": "fire"},
        {"fault": "status"},
        {"fault": "kill"},
        {"fault": "html", "colour": 1},
        {"fault": "html", "when": "never"},
        {},
    ],
)
def test_a_wrong_rule_is_refused_and_the_old_ones_stay(box, jira, wrong):
    """ValueError in the process, 400 over HTTP."""
    box.faults([{"fault": 503}])
    with pytest.raises(ValueError, match=r"\w"):
        box.faults([wrong])
    assert httpx.post(f"{box.jira.url}/_onefold/faults", json=[wrong], trust_env=False).status_code == 400
    assert jira.get("/myself").status_code == 503
    assert httpx.post(f"{box.jira.url}/_onefold/faults", json=[], trust_env=False).status_code == 204
    assert jira.get("/myself").status_code == 200


def test_a_script_is_read_from_yaml(tmp_path):
    """A list of rules, or what is wrong with it."""
    path = tmp_path / "faults.yaml"
    path.write_text('- {target: jira, method: POST, path: "/user", call: [1, 3], fault: reset_after}\n')
    [found] = faults.read(path)
    assert faults.rule(found) == faults.Rule("reset_after", "jira", "POST", "/user", 1, 3, when="after")
    path.write_text("target: jira\n")
    with pytest.raises(ValueError, match="a list of rules"):
        faults.read(path)


def test_eight_at_once_lose_nothing(box):
    """Eight connections write at the same time: every user is there, with a key of their own, and every request counted."""
    box.reset_audit()

    def work(worker):
        headers = {"Authorization": f"Bearer {box.jira.token}"}
        with httpx.Client(base_url=f"{box.jira.url}/rest/api/2", headers=headers, trust_env=False) as client:
            for place in range(40):
                name = f"w{worker}-{place}"
                assert client.post("/user", json={**USER, "name": name}).status_code == 201
                assert client.post("/group/user?groupname=qa", json={"name": name}).status_code == 201

    began = time.monotonic()
    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert 640 / (time.monotonic() - began) > 100  # 1400 a second on two cores; a tenth of it is a fault of ours
    made = [each for each in box.state("jira")["users"] if each["name"].startswith("w")]
    assert (len(made), len({each["key"] for each in made})) == (320, 320)
    assert box.audit("jira")["effects"] == box.audit("jira")["writes"] == len(box.audit("jira")["log"]) == 640


def test_connections_end_with_the_sandbox():
    """A client that held one open is refused afterwards, not answered from the past."""
    with httpx.Client(trust_env=False) as client:
        with Sandbox() as box:
            assert client.get(f"{box.jira.url}/rest/api/2/serverInfo").status_code == 200
        with pytest.raises(httpx.TransportError):
            client.get(f"{box.jira.url}/rest/api/2/serverInfo")


def test_the_seeded_people_are_the_same_again():
    """The same seed gives the same world, another another; every oddity is in it."""
    world = existing(1, 150)
    assert world == existing(1, 150) != existing(2, 150)
    for product in ("jira", "confluence"):
        users = world[product]["users"]
        assert len({each["name"].lower() for each in users}) == 150
        assert len(world[product]["groups"]) == 12
        assert {each["directory"] for each in users} == {"internal", "ldap"}
        assert {each["active"] for each in users} == {True, False}
    with Sandbox(world) as one, Sandbox(world) as other:
        assert [one.state(each) == other.state(each) for each in ("jira", "confluence")] == [True, True]


def test_the_command_prints_one_line_and_serves_until_told(tmp_path):
    """One line of JSON on standard output, faults from a file in force, end on SIGTERM."""
    script = tmp_path / "faults.yaml"
    script.write_text("- {target: jira, path: /myself, fault: 503}\n")
    code = "import sys; from pathlib import Path; from sandbox.serve import serve; serve(faults=Path(sys.argv[1]), seed=3, users=20, port=0, version='11')"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", code, str(script)], stdout=subprocess.PIPE, env=environment, text=True
    ) as process:
        try:
            found = json.loads(process.stdout.readline())
            assert {name: each["kind"] for name, each in found.items()} == {
                "jira": "jira_dc",
                "confluence": "confluence_dc",
                "graph": "entra",
                "onelogin": "onelogin",
                "jumpcloud": "jumpcloud",
                "pingone": "pingone",
                "auth0": "auth0",
            }
            headers = {"Authorization": f"Bearer {found['jira']['token']}"}
            with httpx.Client(base_url=f"{found['jira']['url']}/rest/api/2", headers=headers, trust_env=False) as jira:
                assert jira.get("/myself").status_code == 503
                assert jira.get("/serverInfo").json()["version"].startswith("11.")
                assert len(jira.get("/user/list").json()["values"]) == 20
            process.send_signal(signal.SIGTERM)
            assert process.stdout.read() == ""
            assert process.wait(10) == 0
        finally:
            process.kill()  # else a failure above waits for ever for a server that serves
