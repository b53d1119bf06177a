"""Users and groups that somebody made by hand, for stand-ins that no demo company seeds. Pure, and the same for the same seed."""

from __future__ import annotations

import random
from typing import Any

GIVEN = ("Ada", "Björn", "Chloé", "Dmitri", "Elif", "Femi", "Grace", "Hugo", "Inês", "Jun", "Kofi", "Lena", "Maya", "Noor", "Omar", "Petra")  # fmt: skip
FAMILY = ("Almeida", "Brandt", "Castro", "Dubois", "Eriksen", "Fischer", "García", "Haddad", "Ivanova", "Jansen", "Kowalski", "Lindqvist", "Moreau", "Novák", "Okafor", "Park", "Quinn", "Rossi", "Sato")  # fmt: skip
PLAIN = str.maketrans("áéíóúàèêëçñöäüåø", "aeiouaeeecnoauao")
TEAMS = ("platform", "payments", "support", "finance", "people-team", "release-managers", "qa", "design", "legal")
PRODUCTS = {
    "jira": {"licence": "jira-software-users", "admins": "jira-administrators", "seat": "jira-software"},
    "confluence": {"licence": "confluence-users", "admins": "confluence-administrators", "seat": "confluence"},
}
ROOM = 500  # seats beyond the users that are there


def existing(seed: int, users: int) -> dict[str, Any]:
    """`{"jira": seed, "confluence": seed}`: an administrator and `users` - 1 others, 12 groups in each, one in another."""
    return {product: _existing(product, random.Random(f"{seed}/{product}"), seed, users) for product in PRODUCTS}


def _existing(product: str, random_: random.Random, seed: int, users: int) -> dict[str, Any]:
    words = PRODUCTS[product]
    admin = {
        "name": "admin",
        "email": "it@corp.example",
        "display_name": "Administrator",
        "active": True,
        "directory": "internal",
        "groups": [words["admins"], words["licence"]],
    }
    made = [_user(product, place, random_, random.Random(f"{seed}/{place}")) for place in range(1, users)]
    return {
        "users": [admin, *made],
        "groups": [
            words["admins"],
            words["licence"],
            *TEAMS,
            {"name": "engineering", "groups": ["platform", "payments"]},
        ],
        "default_groups": [words["licence"]],
        "seats": {words["seat"]: users + ROOM},
        "admin": "admin",
    }


def _user(product: str, place: int, random_: random.Random, person: random.Random) -> dict[str, Any]:
    """The same person in both products; what they are in there differs."""
    given, family = person.choice(GIVEN), person.choice(FAMILY)
    login = f"{given}.{family}{place}".lower().translate(PLAIN)
    user: dict[str, Any] = {
        "name": login.title() if product == "jira" and place % 11 == 0 else login,
        "email": f"{login}@corp.example",
        "display_name": f"{family}, {given}" if place % 7 == 0 else f"{given} {family}",
        "active": place % 13 != 0,
        "directory": "ldap" if place % 17 == 0 else "internal",
        "groups": sorted({PRODUCTS[product]["licence"], *random_.sample(TEAMS, random_.randint(0, 3))}),
    }
    if product == "jira" and place % 5 == 0:  # from before Jira 8: the first user name, in lower case, is the key
        user["key"] = login
    return user
