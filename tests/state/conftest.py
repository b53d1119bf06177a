"""Builders that the tests of the state share."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest

from core.frames import BIT, LANDED, LINK, PERSON, PERSON_ID, conform
from core.model import ExtractKind, Manifest, Part, Verdict
from state.session import Session
from state.statements import migrations
from state.store import Store

NOW = datetime(2026, 11, 2, 9, 0, 0)  # noqa: DTZ001 - stored in UTC without zone


@dataclass
class Landed:
    """One extract of a small tenant: accounts as {native_id: title}, groups, edges as (group, member)."""

    extract_id: str
    accounts: dict[str, str | None] = field(default_factory=dict)
    groups: Sequence[str] = ()
    edges: Sequence[tuple[str, str]] = ()
    nested: Sequence[tuple[str, str]] = ()
    removed: Sequence[tuple[str, str]] = ()
    dead: Sequence[str] = ()
    dead_groups: Sequence[str] = ()
    listed: Sequence[str] = ()
    kind: ExtractKind = ExtractKind.FULL
    verdict: Verdict = Verdict.COMPLETE
    before: str | None = None
    after: str | None = None
    minute: int = 0
    tenant: str = "corp"
    content: str | None = None

    @property
    def manifest(self) -> Manifest:
        at = NOW + timedelta(minutes=self.minute)
        part = Part("accounts", "accounts.parquet", len(self.accounts), self.content or self.extract_id)
        return Manifest(
            self.extract_id, self.tenant, self.kind, self.before, self.after, at, at, len(self.accounts), len(self.groups),
            len(self.edges), 0, {}, (part,), self.verdict, ("told",) if self.verdict is not Verdict.COMPLETE else (),
        )  # fmt: skip

    def read(self, name: str) -> pl.DataFrame:
        """Rows as the runner would land them."""
        present = BIT["title"] | BIT["active"]
        rows: dict[str, list[dict[str, object]]] = {
            "accounts": [
                {"native_id": key, "title": title, "active": True, "present": present, "tombstone": False}
                for key, title in self.accounts.items()
            ]
            + [{"native_id": key, "present": 0, "tombstone": True} for key in self.dead],
            "groups": [
                {"native_id": key, "name": key.upper(), "members_complete": key in self.listed, "tombstone": False}
                for key in self.groups
            ]
            + [{"native_id": key, "tombstone": True} for key in self.dead_groups],
            "memberships": [
                {"group_id": group, "member_id": member, "member_kind": kind, "removed": removed}
                for pairs, kind, removed in (
                    (self.edges, "user", False),
                    (self.nested, "group", False),
                    (self.removed, "user", True),
                )
                for group, member in pairs
            ],
        }
        return pl.DataFrame(rows[name], schema=LANDED[name])


@pytest.fixture(name="store")
def open_store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "state", purpose="test", now=lambda: NOW) as store:
        store.begin_run("r1", "plan", NOW)
        yield store


@pytest.fixture
def take(store: Store) -> Callable[..., object]:
    """Consolidates a Landed."""

    def consolidate(landed: Landed, run_id: str = "r1") -> object:
        return store.consolidate(landed.manifest, landed.read, run_id, landed.manifest.finished_at)

    return consolidate


def memory_session() -> Session:
    """A session on an in-memory state: quick enough for properties."""
    session = Session(duckdb.connect())
    for _, _, text in migrations():
        session.con.execute(text)
    return session


@pytest.fixture(scope="session")
def landed_class() -> type[Landed]:
    return Landed


@pytest.fixture(scope="session", name="memory_session")
def memory_session_maker() -> Callable[[], Session]:
    return memory_session


@pytest.fixture(scope="session")
def now() -> datetime:
    return NOW


def made_up_people(*names, title="x"):
    """Frames of identity: one person an account."""
    key = pl.int_range(1, len(names) + 1, dtype=pl.Int32, eager=True)
    ids = pl.Series(names)
    links = conform(pl.DataFrame({"account_key": key, "person_key": key, "rule": "founding"}), LINK)
    minted = conform(
        pl.DataFrame({"person_key": key, "person_id": ids, "founder_key": key, "generation": 0}), PERSON_ID
    )
    persons = pl.DataFrame({"person_key": key, "person_id": ids, "title": title, "aliases": [["a", "b"]] * len(names)})
    return links, minted, conform(persons, PERSON)


@pytest.fixture(scope="session")
def people() -> Callable[..., tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]]:
    return made_up_people
