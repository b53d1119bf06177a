"""The people of the labelled world and their clean accounts: who works where, which identifiers each tenant holds.

Every account keeps two sets of values: `clean` is the truth (labels are computed from it), `values` is what the tenant
sends. A fault that only misspells changes `values`; a fault that loses or falsifies something changes both.
"""

from __future__ import annotations

import random
import unicodedata
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from core.frames import ACCOUNT, BIT, GROUP, MEMBERSHIP, conform
from core.model import Right, TenantFacts, TenantMode

NOW = datetime(2026, 11, 2, tzinfo=UTC).replace(tzinfo=None)
CORP, ACQUIRED, PLANT, LAB, PARTNER, HR = range(1, 7)
ISSUER = {CORP: "acme-hr", ACQUIRED: "acq-hr", PLANT: "acme-hr", LAB: "acme-hr", PARTNER: "partner", HR: "acme-hr"}
SHARED = "acme.example"  # one brand's mail domain, verified in three tenants and spoken of by HR
DOMAINS = {
    CORP: ("corp.example", SHARED),
    ACQUIRED: ("acq.example",),
    PLANT: ("plant.example", SHARED),
    LAB: ("lab.example", SHARED),
    PARTNER: ("partner.example",),
    HR: (SHARED,),
}
NAMES = {CORP: "corp", ACQUIRED: "acquired", PLANT: "plant", LAB: "lab", PARTNER: "partner", HR: "hr"}
PUBLIC = ("gmail.com", "outlook.com", "gmx.de")

GIVEN = (  # noqa: SIM905 - quoted words read worse
    "William Robert Elizabeth Katherine Michael Thomas Alexander Margaret Christopher Daniel Andrew Anthony Edward Joseph "
    "Benjamin Matthew Nicholas Samuel Jennifer Susan Patricia Rebecca Victoria Deborah Timothy Stephen Gregory Jonathan "
    "Ada Amir Anaïs Anders Beatriz Björn Carla Cem Chidi Chloé Darius Dmitri Eleni Emre Fatima Felix Freya Giulia Günter "
    "Hana Henrik Inês Ivan Jakub Jonas Jörg Jürgen Karim Katja Lars Leïla Lukas Mara Mateo Mei Milan Nadia Niamh Noah Olga "
    "Oskar Paula Priya Rafael Rosa Samir Selma Søren Tariq Tomás Ulla Viktor Wanjiku Yara Zoë İpek Zeynep Łukasz Małgorzata"
).split()
STEMS = (  # noqa: SIM905 - same
    "Adler Bauer Berg Brandt Böhm Dahl Eichen Falk Fischer Grün Hansen Hoff Jäger Kaiser Keller Koch König Kraus Lang "
    "Lind Löwen Meyer Moor Müller Neu Oster Pohl Reich Roth Rosen Schäfer Schmid Schrö Stein Strauß Sund Vogel Wald Weiß Winter"
).split()
TAILS = ("", "berg", "mann", "hof", "sen", "ström", "kamp", "er", "bach", "stein")
FAMILY = (  # noqa: SIM905 - same
    "Smith Jones Taylor Brown García Rossi Novak Kumar Tanaka Silva Santos Kim Ito Nagy Demir Kaya Öztürk Petrov "
    "O'Brien D'Angelo Wójcik Zielińska Nguyễn Ibáñez Lefèvre Moreau Kovač Horvat Okafor Abara Haddad Cohen Papadakis"
).split() + [stem + tail for stem in STEMS for tail in TAILS]
NICKNAMES = {
    "William": "Bill", "Robert": "Bob", "Elizabeth": "Liz", "Katherine": "Kate", "Michael": "Mike", "Thomas": "Tom",
    "Alexander": "Alex", "Margaret": "Peggy", "Christopher": "Chris", "Daniel": "Dan", "Andrew": "Andy", "Anthony": "Tony",
    "Edward": "Ted", "Joseph": "Joe", "Benjamin": "Ben", "Matthew": "Matt", "Nicholas": "Nick", "Samuel": "Sam",
    "Jennifer": "Jenny", "Susan": "Sue", "Patricia": "Pat", "Rebecca": "Becky", "Victoria": "Vicky", "Deborah": "Debbie",
    "Timothy": "Tim", "Stephen": "Steve", "Gregory": "Greg", "Jonathan": "Jon",
}  # fmt: skip
SPELT = str.maketrans(
    dict(zip("äöüßøåłŁÄÖÜ", ("ae", "oe", "u" + "e", "ss", "oe", "aa", "l", "L", "Ae", "Oe", "U" + "e"), strict=True))
)
DEPARTMENTS = (
    "Sales",
    "Research",
    "Finance",
    "Legal",
    "Logistics",
    "Support",
    "Platform",
    "Quality",
    "Works",
    "People",
)
TOWNS = ("Berlin", "Leeds", "Porto", "Gdańsk", "Malmö", "Lyon", "Pune", "Osaka", "Austin", "Lagos", "Graz", "Bari")


