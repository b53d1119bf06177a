"""Users, groups and edges in memory, as a product's own user directory holds them. Knows neither HTTP nor a vendor's words.

Names are compared without regard to case, keys with it. Every change raises `revision`; what is costly to compute is
kept until the next change. Not locked: the stand-in that owns a directory handles one request at a time.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypeVar

INTERNAL = "internal"
READ_ONLY, LOCAL_GROUPS = "read_only", "read_only_local_groups"
T = TypeVar("T")


def fold(name: str) -> str:
    """A name as the products compare it."""
    return unicodedata.normalize("NFC", name).casefold()


@dataclass(frozen=True)
class User:
    """A user; `number` rises with creation, `leads` marks one whom Jira will neither deactivate nor delete."""

    number: int
    key: str
    name: str
    email: str
    display_name: str
    active: bool = True
    directory: str = INTERNAL
    leads: bool = False


@dataclass
class Group:
    """A group: its name as created, keys of direct members, folded names of the groups directly in it."""

    name: str
    directory: str = INTERNAL
    users: set[str] = field(default_factory=set)
    groups: set[str] = field(default_factory=set)


@dataclass
class Role:
    """What a licence is counted by: who is in one of `groups` and active holds a seat. 0 seats: no limit."""

    key: str
    seats: int
    groups: set[str]
    default_groups: set[str]
    selected_by_default: bool = True


class Directory:
    """All users and groups of a product."""

    def __init__(self, kinds: dict[str, str] | None = None) -> None:
        self.kinds = kinds or {}
        self.users: dict[str, User] = {}
        self.groups: dict[str, Group] = {}
        self.roles: dict[str, Role] = {}
        self.revision = 0
        self._names: dict[str, str] = {}
        self._groups_of: dict[str, set[str]] = defaultdict(set)
        self._number = 0
        self._kept: dict[Any, Any] = {}

    def kept(self, what: object, make: Callable[[], T]) -> T:
        """What `make` returns, computed once for each revision."""
        if what not in self._kept:
            self._kept[what] = make()
        found: T = self._kept[what]
        return found

    def touch(self) -> None:
        """Counts as a change: something has begun that will be one."""
        self.revision += 1

    def _changed(self) -> None:
        self.revision += 1
        self._kept.clear()

    def kind_of(self, directory: str) -> str:
        """`read_write`, `read_only` or `read_only_local_groups`; a directory nobody described is of the last kind."""
        return self.kinds.get(directory, "read_write" if directory == INTERNAL else LOCAL_GROUPS)

    def writable(self, directory: str) -> bool:
        """Whether users and groups of this directory may be changed here."""
        return self.kind_of(directory) == "read_write"

    # Users

    def user(self, name: str) -> User | None:
        """The user of this name, whatever its case."""
        key = self._names.get(fold(name))
        return self.users[key] if key else None

    def next_number(self) -> int:
        """Rises with each call."""
        self._number += 1
        return self._number

    def add_user(self, user: User) -> None:
        """A user with a name and key that nobody has."""
        if user.key in self.users or fold(user.name) in self._names:
            raise ValueError(f"user {user.name} ({user.key}) is there already")
        self.users[user.key] = user
        self._names[fold(user.name)] = user.key
        self._changed()

    def change_user(self, key: str, **fields: Any) -> bool:
        """Replaces fields of a user; whether anything is different now."""
        before = self.users[key]
        after = replace(before, **fields)
        if after == before:
            return False
        del self._names[fold(before.name)]
        self._names[fold(after.name)] = key
        self.users[key] = after
        self._changed()
        return True

    def remove_user(self, key: str) -> None:
        """Takes the user out, and out of its groups."""
        for name in self._groups_of.pop(key, set()):
            self.groups[name].users.discard(key)
        del self._names[fold(self.users.pop(key).name)]
        self._changed()

    # Groups

    def group(self, name: str) -> Group | None:
        """The group of this name, whatever its case."""
        return self.groups.get(fold(name))

    def add_group(self, name: str, directory: str = INTERNAL) -> Group:
        """A group with a name that none has."""
        if fold(name) in self.groups:
            raise ValueError(f"group {name} is there already")
        self.groups[fold(name)] = made = Group(name, directory)
        self._changed()
        return made

    def nest(self, parent: str, child: str) -> None:
        """Puts a group into a group; both must be there (KeyError)."""
        self.groups[fold(parent)].groups.add(fold(self.groups[fold(child)].name))
        self._changed()

    def remove_group(self, name: str) -> None:
        """Takes the group out, and out of groups and roles."""
        gone = fold(name)
        for key in self.groups.pop(gone).users:
            self._groups_of[key].discard(gone)
        for group in self.groups.values():
            group.groups.discard(gone)
        for role in self.roles.values():
            role.groups = {each for each in role.groups if fold(each) != gone}
            role.default_groups = {each for each in role.default_groups if fold(each) != gone}
        self._changed()

    def join(self, group: str, key: str) -> bool:
        """Makes the user a direct member; False when it is one."""
        if key in self.groups[fold(group)].users:
            return False
        self.groups[fold(group)].users.add(key)
        self._groups_of[key].add(fold(group))
        self._changed()
        return True

    def leave(self, group: str, key: str) -> bool:
        """Ends a direct membership; False when there is none."""
        if key not in self.groups[fold(group)].users:
            return False
        self.groups[fold(group)].users.discard(key)
        self._groups_of[key].discard(fold(group))
        self._changed()
        return True

    def closure(self, name: str) -> frozenset[str]:
        """Folded names of the group and of every group below it."""
        found, waiting = set[str](), [fold(name)]
        while waiting:
            here = waiting.pop()
            if here not in found and here in self.groups:
                found.add(here)
                waiting.extend(self.groups[here].groups)
        return frozenset(found)

    def parents(self, name: str) -> list[Group]:
        """Groups that this group is directly in, by name."""
        above = self.kept("parents", self._parents).get(fold(name), ())
        return sorted((self.groups[each] for each in above), key=lambda each: each.name)

    def _parents(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = defaultdict(set)
        for name, group in self.groups.items():
            for child in group.groups:
                found[child].add(name)
        return found

    def member_keys(self, name: str, *, nested: bool) -> set[str]:
        """Keys of a group's users, with those of its subgroups when `nested`."""
        groups: Iterable[str] = self.closure(name) if nested else (fold(name),)
        return set[str]().union(*(self.groups[each].users for each in groups))

    def members(self, name: str, *, nested: bool) -> list[User]:
        """Users of a group by name, with those of its subgroups when `nested`."""

        def make() -> list[User]:
            keys = self.member_keys(name, nested=nested)
            return sorted((self.users[key] for key in keys), key=lambda user: fold(user.name))

        return self.kept(("members", fold(name), nested), make)

    def groups_of(self, key: str, *, nested: bool = False) -> list[Group]:
        """Groups the user is in by name, with the groups above them when `nested`."""
        found = set(self._groups_of.get(key, ()))
        waiting = list(found) if nested else []
        while waiting:
            above = {fold(each.name) for each in self.parents(waiting.pop())} - found
            found |= above
            waiting.extend(above)
        return sorted((self.groups[name] for name in found), key=lambda group: group.name)

    # Seats

    def holders(self, role: str) -> frozenset[str]:
        """Keys of the active users who hold a seat."""

        def make() -> frozenset[str]:
            keys = set[str]().union(*(self.member_keys(name, nested=True) for name in self.roles[role].groups))
            return frozenset(key for key in keys if self.users[key].active)

        return self.kept(("holders", role), make)

    def holds(self, role: str, key: str) -> bool:
        """Whether the user holds a seat."""
        groups = {fold(name) for name in self.roles[role].groups}
        return self.users[key].active and any(fold(each.name) in groups for each in self.groups_of(key, nested=True))

    def free_seats(self, role: str) -> int:
        """Seats left, -1 without a limit."""
        seats = self.roles[role].seats
        return max(0, seats - len(self.holders(role))) if seats else -1

    def roles_of_group(self, name: str) -> list[Role]:
        """Roles that membership in this group gives, through the groups above it as well."""
        return [role for role in self.roles.values() if any(fold(name) in self.closure(each) for each in role.groups)]

    def state(self) -> dict[str, Any]:
        """Everything, in an order that depends on nothing but itself: users by key, groups by name, edges as pairs of names."""
        users = [asdict(self.users[key]) for key in sorted(self.users)]
        for each in users:
            del each["number"]
        groups = [
            {"name": each.name, "directory": each.directory, "groups": sorted(self.groups[g].name for g in each.groups)}
            for each in sorted(self.groups.values(), key=lambda each: each.name)
        ]
        edges = sorted([group.name, self.users[key].name] for group in self.groups.values() for key in group.users)
        return {"users": users, "groups": groups, "edges": edges}
