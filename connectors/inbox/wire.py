"""What goes over the wire: reading JSON under limits, SCIM error bodies, and the documents that answer."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any, NoReturn, cast

import orjson

from connectors.inbox.schema import ERROR
from core.model import JSON

CONTENT_TYPE = b"application/scim+json"
Doc = dict[str, Any]


class ScimError(Exception):
    """A refusal of one request: HTTP status, scimType of RFC 7644 table 9 (or RFC 9865) and a sentence for the admin."""

    def __init__(
        self,
        status: int,
        detail: str,
        scim_type: str | None = None,
        *,
        retry_after: int | None = None,
        allow: str | None = None,
    ) -> None:
        self.status = status
        self.detail = detail
        self.scim_type = scim_type
        self.retry_after = retry_after
        self.allow = allow
        super().__init__(detail)

    def body(self) -> bytes:
        """The error document (RFC 7644 section 3.12); `status` is a string there."""
        shown: dict[str, JSON] = {"schemas": [ERROR], "status": str(self.status), "detail": self.detail}
        if self.scim_type:
            shown["scimType"] = self.scim_type
        return orjson.dumps(shown)


def invalid(detail: str, scim_type: str = "invalidValue") -> ScimError:
    """A 400 answer."""
    return ScimError(400, detail, scim_type)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may cost. Bytes, levels, characters, terms, records, entries; see docs/inbox.md for the reasons."""

    body_bytes: int = 8 * 1024 * 1024
    nesting: int = 12
    filter_characters: int = 2048
    filter_terms: int = 40
    filter_depth: int = 10
    page: int = 100
    most: int = 1000
    operations: int = 1000
    members: int = 50_000
    values: int = 500
    text_characters: int = 65_536
    key_bytes: int = 2000  # of what is looked up: an entry of a PostgreSQL index takes 2,704
    target_bytes: int = 8192
    page_members: int = 200_000


def _pairs(pairs: list[tuple[str, Any]]) -> Doc:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise invalid("the body repeats a key within one object", "invalidSyntax")
    return made


def _constant(name: str) -> NoReturn:
    raise invalid(f"{name} is no JSON number", "invalidSyntax")


def _float(text: str) -> float:
    made = float(text)
    if math.isinf(made):
        raise invalid("a number is beyond what a double holds", "invalidSyntax")
    return made


_DECODER = json.JSONDecoder(object_pairs_hook=_pairs, parse_constant=_constant, parse_float=_float)


def read_object(body: bytes, limits: Limits) -> Doc:
    """The JSON object of a request body. ScimError 400 for anything else: bad UTF-8, repeated keys, depth, NaN, U+0000, lone surrogates."""
    try:
        text = body.decode("utf-8-sig")
        made = _DECODER.decode(text)
    except UnicodeDecodeError as fault:
        raise invalid("the body is not UTF-8", "invalidSyntax") from fault
    except RecursionError as fault:
        raise invalid("the body is nested too deeply", "invalidSyntax") from fault
    except ValueError as fault:
        raise invalid("the body is not valid JSON", "invalidSyntax") from fault
    if not isinstance(made, dict):
        raise invalid("the body must be a JSON object", "invalidSyntax")
    _weigh(made, limits, escaped="\\u" in text)
    return made


def _weigh(made: Doc, limits: Limits, *, escaped: bool) -> None:
    """Refuses depth over the limit, over-long texts, and characters that no store can hold. Walks level by level, never recursing."""
    level: list[Any] = [made]
    for _ in range(limits.nesting):
        below: list[Any] = []
        for each in level:
            below += each.values() if isinstance(each, dict) else each
        texts = [each for each in below if isinstance(each, str)]
        if any(len(each) > limits.text_characters for each in texts):
            raise invalid(f"a text is longer than {limits.text_characters} characters")
        if escaped:
            _legible(texts)
        level = [each for each in below if isinstance(each, dict | list)]
        if not level:
            return
    raise invalid(f"the body is nested deeper than {limits.nesting} levels", "invalidSyntax")


def _legible(texts: list[str]) -> None:
    joined = "".join(texts)
    if "\x00" in joined:
        raise invalid("the body holds the character U+0000")
    try:
        joined.encode()
    except UnicodeEncodeError as fault:
        raise invalid("the body holds half of a surrogate pair") from fault


def dumps(value: Any) -> bytes:
    """JSON bytes. Integers beyond 64 bit, which SCIM has no use for, are refused by the coercion before."""
    return orjson.dumps(value)


def dumps_text(value: Any) -> str:
    """JSON text, for the store."""
    return orjson.dumps(value).decode()


def loads(text: str | bytes) -> Any:
    """Back from the store."""
    return orjson.loads(text)


def as_doc(text: str) -> Doc:
    """A stored document."""
    return cast("Doc", orjson.loads(text))
