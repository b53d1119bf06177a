"""What Jira and Confluence already hold when Onefold comes: users and groups that people made by hand over the years."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from sandbox.world_names import Name

if TYPE_CHECKING:
    from sandbox.world import Person, World

USERS, DOUBTFUL, CONTRACTORS, LEAVERS = 150, 2, 18, 4
SERVICES = ("svc-jenkins", "svc-backup", "svc-monitoring", "svc-mail", "build.bot", "scanner", "dashboard")
HAND_MADE = (
    "project-apollo",
    "project-hermes",
    "project-zeus",
    "release-managers",
    "qa-external",
    "board-viewers",
    "legacy-reporters",
    "service-accounts",
)
# Group names as desired ones will be called, where somebody has made them already; then the administrators' and the licence's.
GROUPS = {
    "jira": ("jira-developers", "jira-users", *HAND_MADE),
    "confluence": ("confluence-editors", "wiki-gardeners", *HAND_MADE),
}
LICENCE = {"jira": "jira-software-users", "confluence": "confluence-users"}
ADMINS = {"jira": "jira-administrators", "confluence": "confluence-administrators"}
SEATS = {"jira": {"jira-software": 600}, "confluence": {"confluence": 600}}


def existing(world: World) -> dict[str, Any]:
    """`{"jira": seed, "confluence": seed}`: each target made by hand on its own, so spellings differ between the two.

    Of 150 users 30 are strangers (an administrator, service accounts, contractors, leavers of long ago), four share two
    people's addresses, and the others are people of the company. The leaver and the renamed of the events are there.
    """
    return {
        target: _target(world, target, random.Random(f"{world.seed}/{target}")) for target in ("jira", "confluence")
    }


def _target(world: World, target: str, random_: random.Random) -> dict[str, Any]:
    groups, licence, admins = GROUPS[target], LICENCE[target], ADMINS[target]
    taken: set[str] = set()
    users = _strangers(world, licence, admins)
    taken |= {each["name"] for each in users}
    matched, doubtful = _chosen(world, random_, USERS - len(users) - 2 * DOUBTFUL)
    chosen = [*enumerate(matched), *((style, each) for each in doubtful for style in (PLAIN, INITIAL))]
    users += [
        _user(each, style, random_=random_, taken=taken, licence=licence, groups=groups) for style, each in chosen
    ]
    return {
        "users": sorted(users, key=lambda each: each["name"]),
        "groups": sorted((licence, admins, *groups)),
        "default_groups": [licence],
        "seats": SEATS[target],
    }


def _chosen(world: World, random_: random.Random, many: int) -> tuple[list[Person], list[Person]]:
    """Whom the target knows: those that something happened to, then a sample; and people whom it knows twice."""
    inside = [each for each in world.people if each.home != "hr" and each.user_type != "External"]
    must = [each for each in inside if each.former_family]
    must += [each for event in world.events() if (each := event.before)]
    off = [each for each in inside if not each.active and not each.shared]
    must += [each for each in off if each.home == "corp"][:5] + [each for each in off if each.home == "acquired"][:3]
    plain = [each for each in inside if each.active and each not in must]
    random_.shuffle(plain)
    return [*must, *plain[: many - len(must)]], plain[many - len(must) :][:DOUBTFUL]


PLAIN, SHOUTED, ADDRESS, INITIAL, CAPITALS = range(5)


def _user(
    person: Person, style: int, *, random_: random.Random, taken: set[str], licence: str, groups: tuple[str, ...]
) -> dict[str, Any]:
    """A user as somebody typed it in. Whoever had another family name still has the user name of then.

    Every third of those whom both tenants know has the address of the acquired tenant: the user was made over there.
    """
    name = _free(person.former_login or person.login, person, style % 5, taken)
    email = person.email_in("acquired") if person.acquired and style % 3 == 0 else person.email
    local, _, domain = email.partition("@")
    return {
        "name": name,
        "email": f"{local.title()}@{domain}" if style % 7 == 0 else email,
        "display_name": f"{person.family}, {person.given}" if style % 4 == 0 else person.display_name,
        "active": style % 40 != 13 and (person.active or style % 6 != 0),
        "groups": sorted({licence, *random_.sample(groups, random_.randint(0, 3))}),
        "directory": "internal",
    }


def _free(login: str, person: Person, style: int, taken: set[str]) -> str:
    """A user name in one of five styles that nobody has yet, whatever its case."""
    given, _, family = login.partition(".")
    wanted = {
        PLAIN: login,
        SHOUTED: login.upper(),
        ADDRESS: f"{login}@{person.email.partition('@')[2]}",
        INITIAL: f"{given[:1]}{family}",
        CAPITALS: login.title(),
    }[style]
    name = wanted if wanted.casefold() not in taken else f"{login}.{person.key}"
    taken.add(name.casefold())
    return name


def _strangers(world: World, licence: str, admins: str) -> list[dict[str, Any]]:
    """Users that no tenant knows."""
    services = ["service-accounts"]
    users = [_stranger("admin", "it@corp.example", "Administrator", [admins, licence])]
    users += [_stranger(name, f"{name}@corp.example", name, services) for name in SERVICES]
    names = iter(world.strangers)
    contractors, leavers = ([next(names) for _ in range(many)] for many in (CONTRACTORS, LEAVERS))
    for place, each in enumerate(contractors):
        domain = "studio.example" if place % 2 else "freelance.example"
        users.append(_stranger(each.login, f"{each.login}@{domain}", _full(each), [licence, "qa-external"]))
    for each in leavers:
        users.append(_stranger(each.login, f"{each.login}@corp.example", _full(each), [licence], active=False))
    return users


def _full(name: Name) -> str:
    return f"{name.given} {name.family}"


def _stranger(name: str, email: str, display_name: str, groups: list[str], *, active: bool = True) -> dict[str, Any]:
    return {
        "name": name,
        "email": email,
        "display_name": display_name,
        "active": active,
        "groups": sorted(groups),
        "directory": "internal",
    }
