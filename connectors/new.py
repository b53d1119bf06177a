"""`make new-connector KIND=okta`: writes a source, its test with a rig for the contract suite, and its page, all to be filled in."""

from __future__ import annotations

import keyword
import re
import sys
from pathlib import Path

SOURCE = '''"""Reads one tenant from {title}. Counting and judging are the runner's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, Field

from connectors.auth import bearer
from connectors.http import Http
from connectors.paging import Turn, followed
from connectors.source import Page, Rejected, Row, SourceContext, source
from connectors.throttling import Throttling
from core.settings import SecretRef, Strict

PAGE_SIZE = 100  # say here which document of the vendor recommends it


class {name}Settings(Strict):
    """What is special to {title}; `mode`, `may`, `verified_domains` and their like are there already."""

    url: str = Field(description="base URL of the tenant")
    token: SecretRef
    proxy: str | None = None
    ca_bundle: str | None = None
    rate: float | None = Field(default=None, gt=0, description="requests per second; say where the default comes from")


@source
class {name}:
    """One tenant of {title}."""

    Settings: ClassVar[type[BaseModel]] = {name}Settings
    needs: ClassVar[tuple[str, ...]] = ("the permission, in the vendor's words",)

    def __init__(self, settings: {name}Settings, context: SourceContext) -> None:
        self._http = Http(
            settings.url,
            place={{"tenant": context.tenant}},
            credential=bearer(context.secrets["token"]),  # connectors/auth.py has tokens that renew themselves
            throttling=Throttling(),  # connectors/throttling.py has other vendors' manners
            ca_bundle=settings.ca_bundle,
            proxy=settings.proxy,
            transport=context.transport,
            rate=settings.rate,
        )

    def accounts(self) -> Iterator[Page]:
        """Every user. Yield each page as it came; report the vendor's own total if it has one."""

        def fetch(place: str) -> Turn:
            answer = self._http.request("GET", place)
            following = answer.headers.get("x-next")  # or in the body, or a Link header: whatever this vendor has
            return Turn(answer.json(), next=following)

        for turn in followed(f"users?limit={{PAGE_SIZE}}", fetch, what="/users"):
            rows: list[Row] = []
            rejected: list[Rejected] = []
            for user in turn.items:
                if isinstance(user, dict) and user.get("id"):
                    rows.append(to_account(user))
                else:
                    rejected.append(Rejected("accounts", None, "id", "is missing", user))
            yield Page("accounts", rows, len(turn.items), rejected=rejected, gaps=turn.gaps, warnings=turn.warnings)

    def groups(self) -> Iterator[Page]:
        """Every group. Pages of memberships may stand between them when the vendor delivers both at once."""
        yield from ()

    def memberships(self) -> Iterator[Page]:
        """Every direct edge that `groups` did not yield."""
        yield from ()

    def close(self) -> None:
        """Lets go of connections."""
        self._http.close()


def to_account(user: Mapping[str, Any]) -> dict[str, object]:
    """A user of the vendor as canonical columns. A key left out is absent; None is null: the vendor says none."""
    row: dict[str, object] = {{"native_id": user["id"]}}
    if "login" in user:
        row["user_name"] = user["login"]
    return row
'''

TEST = '''from connectors.sources.{kind} import to_account

SECRET = "s3cr3t-of-the-rig"  # the suite proves that no reason shows it
CANNOT = {{}}  # faults of tests/contract/test_sources.py that cannot happen here, each with its reason
THROTTLED = ("retry_after", "unsaid")  # every form in which this vendor says "not now"


def rig(world, folder, fault):
    """A source of this kind that shows the world, with the fault: an httpx.MockTransport in front of recorded shapes."""
    raise NotImplementedError("see test_entra.py for one over a stand-in, test_scim.py for one over HTTP")


def test_what_is_left_out_is_absent():
    """A record that has nothing but an id speaks of nothing else."""
    assert to_account({{"id": "1"}}) == {{"native_id": "1"}}
'''

PAGE = """# {title} (`kind: {kind}`)

What it is, and in which version this was tried.

## The credential

How to create it with the least rights, step by step.

## Settings

    tenants:
      name: {{kind: {kind}, url: https://…, token: env:{upper}_TOKEN}}

## What is read

Which fields become which canonical columns; what is absent, what is null; which statuses mean inactive.

## Limits, and how they are kept

## When something is wrong

| it says | it means | do this |
|---|---|---|
"""


def written(root: Path, kind: str) -> list[Path]:
    """Writes the three files of a new kind and returns their paths. ValueError when the name cannot be one, or is taken."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{1,30}", kind) or keyword.iskeyword(kind):
        raise ValueError(f"{kind!r} cannot be a kind: write it like okta or ping_one, in lower case")
    title = kind.replace("_", " ").capitalize()
    words = {"kind": kind, "title": title, "name": title.title().replace(" ", ""), "upper": kind.upper()}
    texts = {
        root / "connectors" / "sources" / f"{kind}.py": SOURCE,
        root / "tests" / "contract" / f"test_{kind}.py": TEST,
        root / "docs" / "vendors" / f"{kind}.md": PAGE,
    }
    if taken := [path for path in texts if path.exists()]:
        raise ValueError(f"{taken[0].relative_to(root)} exists already")
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.format(**words), encoding="utf-8")
    return list(texts)


def main(arguments: list[str]) -> int:
    """The command: one argument, the kind. Exit code 2 on a name that cannot be used."""
    root = Path(__file__).parent.parent
    try:
        (kind,) = arguments
        paths = written(root, kind)
    except ValueError as error:
        words = str(error) if len(arguments) == 1 else "say which: make new-connector KIND=okta"
        sys.stderr.write(f"{words}\n")
        return 2
    for path in paths:
        sys.stdout.write(f"wrote {path.relative_to(root)}\n")
    sys.stdout.write(
        "CONTRIBUTING.md tells the way from here; the contract suite runs over it now, and fails until it has a rig\n"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
