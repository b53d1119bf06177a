"""Addresses and credentials as they may be shown: where a URL leads, a request without its values, and what must be blotted out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

SECRET_HEADERS = frozenset({"authorization", "x-api-key"})


def origin(url: str) -> str:
    """Scheme, host and port: a credential never leaves it."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return f"{parts.scheme}://{parts.hostname}:{port}"


def shown(path: str, params: Mapping[str, Any] | None) -> str:
    """The path with the names of the query, never its values."""
    parts = urlsplit(path)
    names = [pair.partition("=")[0] for pair in parts.query.split("&") if pair] + list(params or {})
    return f"{parts.path}?{'&'.join(f'{name}=…' for name in names)}" if names else parts.path


def secrets_of(headers: Mapping[str, str], *more: str) -> tuple[str, ...]:
    """What must never be shown: credentials as they are sent, longest first."""
    sent = [*more, *(value for name, value in headers.items() if name.lower() in SECRET_HEADERS)]
    words = {word for each in sent for word in (each, each.rpartition(" ")[2]) if len(word) > 3}
    return tuple(sorted(words, key=lambda word: (-len(word), word)))
