"""A company that does not exist: who works there, what two SCIM tenants and an HR export know of them. Pure, and the same for the same seed.

`corp` acquired `acquired`; 60 people are known to both. Forty are members in both under two addresses and one employee
number; ten of each are members in one and guests, without a number, in the other. What the Atlassian stand-ins already
hold is in `world_existing`, what happens later in `world_events`.
"""

from __future__ import annotations

import csv
import io
import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from sandbox.world_groups import CREWS, TEAMS, Group, acquired_groups, corp_groups
from sandbox.world_names import FORMER, Name, ascii_login, deck

if TYPE_CHECKING:
    from sandbox.world_events import Event

Tenant = Literal["corp", "acquired"]
DOMAINS: dict[Tenant, str] = {"corp": "corp.example", "acquired": "acquired.example"}
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
HR_COLUMNS = (
    "employee_id",
    "first_name",
    "last_name",
    "work_email",
    "department",
    "job_title",
    "status",
    "last_day",
)
FIRST_NUMBER = 10_001
LEFT_ON = "2026-06-30"
GRADES = ("", "", "Senior ", "Lead ")  # HR knows grades, the tenants do not
NO_NUMBER_CONTRACTORS, EXTERNALS, NOT_YET_IN_HR, STARTERS = 12, 5, 40, 5
LEAST = 30  # fewer people of one's own than this leave no room for the odd ones


@dataclass(frozen=True)
class Person:
    """One human. `corp` and `acquired` say what the tenant takes them for; None: it does not know them.

    `home` is the tenant that knows them as a member (corp, where both do); `hr` for those who start later.
    `former_family` is the family name before a marriage; in `stale` tenants they still have it.
    """

    key: str
    given: str
    family: str
    login: str
    employee_number: str | None
    department: str
    title: str
    grade: str
    home: Literal["corp", "acquired", "hr"]
    corp: Literal["member", "guest"] | None = None
    acquired: Literal["member", "guest"] | None = None
    enabled_in_corp: bool = True
    enabled_in_acquired: bool = True
    user_type: Literal["Employee", "Contractor", "External"] = "Employee"
    former_family: str | None = None
    stale: frozenset[str] = frozenset()
    in_hr: bool = True

    @property
    def display_name(self) -> str:
        """Given name before family name."""
        return f"{self.given} {self.family}"

    @property
    def email(self) -> str:
        """The address at home; empty for those who start later."""
        if self.user_type == "External":
            return f"{self.login}@agency.example"
        return "" if self.home == "hr" else f"{self.login}@{DOMAINS[self.home]}"

    @property
    def former_login(self) -> str | None:
        """The login before the family name changed."""
        return ascii_login(self.given, self.former_family) if self.former_family else None

    @property
    def active(self) -> bool:
        """Whether the tenant that is their home has them enabled."""
        return self.enabled_in_corp if self.home == "corp" else self.home == "acquired" and self.enabled_in_acquired

    @property
    def shared(self) -> bool:
        """Whether both tenants know them."""
        return bool(self.corp and self.acquired)

    def known_as(self, tenant: Tenant) -> Literal["member", "guest"] | None:
        """What a tenant takes them for."""
        return self.corp if tenant == "corp" else self.acquired

    def email_in(self, tenant: Tenant) -> str:
        """The address in a tenant: a guest's is the one at home."""
        if self.known_as(tenant) == "guest" or self.user_type == "External":
            return self.email
        login = (self.former_login if tenant in self.stale else None) or self.login
        return f"{login}@{DOMAINS[tenant]}"

    def user_name_in(self, tenant: Tenant) -> str:
        """The login in a tenant: corp's are addresses, acquired's are short, a guest's says where they come from."""
        if self.known_as(tenant) == "guest":
            return f"{self.email.replace('@', '_')}#EXT#@{DOMAINS[tenant]}"
        address = self.email_in(tenant)
        return address if tenant == "corp" else address.partition("@")[0]


@dataclass(frozen=True)
class World:
    """Everything about one company. `people` in order of key; groups of a tenant come after the groups in them."""

    seed: int
    people: tuple[Person, ...]
    corp_groups: tuple[Group, ...]
    acquired_groups: tuple[Group, ...]
    joiner: Person
    strangers: tuple[Name, ...]

    def known_to(self, tenant: Tenant) -> tuple[Person, ...]:
        """People with an account in a tenant."""
        return tuple(each for each in self.people if each.known_as(tenant))

    def groups(self, tenant: Tenant) -> tuple[Group, ...]:
        """A tenant's groups."""
        return self.corp_groups if tenant == "corp" else self.acquired_groups

    def scim_users(self, tenant: Tenant) -> list[dict[str, Any]]:
        """A tenant's users as bodies of `POST /Users` (RFC 7643, 4.1 and 4.3)."""
        return [scim_user(each, tenant) for each in self.known_to(tenant)]

    def hr_csv(self) -> str:
        """The HR export before anything happens, with a header; ids are padded with zeros, as HR likes them."""
        return hr_csv(self.people)

    def existing(self) -> dict[str, Any]:
        """Seeds of the stand-ins, `{"jira": …, "confluence": …}`: 150 hand-made users and 12 groups each."""
        from sandbox.world_existing import existing

        return existing(self)

    def events(self) -> tuple[Event, ...]:
        """A leaver, a rename and a joiner, in this order."""
        from sandbox.world_events import events

        return events(self)


