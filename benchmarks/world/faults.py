"""The faults of contract section 8.2: duplicates that look alike and the people who are not. One function a fault.

`FAULTS` is the table of all faults: name, section of the contract, what it does (the docstring's first line). The order of
the registry is the order of application: first people and accounts appear, then values are misspelt.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from benchmarks.world.people import (
    ACQUIRED,
    CORP,
    DOMAINS,
    LAB,
    NICKNAMES,
    NOW,
    PARTNER,
    PLANT,
    PUBLIC,
    SHARED,
    Account,
    Person,
    World,
    plain,
)

Fault = Callable[[World], None]
FAULTS: dict[str, tuple[str, Fault]] = {}


def fault(section: str) -> Callable[[Fault], Fault]:
    """Registers a fault under its function's name with the section of the contract that it comes from."""

    def register(function: Fault) -> Fault:
        FAULTS[function.__name__] = (section, function)
        return function

    return register


def native(person: Person) -> Account:
    """The person's account in the home tenant."""
    return person.accounts[0]


def member_of(*tenants: int) -> Callable[[Person], bool]:
    """True for people whose home is one of these."""
    return lambda person: person.home in tenants


@fault("8.2 member + guest")
def guest_of_a_member(world: World) -> None:
    """A member in one tenant is a B2B guest in another, invited under the home address."""
    for person in world.pick(0.03):
        tenant = PARTNER if person.home != PARTNER else CORP
        guest = world.guest(person, tenant, native(person).clean["email"])
        guest.faults.append("guest_of_a_member")
        person.accounts.append(guest)


@fault("8.2 member + external member")
def external_member(world: World) -> None:
    """Cross-tenant sync makes the person an external *member*, linked to the home address."""
    for person in world.pick(0.02, member_of(CORP)):
        account = world.guest(person, ACQUIRED, native(person).clean["email"])
        account.set(user_type="external")
        account.faults.append("external_member")
        person.accounts.append(account)


@fault("8.2 alias vs primary")
def alias_is_primary_elsewhere(world: World) -> None:
    """What is an alias in one tenant is the primary address in another."""
    for person in world.pick(0.02, member_of(CORP)):
        old = f"{plain(person.family).lower()}{person.number}@{SHARED}"
        native(person).set(aliases=[f"{person.number}x@{SHARED}", old])
        account = world.account(person.number, LAB, user_name=old, email=old, **world.about(person))
        account.faults.append("alias_is_primary_elsewhere")
        person.accounts.append(account)


@fault("8.2 plus-addressing, dots")
def dots_and_plus(world: World) -> None:
    """Two people whose addresses differ by a dot, or by a plus tag, in a domain that ignores neither."""
    for person in world.pick(0.01, member_of(CORP, LAB)):
        local, domain = native(person).clean["email"].split("@")
        other_local = local.replace(".", "") if world.random.random() < 0.5 else f"{local}+ext"
        stranger = world.account(
            world.label(), LAB if person.home == CORP else CORP,
            user_name=f"{other_local}@{domain}", email=f"{other_local}@{domain}",
            given_name="Zita", family_name="Fremd", display_name="Zita Fremd",
        )  # fmt: skip
        stranger.faults.append("dots_and_plus")
        for account in person.accounts:
            world.lure(account, stranger, "dots_and_plus")


@fault("8.2 UPN rename, marriage")
def renamed_by_marriage(world: World) -> None:
    """The home account has a new name and keeps the old address as alias; other tenants know the old one."""
    for person in world.pick(0.02, member_of(CORP, PLANT, ACQUIRED)):
        account = native(person)
        old = account.clean["email"]
        family = world.random.choice(("Ashdown", "Birchall", "Fenwick", "Goodspeed", "Inskip"))
        new = f"{plain(person.given).lower()}.{family.lower()}{person.number}@{old.split('@')[1]}"
        account.set(
            user_name=new, email=new, aliases=[old], family_name=family, display_name=f"{person.given} {family}"
        )
        account.faults.append("renamed_by_marriage")


