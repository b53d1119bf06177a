"""What happens to the company later: a leaver, a rename, a joiner, each as the SCIM requests that say so and HR's next export."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from sandbox.world import Person, Tenant, World, hr_csv, scim_user

PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


@dataclass(frozen=True)
class Request:
    """One SCIM request to a tenant. `{user:NAME}` and `{group:NAME}` in path and body stand for ids, known when it is sent."""

    tenant: Tenant
    method: Literal["POST", "PATCH", "DELETE"]
    path: str
    body: dict[str, Any]


@dataclass(frozen=True)
class Event:
    """`before` and `after` are the person; `hr_csv` is HR's export from now on (the same text where HR has not heard of it)."""

    kind: Literal["leaver", "rename", "joiner"]
    words: str
    before: Person | None
    after: Person
    requests: tuple[Request, ...]
    hr_csv: str


def events(world: World) -> tuple[Event, ...]:
    """The three events, each on top of the one before. All three concern people of corp alone with a number."""
    own = [each for each in world.people if each.home == "corp" and not each.acquired and each.active]
    plain = [each for each in own if not each.former_family and each.in_hr]
    leaver, renamed = plain[0], next(each for each in plain[1:] if each.family.isascii())
    return (_leaver(world, leaver), _rename(world, renamed), _joiner(world, renamed))


def _patch(*operations: dict[str, Any]) -> dict[str, Any]:
    return {"schemas": [PATCH], "Operations": list(operations)}


def _leaver(world: World, person: Person) -> Event:
    """Corp disables somebody at once; HR's export will say so only at the end of the month."""
    body = _patch({"op": "replace", "path": "active", "value": False})
    request = Request("corp", "PATCH", f"Users/{{user:{person.user_name_in('corp')}}}", body)
    after = replace(person, enabled_in_corp=False)
    return Event("leaver", f"{person.display_name} is disabled in corp", person, after, (request,), world.hr_csv())


def _renamed(person: Person) -> Person:
    """The person with another family name, hence another login and address."""
    family = "Merriweather"
    login = f"{person.login.partition('.')[0]}.{family.lower()}"
    return replace(person, family=family, login=login, former_family=person.family)


def _rename(world: World, person: Person) -> Event:
    after = _renamed(person)
    body = scim_user(after, "corp")
    operations = [
        {"op": "replace", "path": "name.familyName", "value": after.family},
        *({"op": "replace", "path": name, "value": body[name]} for name in ("displayName", "userName", "emails")),
    ]
    request = Request("corp", "PATCH", f"Users/{{user:{person.user_name_in('corp')}}}", _patch(*operations))
    words = f"{person.display_name} is {after.display_name} now"
    return Event("rename", words, person, after, (request,), hr_csv(_people(world, person)))


def _joiner(world: World, renamed: Person) -> Event:
    after, group = world.joiner, f"Team-{world.joiner.department}"
    member = {"value": f"{{user:{after.user_name_in('corp')}}}", "type": "User"}
    requests = (
        Request("corp", "POST", "Users", scim_user(after, "corp")),
        Request(
            "corp",
            "PATCH",
            f"Groups/{{group:{group}}}",
            _patch({"op": "add", "path": "members", "value": [member]}),
        ),
    )
    words = f"{after.display_name} joins {group}"
    return Event("joiner", words, None, after, requests, hr_csv((*_people(world, renamed), after)))


def _people(world: World, renamed: Person) -> tuple[Person, ...]:
    """The people after the rename; the leaver is as HR still sees them."""
    return tuple(_renamed(each) if each.key == renamed.key else each for each in world.people)
