"""One tenant as a provider knows it, in no vendor's words: the same made-up people, seen through every vendor's eyes. Pure."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from sandbox.world import DOMAINS, Person, Tenant, World

SPACE = uuid.UUID("6f9f1a54-7c0e-4a7d-8a3c-0f3f6c0c9d11")
TEAMS = ("Platform", "Payments", "Support", "Finance", "People", "Legal", "Design", "Quality")
GIVEN = ("Ada", "Björn", "Chloé", "Dmitri", "Elif", "Femi", "Grace", "Hugo", "Inês", "Jun")
FAMILY = ("Almeida", "Brandt", "Castro", "Dubois", "Eriksen", "Fischer", "García", "Haddad", "Ivanova")


@dataclass(frozen=True)
class SeenUser:
    """A user record. `home_email`: where a guest comes from; `key` is ours, vendors make their ids of it."""

    key: str
    user_name: str
    email: str | None
    display_name: str
    given_name: str | None = None
    family_name: str | None = None
    aliases: tuple[str, ...] = ()
    private_email: str | None = None
    home_email: str | None = None
    employee_number: str | None = None
    department: str | None = None
    title: str | None = None
    company: str | None = None
    immutable_id: str | None = None
    enabled: bool = True
    kind: Literal["member", "guest", "external"] = "member"


@dataclass(frozen=True)
class SeenGroup:
    """A group with its direct members: keys of users and of groups."""

    key: str
    name: str
    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class Seen:
    """A tenant: its permanent name, its domain, users, groups, and keys of users who are in the bin."""

    tenant: str
    domain: str
    users: tuple[SeenUser, ...]
    groups: tuple[SeenGroup, ...] = ()
    deleted: tuple[SeenUser, ...] = ()

    @property
    def edges(self) -> int:
        """How many direct memberships there are."""
        return sum(len(each.users) + len(each.groups) for each in self.groups)


def guid(*words: str) -> str:
    """A GUID that is the same for the same words: vendors' ids of one person in two tenants differ."""
    return str(uuid.uuid5(SPACE, "/".join(words)))


def of_world(world: World, tenant: Tenant) -> Seen:
    """The company of the demo as one of its tenants sees it: members, guests and externals, former names as aliases."""
    users = tuple(_user(each, tenant) for each in world.known_to(tenant))
    keys = {each.user_name: each.key for each in users}
    groups = tuple(
        SeenGroup(each.name, each.name, tuple(keys[name] for name in each.users if name in keys), tuple(each.groups))
        for each in world.groups(tenant)
    )
    return Seen(tenant, DOMAINS[tenant], users, groups)


def _user(person: Person, tenant: Tenant) -> SeenUser:
    guest, stale = person.known_as(tenant) == "guest", tenant in person.stale
    family = person.former_family if stale and person.former_family else person.family
    former = f"{person.former_login}@{DOMAINS[tenant]}" if person.former_login and not stale else None
    outside = guest or person.user_type == "External"
    return SeenUser(
        key=person.key,
        user_name=person.user_name_in(tenant),
        email=person.email_in(tenant),
        display_name=f"{person.given} {family}",
        given_name=person.given,
        family_name=family,
        aliases=(former,) if former and not guest else (),
        home_email=person.email if outside else None,
        employee_number=None if guest else person.employee_number,
        department=None if guest else person.department,
        title=None if guest else person.title,
        company=None if guest else tenant.title(),
        enabled=person.enabled_in_corp if tenant == "corp" else person.enabled_in_acquired,
        kind="guest" if guest else "external" if person.user_type == "External" else "member",
    )


def crowd(users: int, groups: int, memberships: int, *, tenant: str = "crowd", seed: int = 1) -> Seen:
    """A tenant of any size for figures: `memberships` in all, over groups of very different sizes, a few of them nested."""
    random_ = random.Random(seed)
    people = tuple(_of_crowd(place, f"{tenant}.example") for place in range(users))
    return Seen(tenant, f"{tenant}.example", people, tuple(_groups(random_, people, groups, memberships)))


def _of_crowd(place: int, domain: str) -> SeenUser:
    given, family = GIVEN[place % len(GIVEN)], FAMILY[place // len(GIVEN) % len(FAMILY)]
    name = f"user{place:07}@{domain}"
    guest = place % 20 == 19
    home = f"user{place:07}@partner.example"
    return SeenUser(
        key=f"c{place:07}",
        user_name=f"{home.replace('@', '_')}#EXT#@{domain}" if guest else name,
        email=home if guest else name,
        display_name=f"{given} {family} {place}",
        given_name=given,
        family_name=family,
        aliases=() if guest or place % 3 else (f"{given[0].lower()}{place}@{domain}",),
        home_email=home if guest else None,
        employee_number=None if guest else f"{place:07}",
        department=TEAMS[place % len(TEAMS)],
        title="Engineer" if place % 2 else "Analyst",
        company=domain.partition(".")[0].title(),
        enabled=place % 13 != 5,
        kind="guest" if guest else "member",
    )


def _groups(random_: random.Random, people: tuple[SeenUser, ...], groups: int, memberships: int) -> Iterator[SeenGroup]:
    """Sizes fall off as 1/rank, so that one group holds many thousands and most hold few."""
    weights = [1 / (place + 1) for place in range(groups)]
    scale, left = memberships / sum(weights) if groups else 0.0, memberships
    count = len(people)
    sizes = [min(count, int(scale * each)) for each in weights]
    left -= sum(sizes)
    place = 0
    while left > 0 and any(size < count for size in sizes):  # what the largest could not take, the others do
        room = min(count - sizes[place], max(1, left // groups))
        sizes[place] += room
        left -= room
        place = (place + 1) % groups
    for number, size in enumerate(sizes):
        start = random_.randrange(count)
        chosen = tuple(people[(start + each) % count].key for each in range(size))
        nested = (f"g{number + 1:06}",) if number % 97 == 0 and size and number + 1 < groups else ()
        yield SeenGroup(f"g{number:06}", f"Group {number:06}", chosen[len(nested) :], nested)
