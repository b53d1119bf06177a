"""The merged directory as planning sees it, read from the state with no more columns than it looks at."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import polars as pl

from core.adopt import ADDRESS
from core.closure import closure
from core.config import Config
from core.existing import Existing
from core.frames import ACCOUNT
from core.match_keys import verified_addresses
from core.model import TenantFacts
from core.nesting import nesting, nesting_notes
from core.normalise import normalise
from core.picture import Picture
from core.plan_notes import conflict_notes
from state.store import Store
from tasks.installation import Installation

LOOKED_AT = frozenset({"account_key", "tenant_key", "native_id", "user_type", "active", "gone"})


def account_columns(config: Config) -> frozenset[str]:
    """Columns of accounts that planning looks at: its own, and any that an expression over accounts names."""
    texts = " ".join(text.lower() for text in _texts(config.rules) if "account." in text.lower())
    return LOOKED_AT | {name for name in ACCOUNT if name in re.findall(r"\w+", texts)}


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)


def picture_of(inst: Installation, store: Store, facts: tuple[TenantFacts, ...]) -> tuple[Picture, tuple[str, ...]]:
    """The merged directory as the rules see it, and notes on it: how groups are nested, whose status is contested.

    Of accounts only the columns that are looked at are read: all of a million accounts are half a gigabyte.
    """
    groups, memberships, persons = store.groups(), store.memberships(), store.persons()
    closed = closure(memberships, groups)
    picture = Picture(
        persons, store.accounts(account_columns(inst.config)), store.links(), groups, closed.effective, facts
    )
    names = {each.tenant_key: each.name for each in facts}
    notes = nesting_notes(nesting(memberships, groups, closed), closed, groups) + conflict_notes(persons, names)
    return picture, notes


def addresses(store: Store, existing: Existing, picture: Picture) -> pl.DataFrame:
    """ADDRESS, the verified addresses of persons; worked out only where a user is nobody's yet."""
    if existing.users.filter(~pl.col("owned") & pl.col("present")).is_empty():
        return pl.DataFrame(schema=ADDRESS)
    accounts = store.accounts()
    rows = accounts.select("account_key", "tenant_key", "user_type").with_columns(
        normalise(accounts).drop("account_key")
    )
    found = verified_addresses(rows, picture.tenants)
    return found.join(picture.links, on="account_key").select("person_key", "address").unique()
