"""A small company in files, kept in line with stand-ins: what journeys and kill campaigns drive."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from flows.cli import main
from sandbox.serve import Sandbox

ROOT = Path(__file__).parent.parent
CONFIG = """\
directory: acme
precedence: [corp, hr]
tenants:
  corp:
    kind: files
    mode: live
    may: [create, update, deactivate, groups, attributes]
    verified_domains: [corp.example]
    accounts: {{glob: corp.csv, min_rows: 1, columns: {{native_id: id, active: "active = 'yes'"}}}}
    groups: {{glob: groups.csv, columns: {{native_id: id}}}}
    memberships: {{glob: members.csv}}
  hr:
    kind: files
    mode: live
    may: [attributes]
    accounts: {{glob: hr.csv, max_age: 36h, min_rows: 1, columns: {{native_id: id, employee_number: id}}}}
targets:
  jira: {{kind: jira_dc, mode: apply, url: "{jira}", token: env:COMPANY_JIRA, rate: 500}}
  confluence: {{kind: confluence_dc, mode: apply, url: "{confluence}", token: env:COMPANY_CONFLUENCE, rate: 500}}
adopt: {{by: [employee_number, verified_email, user_name]}}
map: {{user_name: "split_part(person.email, '@', 1)"}}
groups:
  - {{from: {{tenant: corp, name: "Jira-*"}}, to: "lower(group_name)", members: exact, targets: [jira]}}
  - {{from: {{tenant: corp, name: "Wiki-*"}}, to: "lower(group_name)", members: exact, targets: [confluence]}}
"""


@dataclass(frozen=True)
class Somebody:
    """One account of tenant corp."""

    id: str
    name: str
    active: bool = True
    display: str = ""

    @property
    def email(self) -> str:
        """Under the verified domain."""
        return f"{self.name}@corp.example"


def people(number: int) -> list[Somebody]:
    """So many of them."""
    return [Somebody(f"c{place:03}", f"user{place:03}") for place in range(number)]


def seed(users: Iterable[str] = (), groups: Iterable[str] = (), **more: Any) -> dict[str, Any]:
    """What a target holds before we come: hand-made users by name, groups by name."""
    return {
        "users": [
            {"name": name, "email": f"{name}@corp.example", "display_name": f"Old {name}", "active": True, "groups": []}
            for name in users
        ],
        "groups": list(groups),
        **more,
    }


@dataclass
class Company:
    """Files, config and stand-ins of one company. `run` is a command in this process, `spawn` one that can be killed."""

    folder: Path
    box: Sandbox
    people: list[Somebody] = field(default_factory=list)
    groups: dict[str, list[str]] = field(default_factory=dict)  # name -> ids of members; `group:NAME` nests

    def write(self, config: str = CONFIG) -> None:
        """Writes everything anew."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.table(
            "corp.csv",
            ["id", "user_name", "email", "display_name", "active"],
            [
                [each.id, each.name, each.email, each.display or each.name.title(), "yes" if each.active else "no"]
                for each in self.people
            ],
        )
        self.table("groups.csv", ["id", "name"], [[f"g-{name}", name] for name in self.groups])
        edges = [
            [f"g-{name}", f"g-{member.removeprefix('group:')}", "group"]
            if member.startswith("group:")
            else [f"g-{name}", member, "user"]
            for name, members in self.groups.items()
            for member in members
        ]
        self.table("members.csv", ["group_id", "member_id", "member_kind"], edges)
        self.table("hr.csv", ["id", "email"], [["h1", "nobody@hr.example"]])
        text = config.format(jira=self.box.jira.url, confluence=self.box.confluence.url)
        (self.folder / "onefold.yaml").write_text(text, encoding="utf-8")

    def table(self, name: str, header: list[str], rows: Iterable[Iterable[str]]) -> None:
        """One CSV file."""
        with (self.folder / name).open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(header)
            writer.writerows(rows)

    def change(self, person_id: str, **fields: Any) -> None:
        """Another fact about somebody; not yet written."""
        self.people = [replace(each, **fields) if each.id == person_id else each for each in self.people]

    @property
    def environment(self) -> dict[str, str]:
        """Where the config is, and the credentials."""
        return {
            "ONEFOLD_CONFIG": str(self.folder / "onefold.yaml"),
            "COMPANY_JIRA": self.box.jira.token,
            "COMPANY_CONFLUENCE": self.box.confluence.token,
        }

    def run(self, *words: str) -> tuple[int, dict[str, Any], str]:
        """A command with --json in this process: exit code, document, stderr."""
        out, err = io.StringIO(), io.StringIO()
        with environment(self.environment), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main([*words, "--json"])
        text = out.getvalue()
        return code, json.loads(text) if text.strip() else {}, err.getvalue()

    def spawn(self, *words: str, pid_file: Path | None = None) -> subprocess.CompletedProcess[str]:
        """The same in a process of its own, whose id stands in `pid_file`."""
        child = subprocess.Popen(
            [sys.executable, "-m", "flows", *words, "--json"],
            cwd=ROOT,
            env={**os.environ, **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        if pid_file is not None:
            pid_file.write_text(str(child.pid), encoding="ascii")
        out, err = child.communicate(timeout=120)
        return subprocess.CompletedProcess(words, child.returncode, out, err)

    def adopt(self) -> dict[str, Any]:
        """Plan, approve, apply: first contact over with."""
        _, plan, err = self.run("plan")
        assert plan, err
        self.run("approve", plan["digest"])
        code, done, err = self.run("apply", plan["digest"])
        assert code in {0, 3}, (code, done, err)
        return done

    def holds(self) -> dict[str, Any]:
        """What both stand-ins hold, by names: users without keys, groups, edges."""
        return {name: by_name(self.box.state(name)) for name in ("jira", "confluence")}


def by_name(state: Mapping[str, Any]) -> dict[str, Any]:
    """A stand-in's state without the keys that depend on the order of creation."""
    users = state["users"]
    rows = users.values() if isinstance(users, dict) else users
    return {
        "users": {
            row["name"]: {key: value for key, value in row.items() if key not in {"key", "number"}} for row in rows
        },
        "groups": sorted(str(each["name"]) if isinstance(each, dict) else str(each) for each in state["groups"]),
        "edges": sorted(tuple(edge) for edge in state["edges"]),
    }


def keys(state: Mapping[str, Any]) -> dict[str, str]:
    """User name -> key."""
    users = state["users"]
    rows = users.values() if isinstance(users, dict) else users
    return {row["name"]: row["key"] for row in rows}


@contextlib.contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """Sets variables for a while."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
