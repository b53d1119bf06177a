"""Exceptions with an end: said at any time, carried out by the next run, over by themselves."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from core.errors import ConfigError
from sandbox.serve import Sandbox
from tasks import installation
from tasks.override import ending
from tests.company import CONFIG, Company, people

BERLIN = CONFIG.replace("directory: acme\n", "directory: acme\ntimezone: Europe/Berlin\n")


class Clock:
    """The clock of every command in this process, moved by hand."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC).replace(tzinfo=None) + self.ahead


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    moved = Clock()
    field = installation.Installation.__dataclass_fields__["clock"]
    monkeypatch.setattr(field, "default", moved)
    monkeypatch.setattr(installation.Installation.__init__, "__defaults__", defaults(moved))
    return moved


def defaults(clock: Clock) -> tuple[object, ...]:
    """The defaults of Installation with another clock."""
    return tuple(
        clock if each is installation.utc_now else each for each in installation.Installation.__init__.__defaults__
    )


def made(folder: Path, box: Sandbox) -> Company:
    """Ten people in line in Berlin; c004 was disabled by corp and so in both targets."""
    one = Company(folder, box, people(10))
    one.groups = {"Jira-Devs": [f"c{place:03}" for place in range(6)]}
    one.write(BERLIN)
    one.adopt()
    one.change("c004", active=False)
    one.write(BERLIN)
    assert one.run("sync", "--apply")[0] == 0
    return one


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """One for all tests that leave the clock alone; each has its own person."""
    with Sandbox({"jira": {}, "confluence": {}}, rate=None) as box:
        yield made(tmp_path_factory.mktemp("override") / "acme", box)


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Company]:
    """One for a test that moves the clock."""
    with Sandbox({"jira": {}, "confluence": {}}, rate=None) as box:
        yield made(tmp_path / "acme", box)


def active(company: Company, name: str) -> list[bool]:
    """Whether the user is active in Jira and in Confluence."""
    return [bool(each["users"][name]["active"]) for each in company.holds().values()]


def test_inactive_until_cleared(company: Company):
    """Nothing happens to her in the targets before a run; the run takes access, with the words as reason; clearing gives it back."""
    code, row, err = company.run("override", "user003", "--inactive", "--reason", "lost laptop")
    assert (code, row["says"], row["until"], row["waits_for_a_run"]) == (0, "inactive", None, True), err
    assert active(company, "user003") == [True, True]
    code, plan, _ = company.run("sync", "--apply")
    assert code == 0
    assert active(company, "user003") == [False, False]
    assert any("User003 is kept inactive until it is cleared: lost laptop" in note for note in plan["notes"])
    reasons = {each["reason"] for each in plan["changes"] if each["verb"] == "deactivate_user"}
    assert len(reasons) == 1
    assert "lost laptop (said by " in reasons.pop()
    told = company.run("explain", "user003")[1]
    assert [(each["says"], each["waits_for_a_run"]) for each in told["overrides"]] == [("inactive", False)]
    assert company.run("override", "user003", "--clear")[0] == 0
    assert "user003" not in str(company.run("override", "list")[1]["overrides"])
    company.run("sync", "--apply")
    assert active(company, "user003") == [True, True]
    assert [each["says"] for each in company.run("explain", "user003")[1]["overrides"]] == ["inactive", "clear"]


def test_keep_ends_by_itself_in_the_directorys_zone(fresh: Company, clock: Clock):
    """Kept against corp's word until the end of the day in Berlin: a minute before it she has access, a minute after she has not."""
    company = fresh
    code, row, err = company.run(
        "override", "user004", "--keep", "--until", f"{tomorrow():%Y-%m-%d}", "--reason", "handover"
    )
    assert code == 0, err
    assert row["until_local"].endswith("00:00")
    company.run("sync", "--apply")
    assert active(company, "user004") == [True, True]
    soon = company.run("status")[1]["overrides"]
    assert [(each["name"], each["ends_soon"]) for each in soon] == [("User004", True)]
    end = datetime.fromisoformat(row["until"].removesuffix("Z"))
    clock.ahead = end - datetime.now(UTC).replace(tzinfo=None) - timedelta(minutes=1)
    plan = company.run("sync", "--apply")[1]
    assert active(company, "user004") == [True, True]
    assert any("ends within 7 days" in note for note in plan["notes"])
    clock.ahead += timedelta(minutes=2)
    company.run("sync", "--apply")
    assert active(company, "user004") == [False, False]
    assert company.run("override", "list")[1]["overrides"] == []
    assert company.run("explain", "user004")[1]["overrides"][0]["ended"]


def tomorrow() -> datetime:
    return datetime.now(ZoneInfo("Europe/Berlin")) + timedelta(days=1)


