"""`onefold serve` as a process: conformance, kill -9, graceful stop, TLS, proxies."""

import json
import os
import random
import signal
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from connectors.inbox.stores import Database

pytestmark = pytest.mark.system
ONEFOLD = [sys.executable, "-m", "flows"]
ROOT = Path(__file__).parents[2]


class Served:
    """A served inbox in a folder; may be killed and started again."""

    def __init__(self, folder, *options, url=None):
        self.folder, self.options = folder, options
        self.environment = {**os.environ, **({"INBOX_DATABASE": url} if url else {})}
        kind = "{kind: inbox, store: env:INBOX_DATABASE}" if url else "{kind: inbox}"
        (folder / "onefold.yaml").write_text(f"directory: acme\ntenants: {{corp: {kind}, acq: {kind}}}\n")
        self.token = self.command("token", "new", "corp")["token"]
        self.process = None

    def command(self, *arguments):
        done = subprocess.run(
            [*ONEFOLD, *arguments, "--json", "--config", str(self.folder / "onefold.yaml")],
            cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def start(self):
        self.process = subprocess.Popen(
            [*ONEFOLD, "serve", "--port", "0", "--quiet", "--json", "--config", str(self.folder / "onefold.yaml"), *self.options],
            cwd=ROOT, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read()
        self.url = json.loads(line)["url"]
        return self

    def client(self, **more):
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {self.token}"}, timeout=30, **more)

    def end(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        try:
            return self.process.wait(40)
        finally:
            self.process.stdout.close()
            self.process.stderr.close()

    def kill(self):
        """Dead for certain."""
        if self.process is not None and self.process.poll() is None:
            self.end(signal.SIGKILL)


@pytest.fixture
def served(tmp_path, place):
    made = []

    def make(*options):
        made.append(Served(tmp_path, *options, url=place.url if isinstance(place, Database) else None).start())
        return made[-1]

    yield make
    for each in made:
        each.kill()


SQLITE = pytest.mark.parametrize("place", ["sqlite"], indirect=True)  # where the store makes no difference


@SQLITE
def test_scim2_tester_finds_no_error(served):
    """An independent conformance tester (scim2-tester) finds no error in discovery, resources, patches and filters."""
    pytest.importorskip("scim2_tester", reason="scim2-tester is in requirements-proof.lock")
    from scim2_client.engines.wsgi import WSGISCIMClient
    from scim2_tester import Status, check_server

    inbox = served()
    root, _, path = inbox.url.partition("/scim/v2")
    with httpx.Client(base_url=root, timeout=30) as http:

        def over_http(environ, start_response):
            """The tester's own HTTP engine needs a library that we do not have; this one passes its requests on over the wire."""
            headers = {name[5:].replace("_", "-"): value for name, value in environ.items() if name.startswith("HTTP_")}
            headers |= {"Content-Type": environ["CONTENT_TYPE"]} if environ.get("CONTENT_TYPE") else {}
            target = environ["PATH_INFO"] + (f"?{environ['QUERY_STRING']}" if environ.get("QUERY_STRING") else "")
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            answer = http.request(environ["REQUEST_METHOD"], target, headers=headers, content=body)
            start_response(f"{answer.status_code} {answer.reason_phrase}", list(answer.headers.items()))
            return [answer.content]

        headers = {"Authorization": f"Bearer {inbox.token}"}
        client = WSGISCIMClient(over_http, base_url=f"{root}/scim/v2{path}", headers=headers)
        client.discover()
        results = check_server(client)
    counted = {status.name: sum(each.status is status for each in results) for status in Status}
    print(counted)
    wrong = [f"{each.title}: {each.reason}" for each in results if each.status not in {Status.SUCCESS, Status.SKIPPED}]
    print("\n".join(wrong))
    assert wrong == []
    assert counted["SUCCESS"] > 50


def test_no_acknowledged_write_is_lost(served):
    """kill -9 under load, five times: every write that was answered is there afterwards, and log and live state agree."""
    inbox = served()
    acknowledged = {}
    chance = random.Random(7)
    for round_no in range(5):
        stop = threading.Event()

        def push(worker, round_no=round_no, stop=stop):
            with inbox.client() as http:
                place = 0
                while not stop.is_set():
                    name = f"u{round_no}-{worker}-{place}"
                    place += 1
                    try:
                        answer = http.post("/Users", json={"userName": name})
                        if answer.status_code == 201:
                            acknowledged[name] = (answer.json()["id"], None)
                            title = {"Operations": [{"op": "add", "path": "title", "value": name}]}
                            answer = http.patch(f"/Users/{acknowledged[name][0]}", json=title)
                            if answer.status_code == 200:
                                acknowledged[name] = (acknowledged[name][0], name)
                    except httpx.HTTPError:
                        return

        workers = [threading.Thread(target=push, args=(each,)) for each in range(4)]
        for each in workers:
            each.start()
        time.sleep(0.4 + chance.random() * 0.6)
        inbox.end(signal.SIGKILL)
        stop.set()
        for each in workers:
            each.join()
        inbox.start()
    assert len(acknowledged) > 200
    with inbox.client() as http:
        start, held = 1, {}
        while True:
            page = http.get("/Users", params={"startIndex": start, "count": 1000}).json()
            held |= {each["userName"]: (each["id"], each.get("title")) for each in page["Resources"]}
            start += page["itemsPerPage"]
            if start > page["totalResults"]:
                break
    for name, (native_id, title) in acknowledged.items():
        assert held[name][0] == native_id
        assert title is None or held[name][1] == title
    assert inbox.command("inbox", "rebuild", "corp")["equal"]


def test_a_stop_ends_no_request(served):
    """SIGTERM under load: requests under way are answered, the process ends with 0, the store is closed."""
    inbox = served()
    outcomes, broken = [], []

    def push(worker):
        with inbox.client() as http:
            for place in range(400):
                try:
                    outcomes.append(http.post("/Users", json={"userName": f"{worker}-{place}"}).status_code)
                except httpx.ConnectError:
                    return
                except httpx.RemoteProtocolError as error:
                    broken.append(str(error))
                    return

    workers = [threading.Thread(target=push, args=(each,)) for each in range(4)]
    for each in workers:
        each.start()
    time.sleep(0.5)
    code = inbox.end()
    for each in workers:
        each.join()
    assert code == 0
    assert set(outcomes) == {201}
    assert inbox.command("inbox", "rebuild", "corp")["users"] >= len(outcomes)
    assert len(broken) <= 4  # idle connections that were closed, one a worker at most
    assert not list(inbox.folder.glob(".onefold/inbox/*-wal"))


@SQLITE
def test_revoking_works_at_once(served):
    """A token revoked by another process is worth nothing from the next request on; a fresh one works at once."""
    inbox = served()
    with inbox.client() as http:
        assert http.get("/Users").status_code == 200
        inbox.command("token", "revoke", "corp")
        assert http.get("/Users").status_code == 401
        inbox.token = inbox.command("token", "new", "corp")["token"]
    with inbox.client() as http:
        assert http.get("/Users").status_code == 200


@SQLITE
def test_tls_and_proxy(served, tmp_path):
    """It speaks TLS with a given certificate; X-Forwarded-For counts only from a trusted proxy; addresses given out follow --public-url."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem",
         "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True,
    )  # fmt: skip
    inbox = served(
        "--tls-certificate", str(tmp_path / "cert.pem"), "--tls-key", str(tmp_path / "key.pem"),
        "--trusted-proxy", "127.0.0.1", "--public-url", "https://scim.acme.example",
    )  # fmt: skip
    assert inbox.url == "https://scim.acme.example/scim/v2"
    port = _port(inbox.process.pid)
    inbox.url = f"https://127.0.0.1:{port}/scim/v2"
    bound = inbox.command("token", "new", "corp", "--network", "203.0.113.0/24")["token"]
    with inbox.client(verify=ssl.create_default_context(cafile=tmp_path / "cert.pem")) as http:
        made = http.post("/Users", json={"userName": "ada"}).json()
        assert made["meta"]["location"].startswith("https://scim.acme.example/scim/v2/Users/")
        headers = {"Authorization": f"Bearer {bound}"}
        assert http.get("/Users", headers=headers).status_code == 401
        assert http.get("/Users", headers=headers | {"X-Forwarded-For": "203.0.113.5"}).status_code == 200


def _port(pid):
    inodes = {str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir()}
    for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if f"socket:[{fields[9]}]" in inodes and fields[3] == "0A":
            return int(fields[1].rpartition(":")[2], 16)
    pytest.fail("the process listens nowhere")
