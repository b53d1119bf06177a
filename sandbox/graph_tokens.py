"""Who may ask the Graph stand-in: app registrations, the login endpoint's answers, and tokens. What they may see is decided in `graph`."""

from __future__ import annotations

import base64
import binascii
import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from sandbox.wire import Answer, Request

LIVES_SECONDS = 3599
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
CODES = {
    "tenant": (400, "invalid_request", 90002, "Tenant '{0}' not found. Check to make sure you have the correct tenant ID."),
    "client": (
        400,
        "unauthorized_client",
        700016,
        "Application with identifier '{0}' was not found in the directory.",
    ),
    "secret": (401, "invalid_client", 7000215, "Invalid client secret provided. Ensure the secret being sent is the client secret value, not the client secret ID."),
    "ended": (401, "invalid_client", 7000222, "The provided client secret keys for app '{0}' are expired."),
    "assertion": (401, "invalid_client", 700027, "The certificate with identifier used to sign the client assertion is not registered on application. {0}"),
    "scope": (400, "invalid_scope", 70011, "The provided value for the input parameter 'scope' is not valid. The scope {0} is not valid."),
    "resource": (400, "invalid_resource", 500011, "The resource principal named {0} was not found in the tenant."),
    "grant": (400, "unsupported_grant_type", 70003, "The app requested an unsupported grant type '{0}'."),
}  # fmt: skip


@dataclass
class App:
    """An app registration with what an admin consented to, and the secret or certificate (PEM) that proves it."""

    client_id: str
    tenant_id: str
    roles: frozenset[str]
    secret: str | None = None
    certificate: str | None = None
    secret_ended: bool = False
    secret_ends: str | None = None


@dataclass(frozen=True)
class Grant:
    """What a token stands for."""

    client_id: str
    tenant_id: str
    roles: frozenset[str]
    audience: str
    ends: float


@dataclass
class Login:
    """The login endpoint of one cloud. `audience` gives the only resource for which it gives tokens, `here` its own address."""

    audience: Callable[[], str]
    here: Callable[[], str]
    clock: Callable[[], float] = time.time
    apps: dict[str, App] = field(default_factory=dict)
    tokens: dict[str, Grant] = field(default_factory=dict)
    tenants: set[str] = field(default_factory=set)
    used: set[str] = field(default_factory=set)

    def revoke(self) -> None:
        """Ends every token that was given out."""
        self.tokens.clear()

    def answer(self, request: Request) -> Answer:
        """`POST /{tenant}/oauth2/v2.0/token`."""
        form = {name: values[0] for name, values in parse_qs(request.body.decode(), keep_blank_values=True).items()}
        tenant = request.params["tenant"]
        if tenant not in self.tenants:
            return self._refused("tenant", tenant)
        if form.get("grant_type") != "client_credentials":
            return self._refused("grant", form.get("grant_type", ""))
        app = self.apps.get(form.get("client_id", ""))
        if app is None or app.tenant_id != tenant:
            return self._refused("client", form.get("client_id", ""))
        scope = form.get("scope", "")
        if not scope.endswith("/.default"):
            return self._refused("scope", scope)
        if scope.removesuffix("/.default") != self.audience():
            return self._refused("resource", scope.removesuffix("/.default"))
        if why := self._unproven(app, form, tenant):
            return why
        return Answer(
            200,
            {
                "token_type": "Bearer",
                "expires_in": LIVES_SECONDS,
                "ext_expires_in": LIVES_SECONDS,
                "access_token": self.given(app),
            },
        )

    def given(self, app: App) -> str:
        """A fresh token of an app."""
        now = self.clock()
        claims = {
            "aud": self.audience(),
            "iss": f"{self.here()}/{app.tenant_id}/",
            "iat": int(now),
            "nbf": int(now),
            "exp": int(now) + LIVES_SECONDS,
            "appid": app.client_id,
            "idtyp": "app",
            "roles": sorted(app.roles),
            "tid": app.tenant_id,
            "uti": uuid.uuid4().hex,
            "ver": "1.0",
        }
        token = ".".join(_encoded(json.dumps(each).encode()) for each in ({"alg": "RS256", "typ": "JWT"}, claims))
        token += "." + _encoded(uuid.uuid4().bytes)
        self.tokens[token] = Grant(app.client_id, app.tenant_id, app.roles, self.audience(), now + LIVES_SECONDS)
        return token

    def grant(self, request: Request) -> Grant | None:
        """What the request's bearer token stands for, while it lives."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        found = self.tokens.get(token.strip()) if scheme.lower() == "bearer" else None
        return found if found and found.ends > self.clock() else None

    def _unproven(self, app: App, form: dict[str, str], tenant: str) -> Answer | None:
        if form.get("client_assertion_type") == ASSERTION:
            problem = self._flaw(app, form.get("client_assertion", ""), tenant)
            return self._refused("assertion", problem) if problem else None
        if app.secret_ended:
            return self._refused("ended", app.client_id)
        return None if app.secret and form.get("client_secret") == app.secret else self._refused("secret", "")

    def _flaw(self, app: App, assertion: str, tenant: str) -> str:
        """What is wrong with a client assertion, empty for a sound one."""
        try:
            head, body, signature = (_decoded(part) for part in assertion.split("."))
            header, claims = json.loads(head), json.loads(body)
        except (ValueError, binascii.Error):
            return "It is no JWT."
        if app.certificate is None:
            return "No certificate is registered."
        certificate = x509.load_pem_x509_certificate(app.certificate.encode())
        if header.get("x5t#S256") != _encoded(certificate.fingerprint(hashes.SHA256())):
            return "The thumbprint is not known."
        key = certificate.public_key()
        scheme: padding.AsymmetricPadding = padding.PKCS1v15()
        if header.get("alg") == "PS256":
            scheme = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
        elif header.get("alg") != "RS256":
            return "The algorithm is not supported."
        try:
            if not isinstance(key, rsa.RSAPublicKey):
                return "The key is not RSA."
            key.verify(signature, assertion.rpartition(".")[0].encode(), scheme, hashes.SHA256())
        except InvalidSignature:
            return "The signature is not valid."
        return self._wrong_claim(app, claims, tenant)

    def _wrong_claim(self, app: App, claims: dict[str, Any], tenant: str) -> str:
        now = self.clock()
        if claims.get("iss") != app.client_id or claims.get("sub") != app.client_id:
            return "iss and sub must be the client id."
        if claims.get("aud") != f"{self.here()}/{tenant}/oauth2/v2.0/token":
            return "aud is not this endpoint."
        if not claims.get("nbf", now) <= now < claims.get("exp", 0) or claims["exp"] - now > 86_400:
            return "The assertion is not within its valid time range."
        if not claims.get("jti") or claims["jti"] in self.used:
            return "jti was used before."
        self.used.add(claims["jti"])
        return ""

    @staticmethod
    def _refused(what: str, word: str) -> Answer:
        status, error, code, text = CODES[what]
        ids = {"trace_id": str(uuid.uuid4()), "correlation_id": str(uuid.uuid4())}
        body = {"error": error, "error_description": f"AADSTS{code}: {text.format(word)}", "error_codes": [code], **ids}
        return Answer(status, body)


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
