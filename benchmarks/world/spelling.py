"""The faults of contract section 8.4 that spoil values: numbers, addresses, names, immutable ids, times. One function a fault.

Where a rule of the contract says that the spelling carries no meaning, the truth (`clean`) stays and the rules are
expected to see through it; where the value is lost, the truth loses it too.
"""

from __future__ import annotations

import base64
import itertools
import unicodedata
import uuid
from datetime import timedelta

from benchmarks.world.faults import fault, native
from benchmarks.world.people import ACQUIRED, CORP, HR, LAB, NOW, PLANT, Account, World, plain

ADDRESSES = ("email", "home_email", "aliases")


def _has(name: str, *where: int) -> object:
    return lambda account: bool(account.clean.get(name)) and (not where or account.tenant in where)


@fault("8.4 blank or placeholder HR ids")
def placeholder_numbers(world: World) -> None:
    """Blank, 0, N/A, 999999, none: many people seem to share a number; nobody has one."""
    for place, account in enumerate(world.some(0.03, _has("employee_number"))):
        account.set(
            employee_number=("", "0", "N/A", "999999", "none", "-", "000000", "n/a", "TBD", "unknown")[place % 10]
        )
        account.clean["employee_number"] = None
        account.faults.append("placeholder_numbers")


@fault("8.4 numeric HR ids turned to floats")
def numbers_as_floats(world: World) -> None:
    """001234 went through a spreadsheet: 1234.0."""
    for account in world.some(0.04, _has("employee_number", HR)):
        account.spell(employee_number=f"{int(account.clean['employee_number'])}.0")
        account.faults.append("numbers_as_floats")


@fault("8.4 stripped of zeros")
def numbers_without_zeros(world: World) -> None:
    """001234 lost its leading zeros: 1234."""
    for account in world.some(0.06, _has("employee_number", HR, PLANT)):
        account.spell(employee_number=str(int(account.clean["employee_number"])))
        account.faults.append("numbers_without_zeros")


@fault("8.4 duplicate mail inside one tenant")
def duplicate_mail_in_one_tenant(world: World) -> None:
    """Two enabled members of one tenant show the same primary address; they are two people."""
    people = world.pick(0.02, lambda person: person.home == CORP)
    for one, other in zip(people[::2], people[1::2], strict=False):
        native(other).set(email=native(one).clean["email"])
        native(other).faults.append("duplicate_mail_in_one_tenant")
        world.lure(native(one), native(other), "duplicate_mail_in_one_tenant")


@fault("8.4 mail without verified domain")
def mail_of_a_foreign_domain(world: World) -> None:
    """An account writes an address of another tenant's domain into its profile: a claim, not a proof, and a false one."""
    for person in world.pick(0.01, lambda person: person.home == CORP):
        claimer = world.account(
            world.label(), ACQUIRED, user_name=f"claims{person.number}@acq.example",
            email=native(person).clean["email"], given_name="Kai", family_name=f"Falsch{person.number}",
            display_name=f"Kai Falsch{person.number}",
        )  # fmt: skip
        claimer.faults.append("mail_of_a_foreign_domain")
        for account in person.accounts:
            if account.clean["user_type"] == "member":
                world.lure(account, claimer, "mail_of_a_foreign_domain")


def _spell_addresses(world: World, share: float, name: str, how: object) -> None:
    for account in world.some(share, _has("email")):
        account.spell(email=how(account.values["email"]))
        account.faults.append(name)


@fault("8.4 upper/lower variants")
def case_of_addresses(world: World) -> None:
    """Addresses and logins in capitals."""
    _spell_addresses(world, 0.05, "case_of_addresses", str.upper)


@fault("8.4 trailing spaces")
def trailing_spaces(world: World) -> None:
    """Blanks, a tab or a no-break space around values."""
    _spell_addresses(world, 0.02, "trailing_spaces", lambda text: f" {text}\u00a0\t")
    for account in world.some(0.02, _has("employee_number")):
        account.spell(employee_number=f"{account.values['employee_number']} ")
        account.faults.append("trailing_spaces")


