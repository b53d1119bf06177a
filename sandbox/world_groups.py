"""Groups of the company's two tenants: nested, without circles. Who the people are is in `world`."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox.world import Person

TEAMS = {
    "Platform": "Engineer",
    "Payments": "Engineer",
    "Mobile": "Engineer",
    "Data": "Analyst",
    "Support": "Agent",
    "Finance": "Controller",
    "People": "Partner",
    "Sales": "Consultant",
}
CREWS = {"Backend": "Engineer", "Frontend": "Engineer", "Quality": "Tester", "Office": "Assistant"}


@dataclass(frozen=True)
class Group:
    """A group of one tenant: user names of members, and names of the groups in it."""

    name: str
    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


def corp_groups(random_: random.Random, people: Sequence[Person]) -> tuple[Group, ...]:
    """Teams, and what Jira and Confluence are to know of them: four levels deep, guests in, one group empty."""
    known = [each for each in people if each.corp]
    members = [each for each in known if each.corp == "member" and each.user_type != "External"]
    teams = {name: tuple(each.user_name_in("corp") for each in members if each.department == name) for name in TEAMS}
    guests = tuple(each.user_name_in("corp") for each in known if each.corp == "guest")
    testers = tuple(sorted(each.user_name_in("corp") for each in random_.sample(members, min(20, len(members)))))
    return (
        Group("Team-Platform-Oncall", teams["Platform"][:6]),
        Group("Team-Platform", teams["Platform"][6:], ("Team-Platform-Oncall",)),
        *(Group(f"Team-{name}", teams[name]) for name in list(TEAMS)[1:]),
        Group("Jira-Developers", groups=("Team-Platform", "Team-Payments", "Team-Mobile")),
        Group("Jira-Testers", testers),
        Group("Jira-Users", guests, ("Jira-Developers", "Jira-Testers", "Team-Data", "Team-Support")),
        Group("Confluence-Editors", groups=("Jira-Developers", "Team-People", "Team-Support")),
        Group("Confluence-Users", guests, ("Confluence-Editors", "Jira-Users", "Team-Finance", "Team-Sales")),
        Group("All-Staff", tuple(each.user_name_in("corp") for each in members)),
        Group("Cafeteria-Board"),
    )


def acquired_groups(people: Sequence[Person]) -> tuple[Group, ...]:
    """Crews, and groups of them; one has the name of a group of corp."""
    members = [each for each in people if each.acquired == "member"]
    # People of corp who came from there kept the crew that their work resembles.
    crew = {**dict(zip(TEAMS, [*CREWS] * 2, strict=True)), **{name: name for name in CREWS}}
    crews = {
        name: tuple(each.user_name_in("acquired") for each in members if crew[each.department] == name)
        for name in CREWS
    }
    guests = tuple(each.user_name_in("acquired") for each in people if each.acquired == "guest")
    return (
        *(Group(f"Crew-{name}", crews[name]) for name in CREWS),
        Group("Jira-Developers", groups=("Crew-Backend", "Crew-Frontend")),
        Group("Jira-Acquired", guests, ("Jira-Developers", "Crew-Quality")),
        Group("Everyone", groups=("Crew-Backend", "Crew-Frontend", "Crew-Quality", "Crew-Office")),
    )