def test_an_override_while_a_plan_waits(company: Company):
    """Corp disabled her and the plan was reviewed; then somebody keeps her: the apply drops her changes and names them."""
    company.change("c002", active=False)
    company.write(BERLIN)
    plan = company.run("plan")[1]
    assert {each["object"] for each in plan["changes"] if each["verb"] == "deactivate_user"} == {"user002"}
    company.run("override", "user002", "--keep", "--reason", "still here")
    _, done, _ = company.run("apply", plan["digest"])
    assert active(company, "user002") == [True, True]
    dropped = [(each["verb"], each["object"]) for each in done["dropped"] if each["verb"] == "deactivate_user"]
    assert dropped == [("deactivate_user", "user002")] * 2


def test_an_override_that_ends_between_plan_and_apply(fresh: Company, clock: Clock):
    """Inactive for an hour, said after a word without end, which does not come back: the plan is applied two hours later, drops her and says so."""
    company = fresh
    company.run("override", "user001", "--inactive")
    until = datetime.now(ZoneInfo("Europe/Berlin")) + timedelta(hours=1)
    company.run("override", "user001", "--inactive", "--until", f"{until:%Y-%m-%d %H:%M}")
    plan = company.run("plan")[1]
    assert sum(each["verb"] == "deactivate_user" for each in plan["changes"]) == 2
    clock.ahead = timedelta(hours=2)
    _, done, _ = company.run("apply", plan["digest"])
    assert active(company, "user001") == [True, True]
    assert {each["object"] for each in done["dropped"] if each["verb"] == "deactivate_user"} == {"user001"}


def test_an_override_binds_whatever_its_tenants_may(company: Company):
    """A person of a tenant that may not deactivate loses access by an override: nobody's rights bind the one who set it."""
    company.run("override", "c005", "--inactive", "--reason", "x")
    weak = BERLIN.replace(
        "may: [create, update, deactivate, groups, attributes]", "may: [create, update, groups, attributes]"
    )
    company.write(weak)
    company.run("sync", "--apply")
    company.write(BERLIN)
    assert active(company, "user005") == [False, False]


def test_a_merge_takes_the_override_along(company: Company):
    """Said of a person who then merges into another: it concerns the one who is left, beats a later `keep` of that one, and is cleared by that one's name."""
    joined = (
        BERLIN.replace("native_id: id, employee_number: id}}", "native_id: id, employee_number: emp}}")
        .replace(
            "    verified_domains: [corp.example]\n",
            "    verified_domains: [corp.example]\n    employee_number_issuer: hr\n",
        )
        .replace("native_id: id, active", "native_id: id, employee_number: id, active")
    )
    company.write(joined)
    company.table("hr.csv", ["id", "emp", "email"], [["h7", "none", "user007@old.example"]])
    company.run("plan")
    lost = company.run("explain", "h7")[1]["person_id"]
    company.run("override", "h7", "--inactive", "--reason", "gone")
    company.run("override", "user007", "--keep", "--reason", "stays")
    company.table("hr.csv", ["id", "emp", "email"], [["h7", "c007", "user007@old.example"]])
    company.run("sync", "--apply")
    told = company.run("explain", "user007")[1]
    assert told["person_id"] != lost
    assert told["person"]["active"] is False
    assert active(company, "user007") == [False, False]
    cleared = company.run("override", "user007", "--clear")[1]["cleared"]
    assert {each["said_of"] for each in cleared} == {lost, told["person_id"]}
    company.write(BERLIN)


@pytest.mark.parametrize(
    "words",
    [
        ("user001",),
        ("user001", "--keep", "--inactive"),
        ("user001", "--clear", "--until", "2099-01-01"),
        ("list", "--inactive"),
        ("user001", "--keep", "--until", "2001-01-01"),
        ("user001", "--keep", "--until", "2099-01-01"),
        ("user001", "--inactive", "--until", "next week"),
        ("nobody at all", "--inactive"),
    ],
)
def test_bad_words_are_refused(company: Company, words: tuple[str, ...]):
    """Usage, an end that is over or too far for --keep, no time at all, and nobody: exit 2, and nothing is recorded."""
    before = company.run("override", "list")[1]["overrides"]
    code, _, err = company.run("override", *words)
    assert code == 2, err
    assert err.strip()
    assert company.run("override", "list")[1]["overrides"] == before


def test_clearing_nothing_is_refused(company: Company):
    """Nothing stands of her: exit 5 with where to look."""
    code, _, err = company.run("override", "user001", "--clear")
    assert code == 5
    assert "override list" in err


def test_ends_are_read_in_the_directorys_zone():
    """A day ends with it, a time is local, one with an offset is taken at its word, winter and summer; other text is an error."""
    zone = ZoneInfo("Europe/Berlin")
    assert str(ending("2026-12-01", zone)) == "2026-12-01 23:00:00"
    assert str(ending("2026-07-01", zone)) == "2026-07-01 22:00:00"
    assert str(ending("2026-12-01 18:00", zone)) == "2026-12-01 17:00:00"
    assert str(ending("2026-12-01T18:00:00+00:00", zone)) == "2026-12-01 18:00:00"
    with pytest.raises(ConfigError, match="is no time"):
        ending("soon", zone)
    with pytest.raises(ConfigError, match="is no time"):
        ending("9999-12-31", zone)
