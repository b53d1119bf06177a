"""Whose are the users that a target holds already? Pairs existing users with persons; what is not one to one is doubtful.

Only users that nobody of ours owns are paired, with persons who are in scope and own no user there. A doubtful user and a
doubtful person both wait: creating the person would make a second user of the same human.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from core.existing import Existing
from core.frames import ACCOUNT, conform
from core.names import folded, matching
from core.normalise import normalise
from core.settings import AdoptKey

PAIR: dict[str, pl.DataType] = {
    "user_key": pl.Int32(),
    "person_key": pl.Int32(),
    "rule": pl.String(),  # pinned, employee_number, verified_email, user_name
    "evidence": pl.String(),  # the shared value
}
ADDRESS: dict[str, pl.DataType] = {"person_key": pl.Int32(), "address": pl.String()}
PIN: dict[str, pl.DataType] = {"user_key": pl.Int32(), "person_key": pl.Int32()}


@dataclass(frozen=True)
class Pairing:
    """`pairs`: PAIR, one to one, sorted by user_key. `doubtful`: PAIR, every candidate of users and persons that wait.

    `protected`: user_key, person_key of users that match a person and may not be touched. `strangers`: user_key of
    present users that are not ours and match nobody. `taken`: person_key, user_key, name of persons who own no user,
    are paired with none, and whose user name a stranger has.
    """

    pairs: pl.DataFrame
    doubtful: pl.DataFrame
    protected: pl.DataFrame
    strangers: pl.DataFrame
    taken: pl.DataFrame

    @property
    def waiting(self) -> pl.Series:
        """person_key of persons for whom nothing may be created: doubtful, protected, or their name is taken."""
        frames = (self.doubtful, self.protected, self.taken)
        return pl.concat([frame.get_column("person_key") for frame in frames]).unique().sort()


def protected_users(existing: Existing, globs: Sequence[str]) -> pl.DataFrame:
    """user_key and why that user may not be touched: what the target said, and names of the config's list."""
    named = existing.users.filter(matching(existing.users.get_column("user_name"), globs, any_case=True))
    listed = named.select("user_key", protected=pl.lit("listed under protect.users"))
    return (
        pl.concat([existing.protected, listed]).unique("user_key", keep="first", maintain_order=True).sort("user_key")
    )


def follow(existing: Existing, persons: pl.DataFrame, person_ids: pl.DataFrame, links: pl.DataFrame) -> Existing:
    """The same with users of persons who are no more given to whom their founding account went: persons merge.

    `persons`: PERSON; `person_ids`: PERSON_ID of every person ever; `links`: LINK.
    """
    lost = (
        existing.users.filter(pl.col("owned"))
        .join(persons, on="person_key", how="anti")
        .select("user_key", "person_key")
    )
    if lost.drop_nulls().is_empty():
        return existing
    now = (
        lost.join(person_ids.select("person_key", "founder_key"), on="person_key")
        .join(links.select("account_key", heir="person_key"), left_on="founder_key", right_on="account_key")
        .select("user_key", "heir")
    )
    users = existing.users.join(now, on="user_key", how="left", maintain_order="left")
    users = users.with_columns(person_key=pl.coalesce("heir", "person_key")).drop("heir")
    return Existing(users, existing.groups, existing.memberships, existing.protected, existing.traits)


