"""`make campaign`: hostile bytes on the socket of a real `onefold serve`, as no HTTP library would send them; its log is read afterwards."""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from tests.campaign.hostile_requests import Maker
from tests.campaign.hostile_texts import PERSON, Words
from tests.campaign.inbox_rounds import UUID

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(0)]
ROOT = Path(__file__).parents[2]
SEED = int(os.environ.get("ONEFOLD_CAMPAIGN_SEED") or secrets.randbelow(10**6))
REQUESTS = int(os.environ.get("ONEFOLD_CAMPAIGN_REQUESTS", "100000")) // 20
BROKEN = (
    b"\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET /scim/v2/Users HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", b"GET /scim/v2/Users HTTP/1.1\r\nx: a\x00b\r\n\r\n",
    b"POST /scim/v2/Users HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", b"GET " + b"/" * 70_000 + b" HTTP/1.1\r\n\r\n",
    b"POST /scim/v2/Users HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nabcdef",
    b"POST /scim/v2/Users HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET /scim/v2/Users HTTP/1.1\r\n" + b"x: y\r\n" * 20_000 + b"\r\n", b"GET /scim/v2/\xff\xfe HTTP/1.1\r\nhost: a\r\n\r\n",
    b"GET /scim/v2/Users HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n", b"CONNECT evil.example:443 HTTP/1.1\r\nhost: a\r\n\r\n", b"GET http://evil.example/scim/v2/Users HTTP/1.1\r\nhost: a\r\n\r\n",
)  # fmt: skip


@pytest.fixture
def served(tmp_path):
    """A served inbox of two tenants: its port, their tokens, its process and the file of its log."""
    (tmp_path / "onefold.yaml").write_text("directory: acme\ntenants: {corp: {kind: inbox}, acq: {kind: inbox}}\n")
    config = ["--json", "--config", str(tmp_path / "onefold.yaml")]
    command = [sys.executable, "-m", "flows"]
    tokens = {}
    for tenant in ("corp", "acq"):
        made = subprocess.run([*command, "token", "new", tenant, *config], cwd=ROOT, capture_output=True, text=True, check=True)  # fmt: skip
        tokens[tenant] = json.loads(made.stdout)["token"]
    log = tmp_path / "serve.log"
    with log.open("w") as told:
        process = subprocess.Popen([*command, "serve", "--port", "0", *config], cwd=ROOT, stdout=subprocess.PIPE, stderr=told, text=True)  # fmt: skip
    try:
        port = int(json.loads(process.stdout.readline())["url"].split(":")[2].partition("/")[0])
        yield port, tokens, process, log
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def asked(port, content, *, half=False):
    """Status and headers and body of the answer to raw bytes; None when the connection was closed without one."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as wire:
        wire.sendall(content)
        if half:  # nothing more comes, not even the rest of a request
            wire.shutdown(socket.SHUT_WR)
        heard = b""
        while part := wire.recv(65_536):
            heard += part
    heard = heard.removeprefix(b"HTTP/1.1 100 \r\n\r\n").removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
    if not heard:
        return None
    head, _, body = heard.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    headers = dict(line.lower().split(b": ", 1) for line in lines[1:] if b": " in line)
    return int(lines[0].split()[1]), headers, body


def written(made, tokens):
    """The request as bytes, closed after the answer."""
    headers = [(name, value) for name, value in made.headers if b"\n" not in value and b"\r" not in value]
    if made.caller is not None:
        headers.append((b"authorization", f"Bearer {tokens[made.caller]}".encode()))
    if made.body and not any(name == b"content-length" for name, _ in headers):
        headers.append((b"content-length", str(len(made.body)).encode()))
    lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
    return f"{made.method} {made.target} HTTP/1.1\r\n".encode() + lines + b"connection: close\r\n\r\n" + made.body


def test_the_served_inbox_withstands_hostile_bytes(served):
    """No answer is a 500, errors of ours are SCIM documents, the process lives, stops in order, and its log names nobody."""
    port, tokens, process, log = served
    chance = Random(f"served-{SEED}")
    maker = Maker(chance, tokens, Words(chance))
    counted = Counter()
    for number in range(REQUESTS):
        if number < len(BROKEN) or chance.random() < 0.03:
            content, shown = BROKEN[number] if number < len(BROKEN) else chance.choice(BROKEN), "broken"
        else:
            made = maker.request()
            content, shown = written(made, tokens), made.shown()
        where = f"seed {SEED}, request {number}: {shown[:1000]}"
        try:
            answer = asked(port, content, half=shown == "broken")
        except (ConnectionResetError, BrokenPipeError):  # it would not read so much
            answer = None
        counted["closed" if answer is None else str(answer[0])] += 1
        if answer is None:
            continue
        status, headers, body = answer
        assert status < 500 or status == 501, f"{where}\n{status} {body[:500]!r}"
        ours = headers.get(b"content-type") == b"application/scim+json"
        unheard = status == 400 and b"Invalid HTTP request received." in body  # the HTTP parser's, before any route
        assert ours or unheard or status in {200, 204, 304}, f"{where}\n{status} {headers} {body[:500]!r}"
        if ours and status == 201:
            held = maker.known.setdefault(made.caller, {}).setdefault("Groups" if b"/groups/" in headers[b"location"] else "Users", [])  # fmt: skip
            held.append(json.loads(body)["id"])
    print(
        f"served inbox: {sum(counted.values()):,} requests on the socket, seed {SEED}: {dict(sorted(counted.items()))}"
    )
    assert asked(port, b"GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")[0] == 200
    process.send_signal(signal.SIGTERM)
    assert process.wait(40) == 0
    lines = log.read_text().splitlines()
    assert len(lines) > REQUESTS * 0.5
    for line in lines:
        assert PERSON not in line.lower(), line
        assert "@" not in line, line
        assert not UUID.search(line.encode()), line
        assert "Traceback" not in line, line