@fault("8.4 zero-width characters")
def zero_width(world: World) -> None:
    """A zero-width space or a byte order mark inside an address."""
    _spell_addresses(world, 0.01, "zero_width", lambda text: "\ufeff" + text[:3] + "\u200b" + text[3:])


@fault("8.4 full-width")
def full_width(world: World) -> None:
    """Addresses typed on a Japanese keyboard."""
    wide = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}
    _spell_addresses(world, 0.01, "full_width", lambda text: text.translate(wide))


@fault("8.4 NFC/NFD")
def decomposed(world: World) -> None:
    """Names and addresses with decomposed accents."""
    for account in world.some(0.05, _has("family_name")):
        for name in ("given_name", "family_name", "display_name"):
            account.spell(**{name: unicodedata.normalize("NFD", account.values[name])})
        account.faults.append("decomposed")
    for person in world.pick(0.01, lambda person: person.home in {CORP, PLANT, LAB}):
        local = f"jörg.ñandú{person.number}"
        address = f"{local}@acme.example"
        native(person).set(email=address)
        tenant = LAB if person.home != LAB else CORP
        other = world.account(
            person.number, tenant, user_name=f"d{person.number}", email=address, **world.about(person)
        )
        other.spell(email=unicodedata.normalize("NFD", address))
        other.faults.append("decomposed")
        person.accounts.append(other)


@fault("8.4 Turkish dotless i")
def dotless_i(world: World) -> None:
    """Upper-cased in a Turkish locale: i became İ in the address."""
    for account in world.some(0.01, lambda account: "i" in (account.clean.get("email") or "")):
        local, _, domain = account.values["email"].partition("@")
        account.spell(email=f"{local.replace('i', 'İ').upper()}@{domain}")
        account.faults.append("dotless_i")


@fault("8.4 #EXT# UPNs as e-mail")
def ext_upn_as_mail(world: World) -> None:
    """A guest's #EXT# login stands in its mail field; the home address must come from elsewhere or be read out of it."""
    for account in world.some(0.15, lambda account: account.clean["user_type"] == "guest"):
        account.spell(email=account.values["user_name"], home_email=None)
        account.faults.append("ext_upn_as_mail")


@fault("8.4 SMTP: prefix left on")
def smtp_prefix(world: World) -> None:
    """ProxyAddresses copied raw: SMTP: before the primary, smtp: before the alias."""
    for account in world.some(0.03, _has("email")):
        account.spell(email=f"SMTP:{account.values['email']}")
        if account.values.get("aliases"):
            account.spell(aliases=[f"smtp:{alias}" for alias in account.values["aliases"]])
        account.faults.append("smtp_prefix")


@fault("8.4 GUID byte order")
def guid_bytes(world: World) -> None:
    """One tenant shows objectGUID as text, the other as base64 of its little-endian bytes (onPremisesImmutableId)."""
    for account in world.some(0.5, _has("immutable_id", CORP)):
        account.spell(immutable_id=base64.b64encode(uuid.UUID(account.clean["immutable_id"]).bytes_le).decode())
        account.faults.append("guid_bytes")


@fault("8.4 base64 padding lost")
def padding_lost(world: World) -> None:
    """The same base64 without its closing =."""
    for account in world.some(0.3, _has("immutable_id", CORP)):
        account.spell(
            immutable_id=base64.b64encode(uuid.UUID(account.clean["immutable_id"]).bytes_le).decode().rstrip("=")
        )
        account.faults.append("padding_lost")


@fault("8.4 merged tenant copies with identical immutableId")
def cloned_template(world: World) -> None:
    """Accounts copied from a template carry its immutable id; they are different people of one tenant."""
    people = world.pick(0.006, lambda person: person.home == PLANT)
    shared = str(uuid.UUID(int=world.random.getrandbits(128)))
    for person in people:
        native(person).set(immutable_id=shared)
        native(person).faults.append("cloned_template")
    for one, other in itertools.pairwise(people):
        world.lure(native(one), native(other), "cloned_template")


