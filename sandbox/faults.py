"""A fault script: which request to which stand-in goes wrong, and how. A list of rules in JSON or YAML.

    - {target: jira, method: POST, path: "/rest/api/2/user", call: 3, fault: reset_after}
    - {target: confluence, path: "/rest/api/group/*", every: 10, fault: status, status: 429, retry_after: 1}
    - {target: jira, method: PUT, call: [5, 7], fault: kill, when: after, pid_file: /tmp/run.pid}

Each rule counts the requests that it matches from 1: `call` picks one or a range, `every` each k-th, neither all. The
first rule that picks a request wins. What `fault` says happens before the request takes effect unless `when: after`:
`status` (with `status` and maybe `retry_after`), `html` (a page with 200 or `status`), `timeout` (`seconds` late, then
answered), `reset_before` and `reset_after` (connection reset without an answer, the effect not had or had), `truncate`
(half the body), `repeat_page` (the page served before on this route), `kill` (SIGKILL to the process in `pid_file`).
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

import yaml

from sandbox.wire import Answer, page

Kind = Literal["status", "html", "timeout", "reset_before", "reset_after", "truncate", "repeat_page", "kill"]
KINDS = frozenset(Kind.__args__)  # type: ignore[attr-defined]  # typing hides the members of a Literal
KEYS = frozenset(
    {"target", "method", "path", "call", "every", "fault", "status", "retry_after", "seconds", "when", "pid_file"}
)


@dataclass
class Rule:
    """One line of the script, and how many requests it has matched."""

    fault: str
    target: str = "*"
    method: str = "*"
    path: str = "*"
    first: int = 1
    last: int | None = None
    every: int = 1
    status: int | None = None
    retry_after: int | None = None
    seconds: float = 0.0
    when: str = "before"
    pid_file: str = ""
    matched: int = field(default=0, compare=False)

    def matches(self, target: str, method: str, path: str) -> bool:
        """Whether the request is one of this rule's, the path with or without its REST base."""
        short = path.removeprefix("/rest/api/2").removeprefix("/rest/api")
        return (
            self.target in {"*", target}
            and self.method.upper() in {"*", method}
            and (fnmatchcase(path, self.path) or fnmatchcase(short, self.path))
        )

    def picks(self) -> bool:
        """Whether the request just counted is to go wrong."""
        if self.every > 1:
            return self.matched % self.every == 0
        return self.first <= self.matched and (self.last is None or self.matched <= self.last)


def rule(wanted: Mapping[str, Any]) -> Rule:
    """A rule from a line of the script; ValueError says what is wrong with it."""
    if unknown := set(wanted) - KEYS:
        raise ValueError(f"unknown keys in a fault rule: {', '.join(sorted(unknown))}")
    named = dict(wanted)
    fault, call = named.pop("fault", None), named.pop("call", None)
    if isinstance(fault, int) or (isinstance(fault, str) and fault.isdigit()):  # `fault: 503` is short for a status
        fault, named["status"] = "status", int(fault)
    if fault not in KINDS:
        raise ValueError(f"fault must be one of {', '.join(sorted(KINDS))}, not {fault}")
    if fault == "status" and "status" not in named:
        raise ValueError("fault status needs a status")
    if fault == "kill" and not named.get("pid_file"):
        raise ValueError("fault kill needs a pid_file")
    if fault in {"reset_before", "reset_after"}:
        named["when"] = fault.removeprefix("reset_")
    if named.get("when", "before") not in {"before", "after"}:
        raise ValueError(f"when must be before or after, not {named['when']}")
    first, last = (1, None) if call is None else (call, call) if isinstance(call, int) else (int(call[0]), int(call[1]))
    return Rule(fault=fault, first=first, last=last, **named)


class Faults:
    """The rules in force at one stand-in; replaced at any time."""

    def __init__(self, target: str, rules: Iterable[Mapping[str, Any]] = ()) -> None:
        self.target = target
        self._lock = threading.Lock()
        self._rules: list[Rule] = []
        self.replace(rules)

    def replace(self, rules: Iterable[Mapping[str, Any]]) -> None:
        """Puts these rules in force, their counts at zero. ValueError leaves the old ones."""
        made = [rule(each) for each in rules]
        with self._lock:
            self._rules = made

    @property
    def any(self) -> bool:
        """Whether a rule is in force."""
        return bool(self._rules)

    def pick(self, method: str, path: str) -> Rule | None:
        """Counts the request and returns the rule by which it goes wrong, if any."""
        with self._lock:
            matching = [each for each in self._rules if each.matches(self.target, method, path)]
            for each in matching:
                each.matched += 1
            return next((each for each in matching if each.picks()), None)


def read(path: Path) -> list[dict[str, Any]]:
    """Rules from a file in YAML (JSON is YAML); ValueError when one is wrong."""
    found = yaml.safe_load(path.read_text(encoding="utf-8")) or []
    if not isinstance(found, list):
        raise ValueError(f"{path}: a fault script is a list of rules")  # noqa: TRY004 - of a file, not of a caller
    for each in found:
        rule(each)
    return found


def spoiled(
    picked: Rule, done: Answer | None, *, error: Callable[[int, str], Answer], earlier: Answer | None
) -> Answer | None:
    """What the client gets instead of the answer `done` (None: nothing was done yet); None when it gets it, late or not.

    `error` is the product's envelope, `earlier` what this route gave before.
    """
    if picked.fault == "timeout":
        time.sleep(picked.seconds)
        return None
    if picked.fault == "kill":
        kill(picked)
        return Answer(0, broken="reset")
    if picked.fault in {"reset_before", "reset_after"}:
        return Answer(0, broken="reset")
    if picked.fault == "status":
        wait = {} if picked.retry_after is None else {"Retry-After": str(picked.retry_after)}
        status = picked.status or 500
        return (page(status, "Bad Gateway") if status == 502 else error(status, "")).with_headers(wait)
    if picked.fault == "html":
        return page(picked.status or 200, "Log in")
    if done is None:
        return None
    return replace(done, broken="truncate") if picked.fault == "truncate" else earlier or done


def kill(picked: Rule) -> None:
    """Sends SIGKILL to the process whose id is in the rule's file."""
    os.kill(int(Path(picked.pid_file).read_text(encoding="ascii")), signal.SIGKILL)
