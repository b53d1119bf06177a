"""The truth about pairs, from the clean values and the design's list of strong keys: never from what the rules do."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from benchmarks.world.people import DOMAINS, HR, ISSUER, PUBLIC, Account, World

Pair = tuple[int, int]
OWNED = {domain for tenant, domains in DOMAINS.items() if tenant != HR for domain in domains}


def strong_keys(account: Account) -> set[str]:
    """What design section 5 lets join accounts: immutable id, HR number of an issuer, home link, verified address or login.

    A guest holds its home address as a link; a member holds an address where its tenant verified the domain, or where it
    is the primary one of a domain that is neither public nor anybody else's.
    """
    clean = account.clean
    keys: set[str] = set()
    if account.role not in {"person", "admin"}:
        return keys
    if clean.get("immutable_id"):
        keys.add(f"immutable {clean['immutable_id']}")
    if clean.get("employee_number"):
        keys.add(f"number {ISSUER[account.tenant]} {clean['employee_number']}")
    if clean.get("user_type") != "member":
        if clean.get("home_email"):
            keys.add(f"address {clean['home_email'].lower()}")
        return keys
    own = set(DOMAINS[account.tenant]) if account.tenant != HR else set()
    for name in ("email", "user_name"):
        domain = str(clean.get(name) or "").partition("@")[2].lower()
        if domain and (domain in own or (name == "email" and domain not in OWNED and domain not in PUBLIC)):
            keys.add(f"address {clean[name].lower()}")
    for alias in clean.get("aliases") or ():
        if alias.partition("@")[2].lower() in own:
            keys.add(f"address {alias.lower()}")
    return keys


def pairs(members: Iterable[int]) -> Iterable[Pair]:
    """All pairs of these keys, the smaller first."""
    ordered = sorted(members)
    return ((one, other) for place, one in enumerate(ordered) for other in ordered[place + 1 :])


def _vetoed(one: Account, other: Account) -> bool:
    """Of one person, and yet kept apart by a rule of the design: a second enabled member account in one tenant.

    An admin's second account is linked, not kept apart (contract section 8.2: one person may own several accounts).
    """
    if "admin" in {one.role, other.role}:
        return False
    both = one.tenant == other.tenant and one.clean.get("user_type") == other.clean.get("user_type") == "member"
    return both and bool(one.clean.get("active")) and bool(other.clean.get("active"))


def true_pairs(world: World) -> set[Pair]:
    """Every pair of one person that no veto of the design keeps apart."""
    by_person: dict[int, list[Account]] = defaultdict(list)
    for account in world.accounts:
        by_person[account.person].append(account)
    by_key = {account.key: account for account in world.accounts}
    return {
        pair
        for accounts in by_person.values()
        for pair in pairs(account.key for account in accounts)
        if not _vetoed(by_key[pair[0]], by_key[pair[1]])
    }


def strong_pairs(world: World) -> set[Pair]:
    """The true pairs that the person's own strong keys connect, over other accounts of the same person too.

    A key that two people hold (a recycled address, a template's id) is nobody's own.
    """
    holders: dict[str, list[Account]] = defaultdict(list)
    for account in world.accounts:
        for key in strong_keys(account):
            holders[key].append(account)
    root = {account.key: account.key for account in world.accounts}

    def find(key: int) -> int:
        while root[key] != key:
            root[key] = root[root[key]]
            key = root[key]
        return key

    for accounts in holders.values():
        if len({account.person for account in accounts}) == 1:
            for account in accounts[1:]:
                root[find(account.key)] = find(accounts[0].key)
    return {pair for pair in true_pairs(world) if find(pair[0]) == find(pair[1])}


def counted_faults(world: World) -> Counter[str]:
    """How many accounts each fault spoilt."""
    return Counter(name for account in world.accounts for name in account.faults)