def company(seed: int = 1, *, corp: int = 300, acquired: int = 200, shared: int = 60) -> World:
    """`corp` and `acquired` accounts, `shared` people in both; and HR's starters. ValueError when the numbers leave no room."""
    if shared < 0 or min(corp, acquired) - shared < LEAST:
        raise ValueError(f"each tenant needs at least {LEAST} people of its own beside those that both know")
    random_ = random.Random(seed)
    names = deck(random_)
    twins, rest = shared - shared // 3, shared // 3
    people = [
        *(_person(random_, names, "corp", corp="member", acquired="member") for _ in range(twins)),
        *(_person(random_, names, "corp", corp="member", acquired="guest") for _ in range(rest - rest // 2)),
        *(_person(random_, names, "acquired", corp="guest", acquired="member") for _ in range(rest // 2)),
        *(_person(random_, names, "corp", corp="member") for _ in range(corp - shared)),
        *(_person(random_, names, "acquired", acquired="member") for _ in range(acquired - shared)),
        *(_person(random_, names, "hr") for _ in range(STARTERS)),
    ]
    people = [replace(each, key=f"p{place:04}") for place, each in enumerate(people, 1)]
    numbers = iter(range(FIRST_NUMBER, FIRST_NUMBER + len(people) + 1))
    people = [replace(each, employee_number=str(number)) for each, number in zip(people, numbers, strict=False)]
    _make_odd(people, twins, first=shared, second=corp)
    _rename(people, twins, first=shared)
    joiner = _person(random_, names, "corp", corp="member")
    joiner = replace(joiner, key=f"p{len(people) + 1:04}", employee_number=str(next(numbers)))
    return World(
        seed,
        tuple(people),
        corp_groups(random_, people),
        acquired_groups(people),
        joiner,
        tuple(next(names) for _ in range(60)),
    )


def _person(random_: random.Random, names: Any, home: Literal["corp", "acquired", "hr"], **known: Any) -> Person:
    name: Name = next(names)
    jobs = CREWS if home == "acquired" else TEAMS
    department = random_.choice(list(jobs))
    grade = random_.choice(GRADES)
    return Person("", name.given, name.family, name.login, None, department, jobs[department], grade, home, **known)


def _make_odd(people: list[Person], twins: int, *, first: int, second: int) -> None:
    """Disabled people, contractors and externals, in place. `first`: where people of corp alone start, `second`: of acquired."""
    corp, acquired = range(first, second), range(second, len(people) - STARTERS)

    def change(places: Any, **values: Any) -> None:
        for place in places:
            people[place] = replace(people[place], **values)

    change(range(twins)[:4], enabled_in_acquired=False)  # they moved to corp
    change(range(twins)[4:6], enabled_in_corp=False)  # left; the acquired tenant has not heard of it
    change(corp[10:18], enabled_in_corp=False)
    change(acquired[5:11], enabled_in_acquired=False)
    outside = corp[-(NO_NUMBER_CONTRACTORS + EXTERNALS) :] if len(corp) > 2 * LEAST else ()
    change(outside, employee_number=None, in_hr=False, user_type="Contractor")
    change(outside[-EXTERNALS:], user_type="External")
    change(acquired[-min(NOT_YET_IN_HR, len(acquired) // 2) :], in_hr=False)


def _rename(people: list[Person], twins: int, *, first: int) -> None:
    """Gives ten people, in place, a family name of before; two of them still have it in acquired."""
    for place, former in zip([*range(twins)[6:8], *range(first + 20, first + 28)], FORMER, strict=False):
        stale = frozenset({"acquired"}) if people[place].acquired else frozenset[str]()
        people[place] = replace(people[place], former_family=former, stale=stale)


def scim_user(person: Person, tenant: Tenant) -> dict[str, Any]:
    """A person as one tenant tells of them: the body of `POST /Users`."""
    guest, stale = person.known_as(tenant) == "guest", tenant in person.stale
    family = person.former_family if stale and person.former_family else person.family
    emails: list[dict[str, Any]] = [{"value": person.email_in(tenant), "type": "work", "primary": True}]
    if person.former_login and not stale:
        emails.append({"value": f"{person.former_login}@{DOMAINS[tenant]}", "type": "other"})
    extension: dict[str, Any] = {} if guest else {"department": person.department, "organization": tenant.title()}
    if person.employee_number and not guest:
        extension["employeeNumber"] = person.employee_number
    return {
        "schemas": [USER, ENTERPRISE] if extension else [USER],
        "userName": person.user_name_in(tenant),
        "name": {"givenName": person.given, "familyName": family},
        "displayName": f"{person.given} {family}",
        "emails": emails,
        "active": person.enabled_in_corp if tenant == "corp" else person.enabled_in_acquired,
        "userType": "Guest" if guest else person.user_type,
        **({} if guest else {"title": person.title}),
        **({ENTERPRISE: extension} if extension else {}),
    }


def hr_csv(people: tuple[Person, ...]) -> str:
    """HR's export of those with a number whom it already keeps."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HR_COLUMNS)
    for each in people:
        if each.employee_number and each.in_hr:
            status = "preboarding" if each.home == "hr" else "active" if each.active else "left"
            number, title = each.employee_number.zfill(7), f"{each.grade}{each.title}, {each.department}"
            last_day = LEFT_ON if status == "left" else ""
            writer.writerow((number, each.given, each.family, each.email, each.department, title, status, last_day))
    return text.getvalue()
