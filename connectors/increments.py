"""Where a read of what moved goes on, for vendors that filter by time and keep silent about what was deleted.

Such a vendor's count tells of deletions: whoever was there and whoever came must be there still. Where the count says
otherwise, the cursor is lost and everything is read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from connectors.source import CursorLost

OVERLAP = timedelta(minutes=10)  # read again behind the newest change seen: listings and indexes lag


@dataclass
class Watermark:
    """The newest change and the newest creation among the accounts read, by the vendor's clock, and how many there are.

    Moments are the vendor's own texts (ISO 8601 in UTC, all of one form, so that they sort as they are). `shape` is what else
    decides what a read shows; `groups`: ids of the groups there were.
    """

    updated: str | None = None
    created: str | None = None
    count: int | None = None
    groups: tuple[str, ...] = ()
    shape: str = ""

    def saw(self, records: Iterable[Any], *, updated: str, created: str) -> None:
        """Looks at records as the vendor gave them."""
        for each in records:
            if isinstance(each, Mapping):
                self.updated = later(self.updated, each.get(updated))
                self.created = later(self.created, each.get(created))

    def cursor(self) -> str | None:
        """As text; None, hence a full read, where the vendor gave no times or no count."""
        if self.updated is None or self.created is None or self.count is None:
            return None
        held = {"updated": self.updated, "created": self.created, "count": self.count}
        return json.dumps({**held, "groups": sorted(self.groups), "shape": self.shape}, sort_keys=True)

    @classmethod
    def of(cls, cursor: str, shape: str, place: Mapping[str, Any]) -> Watermark:
        """What a cursor holds. CursorLost when other things are read today."""
        held = json.loads(cursor)
        if held.get("shape") != shape:
            raise CursorLost("what is read was changed since", remedy="Nothing to do: everything is read", **place)
        return cls(held["updated"], held["created"], held["count"], tuple(held["groups"]), shape)

    def since(self) -> str:
        """A little before the newest change: what is read twice is no harm, since the later word counts."""
        return before(str(self.updated))

    def proves_nobody_deleted(self, now: int | None, fresh: int, place: Mapping[str, Any]) -> None:
        """Raises CursorLost where the vendor counts `now` accounts and not those of before and the `fresh` ones created since."""
        wanted = (self.count or 0) + fresh
        if now != wanted:
            raise CursorLost(
                f"{self.count} accounts and {fresh} new ones should be {wanted}, and the vendor counts {now}: "
                "some were deleted",
                remedy="Nothing to do: everything is read",
                **place,
            )


def later(one: str | None, other: object) -> str | None:
    """The later of two moments; what is no text is none."""
    return other if isinstance(other, str) and (one is None or other > one) else one


def before(moment: str) -> str:
    """OVERLAP earlier, in milliseconds, with a Z."""
    return (datetime.fromisoformat(moment) - OVERLAP).isoformat(timespec="milliseconds").replace("+00:00", "Z")
