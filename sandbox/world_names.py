"""Names for people who do not exist: a deck without repetition, each with the ASCII spelling its login is made of."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

GIVEN = (  # noqa: SIM905 - fifty quoted words read worse
    "Ada Amir Anaïs Anders Beatriz Björn Carla Cem Chidi Chloé Darius Dmitri Eleni Emre Fatima Felix Freya Giulia "
    "Hana Henrik Inês Ivan Jakub Jonas Karim Katja Lars Leïla Lukas Mara Mateo Mei Milan Nadia Niamh Noah Olga "
    "Oskar Paula Priya Rafael Rosa Samir Selma Søren Tariq Tomás Ulla Viktor Wanjiku Yara Zoë"
).split()
FAMILY = (  # noqa: SIM905 - same
    "Abara Adler Almeida Baptiste Bauer Becker Berg Björk Brandt Castro Cohen Conti Czerny Dahl Demir D'Angelo "
    "Eriksen Esposito Farah Ferrari Fischer Galli García Haddad Hansen Horvat Ibáñez Ito Jansen Jensen Kaya Keller "
    "Kim Kovač Kumar Lang Lefèvre Lindqvist Łuczak Mancini Marchetti Mbeki Meyer Moreau Müller Nagy Ngata Nieminen "
    "Novak Okafor Öztürk Papadakis Petrov Quintero Rao Rossi Sáez Santos Schröder Sharma Silva Sørensen Strauß "
    "Tanaka Tkachenko Ueda Vega Virtanen Vogel Wagner Weiß Wójcik Yilmaz Zielińska"
).split()
# Names before a marriage: nobody else has them.
FORMER = (
    "Ashdown",
    "Birchall",
    "Corwin",
    "Drummond",
    "Eastlake",
    "Fenwick",
    "Goodspeed",
    "Hartigan",
    "Inskip",
    "Jessop",
)
# Spellings that break what is written for A to Z: with their ASCII form where no rule gives it.
NOTABLE = (
    ("Žofie", "Nováková", ""),
    ("Siobhán", "O'Brien", ""),
    ("美咲", "中村", "misaki.nakamura"),
    ("Юлия", "Иванова", "yuliya.ivanova"),
    ("Jean-Luc", "de la Cruz", ""),
    ("Ngọc", "Nguyễn", ""),
    ("İpek", "Işık", "ipek.isik"),  # noqa: RUF001 - the dotless letter is the point
)
NOTABLE_FROM = 8  # early in the deck, so that some of them are people whom two tenants know
PLAIN = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "'": None, " ": "-"})


@dataclass(frozen=True)
class Name:
    """A full name and the login made of it, which is ASCII."""

    given: str
    family: str
    login: str


def ascii_login(given: str, family: str) -> str:
    """`given.family` in lower case without accents; what has no ASCII form is left out."""
    parts = (unicodedata.normalize("NFKD", part.casefold().translate(PLAIN)) for part in (given, family))
    return ".".join(part.encode("ascii", "ignore").decode() for part in parts)


def deck(random_: random.Random) -> Iterator[Name]:
    """Every name once, in an order that the seed gives; no two share a full name or a login."""
    names = [(given, family, "") for given in GIVEN for family in FAMILY]
    random_.shuffle(names)
    names[NOTABLE_FROM:NOTABLE_FROM] = NOTABLE
    taken: set[str] = set()
    for given, family, spelled in names:
        login = spelled or ascii_login(given, family)
        if login not in taken:
            taken.add(login)
            yield Name(given, family, login)