@fault("8.4 swapped given/family names")
def swapped_names(world: World) -> None:
    """Given and family name in each other's field."""
    for account in world.some(0.03, _has("family_name")):
        given, family = account.values["given_name"], account.values["family_name"]
        account.spell(given_name=family, family_name=given, display_name=f"{family} {given}")
        account.faults.append("swapped_names")


@fault("8.4 transliteration")
def transliterated(world: World) -> None:
    """Müller is Mueller in the next system."""
    for account in world.some(0.05, _has("family_name")):
        given, family = plain(account.values["given_name"]), plain(account.values["family_name"])
        account.spell(given_name=given, family_name=family, display_name=f"{given} {family}")
        account.faults.append("transliterated")


@fault("8.4 permission gap giving null fields")
def permission_gap(world: World) -> None:
    """The credential may list the account and see nothing of it: every field null."""
    for account in world.some(0.002, lambda account: account.tenant in {ACQUIRED, LAB}):
        account.set(**dict.fromkeys(account.clean))
        account.set(user_type="member", active=True)
        account.faults.append("permission_gap")


@fault("8.4 clock skew on lastUpdated")
def clock_skew(world: World) -> None:
    """A tenant's clock runs a day ahead, another's a day behind."""
    for account in world.some(0.02, lambda account: account.clean.get("updated_at") is not None):
        account.set(updated_at=NOW + timedelta(days=world.random.choice((-1, 1))))
        account.faults.append("clock_skew")


@fault("8.4 soft-deleted twin with same UPN")
def soft_deleted_twin(world: World) -> None:
    """The deleted first account of a person still stands in the recycle bin under the same login and number."""
    for person in world.pick(0.01, lambda person: bool(native(person).clean["email"])):
        account = native(person)
        twin = world.account(person.number, person.home, **{**account.clean, "active": False, "status": "deleted"})
        twin.set(deleted_at=NOW - timedelta(days=10), disabled_at=NOW - timedelta(days=10), immutable_id=None)
        twin.faults.append("soft_deleted_twin")
        person.accounts.append(twin)


@fault("8.4 pending guest")
def pending_guest(world: World) -> None:
    """An invitation nobody accepted yet: not active, the home address is all it has."""
    for person in world.pick(0.01):
        guest: Account = world.guest(
            person, ACQUIRED if person.home != ACQUIRED else LAB, native(person).clean["email"]
        )
        guest.set(active=False, status="PendingAcceptance", display_name=None)
        guest.faults.append("pending_guest")
        person.accounts.append(guest)


@fault("8.4 suspended vs archived")
def suspended_or_archived(world: World) -> None:
    """A vendor's two ways of not being active."""
    for place, account in enumerate(world.some(0.02, lambda account: account.tenant == LAB)):
        account.set(active=False, status=("suspended", "archived")[place % 2])
        account.faults.append("suspended_or_archived")


@fault("8.4 transitive closure errors")
def bridge_of_three(world: World) -> None:
    """A~B by mail and B~C by HR number: the middle record mixes two people; the numbers of the ends contradict."""
    people = world.pick(0.02, lambda person: person.home == CORP and bool(native(person).clean["employee_number"]))
    for one, other in zip(people[::2], people[1::2], strict=False):
        native(one).set(aliases=[*(native(one).clean["aliases"] or []), f"bridge{one.number}@acme.example"])
        mixed = world.account(
            other.number, LAB, user_name=f"bridge{one.number}", email=f"bridge{one.number}@acme.example",
            employee_number=native(other).clean["employee_number"], **world.about(other),
        )  # fmt: skip
        mixed.faults.append("bridge_of_three")
        for account in one.accounts:
            world.lure(account, native(other), "bridge_of_three")
            world.lure(account, mixed, "bridge_of_three")
        other.accounts.append(mixed)


STRUCTURAL = (
    "duplicate_mail_in_one_tenant",
    "mail_of_a_foreign_domain",
    "cloned_template",
    "soft_deleted_twin",
    "pending_guest",
    "bridge_of_three",
)