@fault("8.2 rehire")
def rehired(world: World) -> None:
    """A new account under the same HR number beside the disabled one of the first employment."""
    for person in world.pick(0.01, lambda person: bool(native(person).clean["employee_number"])):
        account = native(person)
        old = f"old{person.number}@{account.clean['email'].split('@')[1]}"
        former = world.account(
            person.number, person.home, active=False, status="disabled", user_name=old, email=old,
            employee_number=account.clean["employee_number"], disabled_at=NOW - timedelta(days=500),
            created_at=NOW - timedelta(days=4000), **world.about(person),
        )  # fmt: skip
        former.faults.append("rehired")
        person.accounts.append(former)


@fault("8.2 rehire")
def rehired_under_a_new_number(world: World) -> None:
    """A rehire whose new HR number contradicts the old one: a human decides, no rule joins (so labelled apart)."""
    for person in world.pick(0.01, lambda person: bool(native(person).clean["employee_number"])):
        account = native(person)
        former = world.account(
            world.label(), person.home, active=False, status="disabled", user_name=f"was{person.number}",
            email=account.clean["email"], employee_number=f"{900000 + person.number}",
            disabled_at=NOW - timedelta(days=700), created_at=NOW - timedelta(days=4000), **world.about(person),
        )  # fmt: skip
        former.faults.append("rehired_under_a_new_number")
        for other in person.accounts:
            if other.clean.get("employee_number"):
                world.lure(other, former, "rehired_under_a_new_number")


@fault("8.2 recycled address")
def recycled_address(world: World) -> None:
    """A newcomer got the address of somebody who left: other HR number, or first seen long after the other was disabled."""
    for person in world.pick(0.01, member_of(CORP)):
        left = native(person)
        for account in person.accounts:
            account.set(active=False, status="disabled", disabled_at=NOW - timedelta(days=900))
            account.set(created_at=NOW - timedelta(days=3000), updated_at=NOW - timedelta(days=900))
        given, family = "Nova", f"Neuling{person.number}"
        numbered = world.random.random() < 0.5
        newcomer = world.account(
            world.label(), LAB if left.clean["email"].endswith(SHARED) else CORP,
            user_name=f"n{person.number}", email=left.clean["email"], given_name=given, family_name=family,
            display_name=f"{given} {family}", created_at=NOW - timedelta(days=60),
            employee_number=f"{800000 + person.number}" if numbered else None,
        )  # fmt: skip
        newcomer.faults.append("recycled_address")
        for account in person.accounts:
            world.lure(account, newcomer, "recycled_address")


@fault("8.2 shared mailboxes, 8.4 two people one mailbox")
def two_people_one_mailbox(world: World) -> None:
    """Two people in two tenants carry one team address; nothing else speaks for one human."""
    pairs = world.pick(0.02, lambda person: person.home in {CORP, LAB} and len(person.accounts) < 4)
    corp = [person for person in pairs if person.home == CORP]
    lab = [person for person in pairs if person.home == LAB]
    for one, other in zip(corp, lab, strict=False):
        team = f"team{one.number}@{SHARED}"
        for person in (one, other):
            native(person).set(aliases=[*(native(person).clean["aliases"] or []), team])
            native(person).faults.append("two_people_one_mailbox")
        world.lure(native(one), native(other), "two_people_one_mailbox")


@fault("8.2 shared/resource mailboxes")
def shared_mailbox(world: World) -> None:
    """A disabled mailbox account without a given name whose alias is a person's address."""
    for person in world.pick(0.01, member_of(CORP)):
        address = f"shared-{person.number}@{SHARED}"
        box = world.account(
            world.label(), LAB, "shared", active=False, status="disabled", user_name=address, email=address,
            aliases=[native(person).clean["email"]], display_name=f"Shared mailbox {person.number}",
        )  # fmt: skip
        box.faults.append("shared_mailbox")
        for account in person.accounts:
            world.lure(account, box, "shared_mailbox")


