"""Whether a SCIM service's filters can be trusted: many ignore them, and answer with everybody. Proven before each use, from a full read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

LONG_AGO, NEVER = "1970-01-01T00:00:00Z", "2999-01-01T00:00:00Z"
Count = Callable[
    [str], int | None
]  # how many users a filter finds; None where the service refuses it or does not count


def stamped(resources: Iterable[Any]) -> list[dict[str, Any]]:
    """`created` and `updated` of each resource's `meta` (RFC 7643, 3.1)."""
    metas = [each.get("meta") for each in resources if isinstance(each, Mapping)]
    return [
        {"created": each.get("created"), "updated": each.get("lastModified")}
        for each in metas
        if isinstance(each, Mapping)
    ]


def newer(attribute: str, moment: str, word: str = "ge") -> str:
    """A filter of RFC 7644, 3.4.2.2."""
    return f'{attribute} {word} "{moment}"'


def proven(count: Count, total: int, *, updated: str, created: str) -> bool:
    """Whether filters on both times of `meta` tell everybody, nobody and the newest apart, as the listing has them."""
    for attribute, newest in (("meta.lastModified", updated), ("meta.created", created)):
        if count(newer(attribute, NEVER)) != 0 or count(newer(attribute, LONG_AGO)) != total:
            return False
        found = count(newer(attribute, newest))
        if found is None or not 1 <= found <= total or count(newer(attribute, newest, "gt")) != 0:
            return False
    return True
