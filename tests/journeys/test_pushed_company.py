"""Two Entra tenants and one Okta org push the same company into one inbox, each with its own token; Jira ends right, whoever unassigns whom."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest

from sandbox.push_entra import Entra
from sandbox.push_okta import Okta
from sandbox.push_people import PushDirectory, PushGroup, PushUser
from sandbox.serve import Sandbox
from tests.company import ROOT, Company, seed

CONFIG = """\
directory: acme
precedence: [corp, acq, west]
tenants:
  corp: {{kind: inbox, mode: live, may: [create, update, deactivate, groups, attributes], verified_domains: [corp.example]}}
  acq:  {{kind: inbox, mode: live, may: [create, update, deactivate, groups, attributes], verified_domains: [acq.example]}}
  west: {{kind: inbox, mode: live, may: [create, update, deactivate, groups, attributes], verified_domains: [west.example]}}
targets:
  jira: {{kind: jira_dc, mode: apply, url: "{jira}", token: env:COMPANY_JIRA, rate: 500}}
  confluence: {{kind: confluence_dc, mode: apply, url: "{confluence}", token: env:COMPANY_CONFLUENCE, rate: 500}}
map: {{user_name: "split_part(person.email, '@', 1)"}}
groups:
  - {{from: {{tenant: corp, name: "Jira-*"}}, to: "lower(group_name)", members: exact, targets: [jira]}}
  - {{from: {{tenant: acq, name: "Jira-*"}}, to: "lower(group_name)", members: exact, targets: [jira]}}
  - {{from: {{tenant: west, name: "Jira-*"}}, to: "lower(group_name)", members: exact, targets: [jira]}}
"""
SERVE = (sys.executable, "-m", "flows", "serve", "--port", "0", "--quiet", "--json", "--no-sync", "--config")
PROVIDERS = {
    "corp": Entra,
    "acq": lambda client, base: Entra(client, flag=True, base=base),
    "west": Okta,
}  # fmt: skip


def users(domain: str, members: str, guests: str = "") -> dict[str, PushUser]:
    """A provider's users: members under its own domain, guests with the userName that they have at home (Entra strips the rest)."""
    own = [PushUser(f"{name}-{domain[0]}", f"{name}@{domain}", name.title(), "Member") for name in members.split()]
    others = [PushUser(f"{n.split('@')[0]}-{domain[0]}-guest", n, n.split("@")[0].title(), "Guest", user_type="Guest") for n in guests.split()]  # fmt: skip
    return {each.id: each for each in (*own, *others)}


@dataclass
class Pushing:
    """The company, its three providers, and what each of them holds."""

    company: Company
    providers: dict[str, Entra | Okta]
    directories: dict[str, PushDirectory]

    def cycle(self) -> None:
        """One cycle of each, in turn; nothing may fail."""
        for name, provider in self.providers.items():
            assert provider.cycle(self.directories[name]).failed == [], name

    def change(self, tenant: str, user_id: str, **fields: object) -> None:
        """Another fact about a provider's user."""
        held = self.directories[tenant].users
        held[user_id] = replace(held[user_id], **fields)

    def sync(self) -> dict:
        """A sync that must not hold anything back."""
        code, document, err = self.company.run("sync", "--apply")
        assert code == 0, (document, err)
        return document

    def jira(self) -> tuple[dict[str, bool], dict[str, set[str]]]:
        """User names and whether they are active; members of our groups."""
        held = self.company.holds()["jira"]
        edges: dict[str, set[str]] = {}
        for group, user in self.company.box.state("jira")["edges"]:
            edges.setdefault(group, set()).add(user)
        return {name: each["active"] for name, each in held["users"].items()}, edges


