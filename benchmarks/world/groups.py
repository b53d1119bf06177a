"""The faults of contract sections 8.2 and 8.4 that concern groups and memberships. One function a fault."""

from __future__ import annotations

import itertools

from benchmarks.world.faults import fault
from benchmarks.world.people import ACQUIRED, CORP, World


def _group(world: World, name: str, tenant: int = CORP) -> int:
    key = len(world.groups) + 1
    world.groups.append({
        "group_key": key, "tenant_key": tenant, "native_id": f"g{key}", "name": name, "description": None,
        "kind": "security", "gone": None,
    })  # fmt: skip
    return key


def _edge(world: World, group: int, member: int, *, nested: bool = False) -> None:
    world.edges.append({"group_key": group, "member_key": member, "nested": nested})


def _members(world: World, tenant: int = CORP) -> list[int]:
    return [account.key for account in world.accounts if account.tenant == tenant]


@fault("8.2 same-named groups in two tenants")
def same_named_groups(world: World) -> None:
    """`Jira Users` exists in two tenants with other members."""
    for tenant in (CORP, ACQUIRED):
        group = _group(world, "Jira Users", tenant)
        for member in _members(world, tenant)[:50]:
            _edge(world, group, member)


@fault("8.4 cyclic or deep nested groups")
def cyclic_and_deep_groups(world: World) -> None:
    """Three groups in a ring, and a chain of fifty with one member at its end."""
    ring = [_group(world, f"Ring {place}") for place in range(3)]
    chain = [_group(world, f"Chain {place}") for place in range(50)]
    for place, group in enumerate(ring):
        _edge(world, group, ring[(place + 1) % 3], nested=True)
        _edge(world, group, _members(world)[place])
    for outer, inner in itertools.pairwise(chain):
        _edge(world, outer, inner, nested=True)
    _edge(world, chain[-1], _members(world)[0])


@fault("8.4 group with >1500 / >20000 members")
def huge_groups(world: World) -> None:
    """A group past LDAP's range and one past every page; both hold all the world where it is smaller."""
    everybody = [account.key for account in world.accounts]
    for size in (1600, 20100):
        group = _group(world, f"Everybody {size}")
        for member in everybody[:size]:
            _edge(world, group, member)


@fault("8.4 members outside scope, deleted member still listed")
def members_who_are_not_there(world: World) -> None:
    """A group lists a deleted account and keys that no listing of accounts has."""
    group = _group(world, "Ghosts")
    world.accounts[0].faults.append("members_who_are_not_there")
    for member in (world.accounts[0].key, 2_000_000_001, 2_000_000_002):
        _edge(world, group, member)


@fault("8.4 user in 1000 groups, empty group")
def many_groups_and_empty_ones(world: World) -> None:
    """One user in a thousand groups; ten groups without anybody."""
    for place in range(1000):
        _edge(world, _group(world, f"Crowd {place}"), world.accounts[0].key)
    for place in range(10):
        _group(world, f"Empty {place}")


@fault("8.4 group renamed to another's old name")
def name_taken_over(world: World) -> None:
    """The old `Alpha` is called `Beta` now, and the old `Beta` is gone: names say nothing about identity."""
    alpha, beta = _group(world, "Beta"), _group(world, "Beta")
    world.groups[beta - 1]["gone"] = "explicit"
    for place, group in enumerate((alpha, beta)):
        _edge(world, group, _members(world)[place])
