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
