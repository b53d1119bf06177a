"""A tenant over HTTP that lies or is gone: exit 3, its line says why, nobody is removed, the other tenant goes on."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest

from sandbox.serve import Sandbox
from tests.company import CONFIG, Company, people, seed

SCIM = """\
  partner:
    kind: scim
    mode: live
    url: "{partner}"
    token: env:COMPANY_PARTNER
    verified_domains: [partner.example]
targets:"""


class Handler(BaseHTTPRequestHandler):
    """A small SCIM service with a fault."""

    fault: ClassVar[str] = ""
    users: ClassVar[list[dict[str, Any]]] = [
        {"id": f"p{place}", "userName": f"pat{place}@partner.example", "active": True, "emails": [{"value": f"pat{place}@partner.example", "primary": True}]}
        for place in range(6)
    ]  # fmt: skip
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """One listing, or its fault."""
        parts = urlsplit(self.path)
        asked = parse_qs(parts.query)
        rows = self.users if parts.path.endswith("/Users") else []
        start = int(asked.get("startIndex", ["1"])[0])
        status, kind = 200, "application/scim+json"
        body = json.dumps({"totalResults": len(rows), "startIndex": start, "Resources": rows[start - 1 :]}).encode()
        if self.fault == "wrong token":
            status, body = 401, b'{"detail": "no"}'
        if self.fault == "a web page":
            kind, body = "text/html", b"<!doctype html><title>Sign in</title>"
        if self.fault == "cut short":
            body = body[: len(body) // 2]
        if self.fault == "an empty list":
            body = json.dumps({"totalResults": 0, "Resources": []}).encode()
        if self.fault == "fewer than it counts":
            body = json.dumps({"totalResults": len(rows), "Resources": rows[:2] if start == 1 else []}).encode()
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def company(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Company]:
    """Corp in files, a partner over SCIM, both in line with the targets."""
    from connectors import http

    monkeypatch.setattr(http, "_backoff", lambda _attempt: 0.01)
    monkeypatch.setenv("COMPANY_PARTNER", "t0ken-of-partner")
    monkeypatch.setattr(Handler, "fault", "")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with Sandbox({"jira": seed(), "confluence": seed()}, rate=None) as box:
        one = Company(tmp_path / "acme", box, people(5))
        text = CONFIG.replace("targets:", SCIM.replace("{partner}", f"http://127.0.0.1:{server.server_port}"), 1)
        one.write(text.replace("[corp, hr]", "[corp, partner, hr]"))
        one.adopt()
        box.reset_audit()
        yield one
    server.shutdown()
    server.server_close()


FAULTS = {
    "wrong token": "401",
    "a web page": "web page",
    "cut short": "cut short",
    "an empty list": "",
    "fewer than it counts": "2",
    "gone": "could not be sent",
}


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_a_tenant_that_lies_takes_nobody_with_it(company: Company, fault: str, monkeypatch: pytest.MonkeyPatch):
    """Its people stay, its line names the reason and shows no secret, a leaver of corp is deactivated all the same."""
    assert "pat0" in company.holds()["jira"]["users"]
    monkeypatch.setattr(Handler, "fault", fault)
    path = company.folder / "onefold.yaml"
    if fault == "gone":
        text = path.read_text(encoding="utf-8")
        start = text.index('url: "http://127.0.0.1:')
        path.write_text(text[:start] + 'url: "http://127.0.0.1:9"' + text[text.index("\n", start) :], encoding="utf-8")
    company.change("c001", active=False)
    company.table(
        "corp.csv",
        ["id", "user_name", "email", "display_name", "active"],
        [[e.id, e.name, e.email, e.name.title(), "yes" if e.active else "no"] for e in company.people],
    )
    code, document, err = company.run("sync", "--apply")
    line = next(each for each in document["extracts"] if each["tenant"] == "partner")
    assert code == 3, (document["counts"], err)
    assert line["verdict"] != "complete"
    assert FAULTS[fault] in " ".join(line["reasons"]), line
    assert "t0ken" not in json.dumps(document) + err
    users = company.holds()["jira"]["users"]
    assert all(users[f"pat{place}"]["active"] for place in range(6))
    assert users["user001"]["active"] is False