def plain(text: str) -> str:
    """The text in ASCII, German letters spelt out: what logins are made of."""
    spelt = unicodedata.normalize("NFKD", text.translate(SPELT)).encode("ascii", "ignore").decode()
    return "".join(letter for letter in spelt if letter.isalnum() or letter in "-_")


@dataclass
class Account:
    """One account: `person` is the true label; `role` is person, admin, service, shared or contact."""

    key: int
    tenant: int
    native_id: str
    person: int
    clean: dict[str, Any]
    values: dict[str, Any]
    role: str = "person"
    faults: list[str] = field(default_factory=list)
    gone: str | None = None

    def set(self, **values: Any) -> None:
        """Changes the truth and what is sent."""
        self.clean.update(values)
        self.values.update(values)

    def spell(self, **values: Any) -> None:
        """Changes what is sent only."""
        self.values.update(values)


@dataclass
class Person:
    """One human: home tenant, name, and the accounts, the home account first."""

    number: int
    home: int
    given: str
    family: str
    facts: dict[str, Any]
    accounts: list[Account] = field(default_factory=list)
    touched: bool = False  # a structural fault has taken this person; no other one does


class World:
    """Builds the world: `persons`, `accounts`, `groups`, `edges` and `lures`, the pairs that a fault tempts the rules to join."""

    def __init__(self, people: int, seed: int) -> None:
        self.random = random.Random(seed)
        self.persons: list[Person] = []
        self.accounts: list[Account] = []
        self.groups: list[dict[str, Any]] = []
        self.edges: list[dict[str, Any]] = []
        self.lures: list[tuple[int, int, str]] = []
        self.logins: set[str] = set()
        for number in range(people):
            self._person(number)
        self.labels = people

    def label(self) -> int:
        """A label for something that is nobody yet: a mailbox, a service, a newcomer."""
        self.labels += 1
        return self.labels

    def account(self, person: int, tenant: int, role: str = "person", **values: Any) -> Account:
        """One more account with these values."""
        key = len(self.accounts) + 1
        values = {"user_type": "member", "active": True, "status": "active", "aliases": None, **values}
        values.setdefault("created_at", NOW - timedelta(days=self.random.randint(400, 3000)))
        values.setdefault("updated_at", NOW - timedelta(days=self.random.randint(0, 300)))
        native = str(uuid.UUID(int=self.random.getrandbits(128)))
        made = Account(key, tenant, native, person, dict(values), dict(values), role)
        self.accounts.append(made)
        return made

    def pick(self, share: float, fits: Callable[[Person], bool] = lambda _: True) -> list[Person]:
        """That share of all persons (one at least), among those whom no structural fault has taken; they are taken now."""
        fitting = [person for person in self.persons if not person.touched and fits(person)]
        chosen = self.random.sample(fitting, min(len(fitting), max(1, round(share * len(self.persons)))))
        for person in chosen:
            person.touched = True
        return chosen

    def some(self, share: float, fits: Callable[[Account], bool]) -> list[Account]:
        """That share of the fitting accounts (one at least): for faults that change values only."""
        fitting = [account for account in self.accounts if account.role == "person" and fits(account)]
        return self.random.sample(fitting, min(len(fitting), max(1, round(share * len(fitting)))))

    def lure(self, one: Account, other: Account, why: str) -> None:
        """These two must never be joined; `why` is the fault."""
        self.lures.append((min(one.key, other.key), max(one.key, other.key), why))

    def about(self, person: Person) -> dict[str, Any]:
        """The descriptive values that any tenant may hold of a person."""
        return {
            "given_name": person.given,
            "family_name": person.family,
            "display_name": f"{person.given} {person.family}",
            **person.facts,
        }

    def _person(self, number: int) -> None:
        home = self.random.choices((CORP, ACQUIRED, PLANT, LAB, PARTNER), (45, 25, 17, 8, 5))[0]
        given = GIVEN[int(len(GIVEN) * self.random.random() ** 1.5)]
        family = FAMILY[int(len(FAMILY) * self.random.random() ** 1.5)]
        facts = {
            "department": self.random.choice(DEPARTMENTS),
            "location": self.random.choice(TOWNS),
            "phone": f"+49 30 {self.random.randint(1000000, 9999999)}",
            "title": self.random.choice(("Engineer", "Analyst", "Manager", "Clerk", "Lead")),
        }
        person = Person(number, home, given, family, facts)
        self.persons.append(person)
        login = f"{plain(given)}.{plain(family)}".lower()
        while login in self.logins:
            login += str(self.random.randint(1, 9))
        self.logins.add(login)
        self._accounts(person, login)

    def _accounts(self, person: Person, login: str) -> None:
        home, chance = person.home, self.random.random
        about = self.about(person)
        domain = SHARED if home in {CORP, PLANT, LAB} and chance() < 0.7 else DOMAINS[home][0]
        address = f"{login}@{domain}"
        number = f"{person.number + 1000:06d}"  # both HR systems count from the same start: ranges overlap
        immutable = str(uuid.UUID(int=self.random.getrandbits(128))) if home in {CORP, PLANT} else None
        hr = number if home != PARTNER and chance() < 0.95 else None
        native = self.account(
            person.number, home, user_name=address, email=address, employee_number=hr, immutable_id=immutable, **about
        )
        person.accounts.append(native)
        if home in {CORP, PLANT, LAB} and hr and chance() < 0.9:
            person.accounts.append(
                self.account(person.number, HR, user_name=None, email=address, employee_number=hr, **about)
            )
        if immutable and chance() < 0.5:  # one forest, copied to a second tenant
            other = PLANT if home == CORP else CORP
            second = f"{login}@{DOMAINS[other][0]}"
            person.accounts.append(
                self.account(person.number, other, user_name=second, email=second, immutable_id=immutable, **about)
            )
        if domain == SHARED and chance() < 0.25 and home != LAB:
            person.accounts.append(self.account(person.number, LAB, user_name=address, email=address, **about))
        if chance() < 0.2:
            tenant = ACQUIRED if home != ACQUIRED else CORP
            person.accounts.append(self.guest(person, tenant, address))

    def guest(self, person: Person, tenant: int, address: str) -> Account:
        """The B2B guest of that address in another tenant, as Graph shows it."""
        upn = f"{address.replace('@', '_')}#EXT#@{NAMES[tenant]}.onmicrosoft.example"
        name = {"display_name": f"{person.given} {person.family}"}
        return self.account(
            person.number, tenant, user_type="guest", user_name=upn, email=address, home_email=address, **name
        )

    def frame(self) -> pl.DataFrame:
        """The accounts as the rules receive them (columns ACCOUNT)."""
        rows = [
            {
                "account_key": account.key,
                "tenant_key": account.tenant,
                "native_id": account.native_id,
                **account.values,
                "present": sum(BIT[name] for name in account.values),
                "gone": account.gone,
            }
            for account in self.accounts
        ]
        return conform(pl.DataFrame(rows, schema=dict(ACCOUNT.items()), orient="row"), ACCOUNT)

    def group_frames(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Groups (GROUP) and direct edges (MEMBERSHIP)."""
        return pl.DataFrame(self.groups, schema=GROUP), pl.DataFrame(self.edges, schema=MEMBERSHIP)

    def truth(self) -> pl.DataFrame:
        """account_key, person (the true label), role and faults."""
        return pl.DataFrame(
            {
                "account_key": [account.key for account in self.accounts],
                "person": [account.person for account in self.accounts],
                "role": [account.role for account in self.accounts],
                "faults": [account.faults for account in self.accounts],
            },
            schema={"account_key": pl.Int32, "person": pl.Int32, "role": pl.String, "faults": pl.List(pl.String)},
        )


def tenants() -> dict[int, TenantFacts]:
    """The six tenants as the rules know them."""
    return {
        key: TenantFacts(
            tenant_key=key,
            name=name,
            rank=rank,
            mode=TenantMode.LIVE,
            may=frozenset(Right),
            verified_domains=frozenset() if key == HR else frozenset(DOMAINS[key]),
            employee_number_issuer=ISSUER[key],
        )
        for rank, (key, name) in enumerate(NAMES.items())
    }
