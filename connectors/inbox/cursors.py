"""Cursors of RFC 9865: where a page ended, sealed so that a client can neither read nor invent one. Nothing is kept for them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass

from connectors.inbox.wire import invalid

SECONDS = 3600
DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True)
class Bookmark:
    """The number (`born`) of the last record that was given."""

    born: int


class Cursors:
    """Writes and reads cursors with the store's own key. One tenant's cursor is no use to another: the tenant is part of the seal."""

    def __init__(self, key: bytes, tenant: str, clock: Callable[[], float] = time.time) -> None:
        self._key = hmac.digest(key, tenant.encode(), "sha256")
        self._clock = clock

    def write(self, asked: str, born: int) -> str:
        """A cursor after that record, for the same kind and filter; unreserved URL characters only."""
        text = f"{born}.{int(self._clock()) + SECONDS}".encode()
        return base64.urlsafe_b64encode(self._seal(asked, text) + text).decode().rstrip("=")

    def read(self, cursor: str, asked: str) -> Bookmark:
        """Back. ScimError 400 `invalidCursor` for one that we did not write for this request, `expiredCursor` for an old one."""
        try:
            raw = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except (UnicodeEncodeError, binascii.Error) as fault:
            raise invalid("the cursor is not one of ours", "invalidCursor") from fault
        seal, text = raw[:DIGEST_BYTES], raw[DIGEST_BYTES:]
        if not hmac.compare_digest(seal, self._seal(asked, text)):
            raise invalid("the cursor belongs to another request", "invalidCursor")
        born, _, until = text.partition(b".")
        if int(until) < self._clock():
            raise invalid("the cursor has expired; start again without one", "expiredCursor")
        return Bookmark(int(born))

    def _seal(self, asked: str, text: bytes) -> bytes:
        return hmac.digest(self._key, hashlib.sha256(asked.encode()).digest() + text, "sha256")[:DIGEST_BYTES]
