"""Signed assertions (JWT, RFC 7519 and 7515) from private keys in PEM: what a certificate or a service account proves itself with."""

from __future__ import annotations

import base64
import json
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from core.errors import RefusedError

Algorithm = Literal["RS256", "PS256"]
LIVES_SECONDS = 540  # under ten minutes, which every vendor accepts; Okta and Google allow an hour
SKEW_SECONDS = 60  # our clock may be ahead of theirs
KEY_BLOCK = re.compile(r"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.*?-----END \1-----", re.DOTALL)
KEY_REMEDY = "Give a PEM file with an unencrypted RSA private key"


@dataclass(frozen=True)
class Signer:
    """An RSA private key and, where there is one, its certificate."""

    key: rsa.RSAPrivateKey
    certificate: x509.Certificate | None = None

    def __repr__(self) -> str:
        return "Signer(***)"

    @property
    def thumbprint(self) -> str:
        """`x5t#S256` (RFC 7515, 4.1.8): the certificate's SHA-256. ValueError without a certificate."""
        if self.certificate is None:
            raise ValueError("there is no certificate")
        return encoded(self.certificate.fingerprint(hashes.SHA256()))

    @property
    def ends_at(self) -> datetime | None:
        """When the certificate ends, in UTC without zone."""
        return self.certificate.not_valid_after_utc.replace(tzinfo=None) if self.certificate else None

    def signed(self, claims: Mapping[str, Any], *, algorithm: Algorithm, **header: str) -> str:
        """The claims as a compact JWT."""
        head = {"alg": algorithm, "typ": "JWT", **header}
        text = f"{encoded(_json(head))}.{encoded(_json(claims))}"
        scheme: padding.AsymmetricPadding = padding.PKCS1v15()
        if algorithm == "PS256":  # RFC 7518, 3.5: the salt is as long as the hash
            scheme = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=hashes.SHA256.digest_size)
        return f"{text}.{encoded(self.key.sign(text.encode(), scheme, hashes.SHA256()))}"


def signer(pem: str, *, place: Mapping[str, Any], field: str) -> Signer:
    """Reads a key, and the certificate that belongs to it where the text holds one. RefusedError names tenant and field."""
    block = KEY_BLOCK.search(pem)
    try:
        key = load_pem_private_key((block[0] if block else pem).encode(), password=None)
    except (ValueError, TypeError) as error:  # TypeError: it is encrypted
        problem = "is encrypted" if isinstance(error, TypeError) else "holds no private key that can be read"
        raise RefusedError(problem, field=field, remedy=KEY_REMEDY, **place) from None  # its text may quote the key
    if not isinstance(key, rsa.RSAPrivateKey):
        raise RefusedError("holds a key that is not RSA", field=field, remedy=KEY_REMEDY, **place)
    if "BEGIN CERTIFICATE" not in pem:
        return Signer(key)
    try:
        chain = x509.load_pem_x509_certificates(pem.encode())
    except ValueError:
        raise RefusedError("holds a certificate that cannot be read", field=field, remedy=KEY_REMEDY, **place) from None
    ours = key.public_key().public_numbers()
    for each in chain:
        public = each.public_key()
        if isinstance(public, rsa.RSAPublicKey) and public.public_numbers() == ours:
            return Signer(key, each)
    raise RefusedError(
        "holds a certificate of another key",
        field=field,
        remedy="Put key and certificate that belong together",
        **place,
    )


def client_assertion(
    made_by: Signer,
    *,
    client_id: str,
    audience: str,
    algorithm: Algorithm = "RS256",
    header: Mapping[str, str] | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Callable[[], str]:
    """Makes a fresh assertion each time (RFC 7523, 3): we are `client_id`, and speak to `audience`."""

    def make() -> str:
        at = int(now().timestamp())
        claims = {
            "iss": client_id,
            "sub": client_id,
            "aud": audience,
            "jti": str(uuid.uuid4()),
            "iat": at - SKEW_SECONDS,
            "nbf": at - SKEW_SECONDS,
            "exp": at + LIVES_SECONDS,
        }
        return made_by.signed(claims, algorithm=algorithm, **(header or {}))

    return make


def service_account(
    made_by: Signer,
    *,
    email: str,
    subject: str | None,
    scopes: tuple[str, ...],
    audience: str,
    key_id: str | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Callable[[], str]:
    """An assertion of a Google service account that acts for `subject`, an administrator (domain-wide delegation).

    developers.google.com/identity/protocols/oauth2/service-account: RS256, at most an hour.
    """

    def make() -> str:
        at = int(now().timestamp())
        claims = {"iss": email, "scope": " ".join(scopes), "aud": audience, "iat": at, "exp": at + LIVES_SECONDS}
        if subject:
            claims["sub"] = subject
        return made_by.signed(claims, algorithm="RS256", **({"kid": key_id} if key_id else {}))

    return make


def encoded(content: bytes) -> str:
    """Base64 for URLs, without padding (RFC 7515, 2)."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