@fault("8.2 service/admin accounts")
def admin_and_service_accounts(world: World) -> None:
    """adm- accounts under the owner's HR number are the owner's, linked and no duplicates; svc- ones under its address nobody's."""
    for person in world.pick(
        0.01, lambda person: person.home == CORP and bool(native(person).clean["employee_number"])
    ):
        owner = native(person)
        admin = world.account(
            person.number, CORP, "admin", user_name=f"adm-{person.number}@corp.example",
            employee_number=owner.clean["employee_number"], display_name=f"adm-{person.number}",
        )  # fmt: skip
        service = world.account(
            world.label(), LAB, "service", user_name=f"svc-{person.number}@lab.example",
            email=f"svc-{person.number}@lab.example", aliases=[owner.clean["email"]], display_name=f"svc-{person.number}",
        )  # fmt: skip
        for extra in (admin, service):
            extra.faults.append("admin_and_service_accounts")
        for account in person.accounts:
            world.lure(account, service, "admin_and_service_accounts")


@fault("8.2 contact objects")
def contact_object(world: World) -> None:
    """A mail contact of an outsider: it shows the outsider's address under a tenant that does not own the domain."""
    for person in world.pick(0.01, member_of(PARTNER)):
        contact = world.account(
            world.label(), CORP, "contact", user_type="external", active=False, status="contact", user_name=None,
            email=native(person).clean["email"], display_name=f"{person.given} {person.family}",
        )  # fmt: skip
        contact.faults.append("contact_object")
        for account in person.accounts:
            world.lure(account, contact, "contact_object")


@fault("8.2 disabled in one, enabled in another")
def disabled_in_one(world: World) -> None:
    """One tenant disabled the person, another still has it enabled: still one person."""
    for person in world.pick(0.03, lambda person: len(person.accounts) > 1):
        person.accounts[-1].set(active=False, status="disabled", disabled_at=NOW - timedelta(days=20))
        person.accounts[-1].faults.append("disabled_in_one")


@fault("8.1 names + department")
def known_by_name_only(world: World) -> None:
    """An account without any key of the person: private address, no number; names, town, department, phone or parts of them."""
    for person in world.pick(0.05, lambda person: person.home != ACQUIRED):
        chance = world.random.random
        about = world.about(person)
        given = NICKNAMES.get(person.given, person.given) if chance() < 0.4 else person.given
        family = person.family
        if chance() < 0.3:
            family = plain(family)
        elif chance() < 0.3 and len(family) > 4:
            place = world.random.randrange(1, len(family) - 1)
            family = family[:place] + family[place + 1 :]
        if chance() < 0.2:
            given, family = family, given
        about |= {"given_name": given, "family_name": family, "display_name": f"{given} {family}"}
        for name in ("department", "location", "phone", "title"):
            if chance() < 0.35:
                about.pop(name)
        local = f"{plain(given)}{plain(family)}".lower() if chance() < 0.7 else f"user{person.number}"
        about["email"] = f"{local}{person.number % 97}@{world.random.choice(PUBLIC)}"
        account = world.account(person.number, ACQUIRED, user_name=f"ext-{person.number}", **about)
        account.faults.append("known_by_name_only")
        person.accounts.append(account)


@fault("8.4 two people of one name")
def namesakes(world: World) -> None:
    """Different people of the same name, town and department in two tenants: similarity is no proof."""
    for person in world.pick(0.02, member_of(CORP)):
        address = f"namesake{person.number}@{DOMAINS[ACQUIRED][0]}"
        double = world.account(
            world.label(), ACQUIRED, user_name=address, email=address, given_name=person.given,
            family_name=person.family, display_name=f"{person.given} {person.family}",
            department=person.facts["department"], location=person.facts["location"],
            phone=f"+49 40 {world.random.randint(1000000, 9999999)}",
            employee_number=f"{700000 + person.number}",
        )  # fmt: skip
        double.faults.append("namesakes")
        world.lure(native(person), double, "namesakes")


@fault("8.1 several HR systems with overlapping ranges")
def same_number_of_another_issuer(world: World) -> None:
    """Every number of acme-hr exists in acq-hr too: equal digits of two issuers are two people."""
    acquired = {person.number: person for person in world.persons if person.home == ACQUIRED}
    for person in world.pick(0.02, member_of(CORP)):
        other = acquired.get(person.number + 1) or acquired.get(person.number - 1)
        if other and native(person).clean["employee_number"] and native(other).clean["employee_number"]:
            native(other).set(employee_number=native(person).clean["employee_number"])
            native(other).faults.append("same_number_of_another_issuer")
            world.lure(native(person), native(other), "same_number_of_another_issuer")