def pair(
    existing: Existing,
    desired: pl.DataFrame,
    persons: pl.DataFrame,
    addresses: pl.DataFrame,
    *,
    by: Sequence[AdoptKey],
    protected: pl.DataFrame,
    pins: pl.DataFrame | None = None,
) -> Pairing:
    """Pairs by the keys of `by`, strongest first; what a stronger key settled, a weaker one does not touch.

    `desired`: DESIRED_USER; `persons`: PERSON; `addresses`: ADDRESS, verified and normalised; `protected`: user_key.
    """
    owned = existing.users.filter(pl.col("owned") & pl.col("present"))
    owners = owned.join(persons.select("person_key"), on="person_key", how="semi")
    users = existing.users.filter("present").join(owners, on="user_key", how="anti")
    people = desired.filter("in_scope").join(owners, on="person_key", how="anti")
    pairs, doubtful = pl.DataFrame(schema=PAIR), pl.DataFrame(schema=PAIR)
    for rule in by:
        settled = pl.concat([pairs, doubtful])
        found = _candidates(
            rule,
            users.join(settled, on="user_key", how="anti"),
            people.join(settled, on="person_key", how="anti"),
            persons=persons,
            addresses=addresses,
            pins=pins,
        )
        alone = pl.col("user_key").is_unique() & pl.col("person_key").is_unique()
        pairs = pl.concat([pairs, found.filter(alone)])
        doubtful = pl.concat([doubtful, found.filter(~alone)])
    shut = pairs.join(protected, on="user_key", how="semi").select("user_key", "person_key")
    pairs = pairs.join(shut, on="user_key", how="anti").sort("user_key")
    known = pl.concat([pairs, doubtful])
    rest = users.join(known, on="user_key", how="anti").join(shut, on="user_key", how="anti")
    strangers = rest.filter(~pl.col("owned")).select("user_key").sort("user_key")
    return Pairing(pairs, doubtful.sort("user_key", "person_key"), shut, strangers, _taken(users, people, known, shut))


def _candidates(
    rule: AdoptKey,
    users: pl.DataFrame,
    people: pl.DataFrame,
    *,
    persons: pl.DataFrame,
    addresses: pl.DataFrame,
    pins: pl.DataFrame | None,
) -> pl.DataFrame:
    """PAIR rows of everybody who shares the key, unique."""
    match rule:
        case "pinned":
            if pins is None:
                return pl.DataFrame(schema=PAIR)
            both = pins.join(users.select("user_key"), on="user_key", how="semi").join(
                people, on="person_key", how="semi"
            )
            return both.select("user_key", "person_key", rule=pl.lit(rule), evidence=pl.lit("decision")).unique()
        case "employee_number":
            left = _numbers(users.select(key="user_key", number="employee_number"))
            mine = persons.join(people, on="person_key", how="semi")
            right = _numbers(mine.select(key="person_key", number="employee_number"))
        case "verified_email":
            left = _addresses(users)
            right = addresses.join(people, on="person_key", how="semi").select(key="person_key", value="address")
        case "user_name":
            left = users.select(key="user_key", value=folded(users.get_column("user_name")))
            right = people.select(key="person_key", value=folded(people.get_column("user_name")))
    found = left.drop_nulls().join(right.drop_nulls(), on="value").sort("key", "key_right", "value")
    return found.select(user_key="key", person_key="key_right", rule=pl.lit(rule), evidence="value").unique(
        ["user_key", "person_key"], keep="first", maintain_order=True
    )


def _as_accounts(frame: pl.DataFrame, column: str, values: str) -> pl.DataFrame:
    """A frame that `normalise` takes, with one column filled."""
    return normalise(conform(frame.select(account_key="key", **{column: values}), ACCOUNT))


def _numbers(frame: pl.DataFrame) -> pl.DataFrame:
    done = _as_accounts(frame, "employee_number", "number")
    return done.select(key="account_key", value="n_employee_number")


def _addresses(users: pl.DataFrame) -> pl.DataFrame:
    done = _as_accounts(users.select(key="user_key", address="email"), "email", "address")
    return done.select(key="account_key", value="n_email")


def _taken(users: pl.DataFrame, people: pl.DataFrame, known: pl.DataFrame, shut: pl.DataFrame) -> pl.DataFrame:
    """Persons without a user whose name somebody has whom no key pairs with them."""
    free = people.join(known, on="person_key", how="anti").join(shut, on="person_key", how="anti")
    wanted = free.select("person_key", form=folded(free.get_column("user_name")))
    held = users.select("user_key", name="user_name", form=folded(users.get_column("user_name")))
    found = wanted.drop_nulls().join(held.drop_nulls(), on="form").select("person_key", "user_key", "name")
    return found.unique("person_key", keep="first").sort("person_key")