@pytest.fixture
def pushing(tmp_path: Path) -> Iterator[Pushing]:
    """Everything was pushed once, sealed, approved and applied."""
    with ExitStack() as stack:
        box = stack.enter_context(Sandbox({"jira": seed(), "confluence": seed()}, rate=None))
        company = Company(tmp_path / "acme", box)
        company.write(CONFIG)
        tokens = {name: company.run("token", "new", name)[1]["token"] for name in PROVIDERS}
        served = subprocess.Popen(
            [*SERVE, str(company.folder / "onefold.yaml")],
            cwd=ROOT,
            env={**os.environ, **company.environment},
            stdout=subprocess.PIPE,
            text=True,
        )
        stack.callback(lambda: (served.terminate(), served.wait(30), served.stdout.close()))
        url = json.loads(served.stdout.readline())["url"].removesuffix("/scim/v2")
        providers = {}
        for name, make in PROVIDERS.items():
            client = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {tokens[name]}"}, timeout=30)
            providers[name] = make(stack.enter_context(client), base="/scim/v2")
        directories = {
            "corp": PushDirectory(
                users("corp.example", "ada bob cem dora"),
                {"g": PushGroup("g", "Jira-Crew", frozenset({"ada-c", "bob-c"}))},
            ),
            "acq": PushDirectory(
                users("acq.example", "zoe yan", "ada@corp.example bob@corp.example"),
                {"g": PushGroup("g", "Jira-Acquired", frozenset({"zoe-a", "ada-a-guest", "bob-a-guest"}))},
            ),
            "west": PushDirectory(
                users("west.example", "wim vera", "cem@corp.example ada@corp.example"),
                {"g": PushGroup("g", "Jira-West", frozenset({"wim-w", "cem-w-guest"}))},
            ),
        }
        one = Pushing(company, providers, directories)
        one.cycle()
        for name, directory in directories.items():
            assert company.run("inbox", "seal", name, "--users", str(len(directory.users)), "--groups", "1")[0] == 0
        _, plan, _ = company.run("plan")
        company.run("approve", plan["digest"])
        company.run("apply", plan["digest"])
        one.sync()
        yield one


EVERYBODY = {"admin", "ada", "bob", "cem", "dora", "zoe", "yan", "wim", "vera"}


def test_three_providers_push_one_company(pushing: Pushing):
    """Eight people of twelve accounts are eight users, groups hold members and guests, and nothing is sent a second time."""
    active, edges = pushing.jira()
    assert {name for name, on in active.items() if on} == EVERYBODY
    assert edges["jira-crew"] == {"ada", "bob"}
    assert edges["jira-acquired"] == {"zoe", "ada", "bob"}
    assert edges["jira-west"] == {"wim", "cem"}
    pushing.cycle()
    pushing.company.box.reset_audit()
    pushing.sync()
    assert pushing.company.box.audit("jira")["writes"] == 0
    assert pushing.company.box.audit("confluence")["writes"] == 0


def test_a_guest_is_unassigned_and_the_member_keeps_access(pushing: Pushing):
    """acq unassigns its guest ada, west deactivates its guest cem: both are members of corp and stay active, ada in corp's group too."""
    pushing.change("acq", "ada-a-guest", in_scope=False)
    pushing.change("west", "cem-w-guest", active=False)
    pushing.cycle()
    verbs = {each["verb"] for each in pushing.sync()["changes"]}
    assert verbs <= {"remove_member"}
    active, edges = pushing.jira()
    assert {name for name, on in active.items() if on} == EVERYBODY
    assert edges["jira-crew"] == {"ada", "bob"}


def test_a_member_leaves_though_another_tenant_says_active(pushing: Pushing):
    """corp disables bob; acq's guest record of him still says active: he loses access in Jira, and nobody else does."""
    pushing.change("corp", "bob-c", active=False)
    pushing.cycle()
    pushing.sync()
    active, _ = pushing.jira()
    assert {name for name, on in active.items() if on} == EVERYBODY - {"bob"}
    pushing.change("corp", "bob-c", active=True)  # memberships are not sent again when he returns
    pushing.cycle()
    pushing.sync()
    active, edges = pushing.jira()
    assert active["bob"]
    assert "bob" in edges["jira-crew"]
