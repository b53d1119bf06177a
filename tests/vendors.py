"""Stand-ins of identity providers behind a mock transport: no socket, and a place to tamper with what they say."""

import json
from datetime import UTC, datetime
from urllib.parse import parse_qs

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from sandbox.wire import Request, encoded

BASE = "http://vendor.example"


class Wire:
    """An httpx transport in front of a stand-in (`sandbox.vendor.Vendor`), and a log of what went over it.

    `before(request, number)` may answer instead (an httpx.Response) or raise; `after(request, response)` may replace.
    """

    def __init__(self, standin, before=None, after=None):
        standin.url = BASE
        self.standin, self.before, self.after = standin, before, after
        self.asked = []

    def transport(self):
        return httpx.MockTransport(self.answer)

    def answer(self, request):
        self.asked.append(request)
        if self.before and (early := self.before(request, len(self.asked))) is not None:
            return early
        response = self.served(request)
        return self.after(request, response) if self.after else response

    def served(self, request):
        """What the stand-in says, untampered."""
        found = self.standin.answer(
            Request(
                method=request.method,
                path=request.url.path,
                raw_path=str(request.url.raw_path.partition(b"?")[0], "ascii"),
                query=parse_qs(str(request.url.query, "ascii"), keep_blank_values=True),
                headers={name.lower(): value for name, value in request.headers.items()},
                body=request.content,
            )
        )
        headers = {**found.headers, "content-type": found.content_type}
        return httpx.Response(found.status, content=encoded(found.body), headers=headers)

    @property
    def paths(self):
        """Path and query of every request, decoded."""
        return [f"{each.method} {each.url.path}" for each in self.asked]


def changed(response, change):
    """The response with its JSON body changed in place."""
    body = json.loads(response.content)
    change(body)
    return httpx.Response(response.status_code, json=body)


def certificate(*, bare=False, key_of=None):
    """A fresh RSA key in PEM, with a certificate of it (or of another key)."""
    key = rsa.generate_private_key(65_537, 2_048)
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    if not bare:
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "onefold")])
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key((key_of or key).public_key())
            .serial_number(1)
            .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
            .not_valid_after(datetime(2028, 1, 1, tzinfo=UTC))
            .sign(key_of or key, hashes.SHA256())
        )
        text += made.public_bytes(serialization.Encoding.PEM).decode()
    return key, text


class Trouble:
    """The faults of the contract suite on the wire of a stand-in that lists users page by page.

    `users(request)`: whether it asks for a page of users; `login(request)`: whether it asks for a token; `rows(body)`: the
    list in the body; `after(request, response)`: the request of the next page; `revoke()` ends the token that lives,
    `forget()` lets nobody in again; `throttled`: form → answer; `nameless`: records without an id for the first page.
    """

    def __init__(
        self, fault, wire, *, users, rows, after, throttled, login=None, revoke=None, forget=None, nameless=()
    ):
        self.kind, _, self.form = (fault or "").partition(":")
        self.wire, self.users, self.rows, self.next_of = wire, users, rows, after
        self.login, self.revoke, self.forget, self.throttled = login, revoke, forget, throttled
        self.nameless, self.pages, self.last = list(nameless), 0, None
        wire.before, wire.after = self.before, self.changed

    def before(self, request, number):
        users = self.users(request)
        self.pages += users
        if self.kind == "unauthorised" and (users if self.login is None else self.login(request)):
            return httpx.Response(
                401, json={"error": "access_denied", "error_description": "s3cr3t-of-the-rig is wrong"}
            )
        if self.kind == "gone" and users:
            return httpx.Response(404, json={"message": "no such thing"})
        if self.kind == "timeout" or (self.kind == "slow_once" and users and self.pages == 2):
            raise httpx.ReadTimeout("too late")
        if self.kind == "revoked" and users and self.pages > 1:
            self.forget()
        if self.kind == "token_ends" and users and self.pages == 2:
            self.revoke()
        if self.kind == "throttled" and users and self.pages in {2, 3}:
            return self.throttled[self.form]()
        if users and self.pages > 1 and self.kind in {"html", "truncated"}:
            text = "<!DOCTYPE html><title>Sign in</title>" if self.kind == "html" else '[{"id": "u'
            return httpx.Response(200, text=text, headers={"content-type": "application/json"})
        return None

    def changed(self, request, response):
        if not self.users(request) or response.status_code != 200:
            return response
        if self.pages == 2 and self.kind == "dropped_page":
            return self.wire.served(self.next_of(request, response))
        body = json.loads(response.content)
        rows = self.rows(body)
        if self.pages == 1:
            rows += self.nameless
        if self.pages == 2 and self.kind == "repeated_page":
            rows[:] = self.last
        if self.kind == "changed_order":
            rows.reverse()
        self.last = list(rows)
        headers = {name: value for name, value in response.headers.items() if name != "content-length"}
        return httpx.Response(200, json=body, headers=headers)
