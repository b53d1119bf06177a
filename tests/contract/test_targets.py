"""The suite that every Data Center target passes against its stand-in: what it shows, what it is told, and what lies it does not believe."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest

from connectors.http import UnknownOutcome
from connectors.target import (
    CountsSeats,
    RemoteGroup,
    RemoteUser,
    RenamesUsers,
    Target,
    TargetContext,
    target_class,
    target_kinds,
)
from core.errors import RefusedError, TerminalError, TransientError
from core.model import Outcome
from sandbox.serve import Sandbox

NOW = datetime.fromisoformat("2026-11-24T09:00")
VARIANTS = {
    "jira 10.3": ("jira", "jira_dc", {"jira_version": "10.3"}),
    "jira 11": ("jira", "jira_dc", {"jira_version": "11"}),
    "confluence 10": ("confluence", "confluence_dc", {"confluence_version": "10"}),
}


@dataclass
class Rig:
    """A stand-in, and a way to open our connector to it."""

    box: Sandbox
    name: str
    kind: str

    @property
    def standin(self) -> Any:
        """The product."""
        return getattr(self.box, self.name)

    def open(self, token: str | None = None, **settings: Any) -> Target:
        """The connector; patient for half a second."""
        cls = target_class(self.kind)
        made = cls.Settings.model_validate({"url": self.standin.url, "token": "env:T", "rate": 1000, **settings})
        target = cls(made, TargetContext(self.name, NOW, {"token": token or self.standin.token}))
        target._http._sleep = lambda _seconds: None  # type: ignore[attr-defined]
        return target

    def user(self, name: str) -> dict[str, Any]:
        """A user as the stand-in holds it."""
        users = self.box.state(self.name)["users"]
        rows = users.values() if isinstance(users, dict) else users
        return next(row for row in rows if row["name"] == name)

    def edges(self) -> set[tuple[str, str]]:
        """(group, user name)."""
        return {(group, user) for group, user in self.box.state(self.name)["edges"]}


def seed() -> dict[str, Any]:
    """130 users, some inactive, one in a read-only directory; 60 in one group."""
    users: list[dict[str, Any]] = [
        {
            "name": f"user{place:03}",
            "email": f"user{place:03}@corp.example",
            "display_name": f"User {place}",
            "active": place % 10 != 0,
            "groups": ["devs"] if place < 60 else [],
        }
        for place in range(130)
    ]
    users.append(
        {
            "name": "ldap.user",
            "email": "l@corp.example",
            "display_name": "L",
            "active": True,
            "directory": "ldap",
            "groups": [],
        }
    )
    return {
        "users": users,
        "groups": ["devs", "ops", {"name": "outer", "groups": ["devs"]}],
        "directories": {"ldap": "read_only"},
        "page_limit": 50,
    }


@pytest.fixture(params=sorted(VARIANTS))
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    """Each product and version."""
    name, kind, versions = VARIANTS[request.param]
    with Sandbox(seed(), rate=None, **versions) as box:
        yield Rig(box, name, kind)


@pytest.fixture
def target(rig: Rig) -> Iterator[Target]:
    """The connector."""
    one = rig.open()
    yield one
    one.close()


def find(target: Target, name: str) -> RemoteUser:
    """A user that must be there."""
    found = target.user(user_name=name)
    assert found is not None
    return found


NEW = {"user_name": "ada.lovelace", "display_name": "Ada Lovelace", "email": "ada@corp.example"}


def test_every_kind_is_tried():
    """A target without a stand-in here fails."""
    assert {kind for _, kind, _ in VARIANTS.values()} == set(target_kinds())


def test_it_shows_everybody_once(rig: Rig, target: Target):
    """All users, inactive ones too, over pages the server made smaller; the total is not guessed."""
    assert target.capabilities().complete_listing
    users = [user for page in target.users() for user in page.users]
    names = [user.values["user_name"] for user in users]
    assert len(names) == len(set(names)) == len(rig.box.state(rig.name)["users"])
    states = {user.values["user_name"]: user.active for user in users}
    assert states["user010"] is False
    assert states["user011"] is True
    shown = {user.values["user_name"]: user.protected for user in users}
    assert shown["admin"]
    assert shown["user011"] is None


def test_members_are_whole(target: Target):
    """60 members, inactive ones among them, over pages of fifty."""
    groups = {group.name: group for page in target.groups() for group in page.groups}
    assert {"devs", "ops", "outer"} <= set(groups)
    members = [key for page in target.members(groups["devs"]) for key in page.members]
    assert len(members) == len(set(members)) == 60


def test_the_life_of_a_user(rig: Rig, target: Target):
    """Create, change, deactivate, reactivate: each an effect once, and the remote id stays."""
    made = target.create_user(NEW)
    assert made.outcome is Outcome.APPLIED
    user = target.user(remote_id=made.remote_id)
    assert user is not None
    assert user.active is not False
    assert target.update_user(user, {"display_name": "Ada King"}).outcome is Outcome.APPLIED
    assert rig.user("ada.lovelace")["display_name"] == "Ada King"
    assert rig.user("ada.lovelace")["email"] == "ada@corp.example"
    assert target.deactivate_user(user).outcome is Outcome.APPLIED
    assert rig.user("ada.lovelace")["active"] is False
    assert target.reactivate_user(user).outcome is Outcome.APPLIED
    assert rig.user("ada.lovelace")["active"] is True
    if isinstance(target, RenamesUsers):
        assert target.rename_user(user, "ada.king").outcome is Outcome.APPLIED
        assert find(target, "ada.king").remote_id == made.remote_id


def test_creating_who_exists_is_a_receipt_with_her_id(target: Target):
    """The caller decides whether she is who was meant."""
    there = find(target, "user001")
    receipt = target.create_user({**NEW, "user_name": "user001"})
    assert (receipt.outcome, receipt.remote_id) == (Outcome.ALREADY, there.remote_id)


def test_saying_it_twice_is_harmless(rig: Rig, target: Target):
    """Groups and members: the second time is a receipt too, and changes nothing."""
    user = find(target, "user100")
    for _ in range(2):
        assert target.create_group("fresh").outcome in {Outcome.APPLIED, Outcome.ALREADY}
        assert target.add_member("fresh", user).outcome in {Outcome.APPLIED, Outcome.ALREADY}
    assert ("fresh", "user100") in rig.edges()
    assert "fresh" in target.groups_of(user)
    for _ in range(2):
        assert target.remove_member("fresh", user).outcome in {Outcome.APPLIED, Outcome.ALREADY}
    assert ("fresh", "user100") not in rig.edges()
    for _ in range(2):
        target.delete_group(RemoteGroup("fresh", "fresh"))
    assert "fresh" not in {group.name for page in target.groups() for group in page.groups}


def test_deactivating_the_inactive_is_no_error(target: Target):
    """What holds already is a receipt."""
    assert target.deactivate_user(find(target, "user010")).outcome in {Outcome.APPLIED, Outcome.ALREADY}


def test_a_read_only_directory_is_that_users_error(target: Target):
    """One object fails for good, with the product's words; the target as a whole is not refused."""
    with pytest.raises(TerminalError) as caught:
        target.update_user(find(target, "ldap.user"), {"display_name": "X"})
    assert "ldap.user" in str(caught.value)


def test_nobody_there(target: Target):
    """Sure that there is none: None, not an error."""
    assert target.user(user_name="no.such") is None


def test_names_it_would_refuse(target: Target):
    """Asked while planning, without a call."""
    before = target.requests
    assert target.refuses_user_name("")
    assert target.refuses_user_name("ada.lovelace") is None
    assert target.refuses_group_name(" ")
    assert target.requests == before


def test_a_refused_name_is_refused_there_too(rig: Rig, target: Target):
    """What the connector would refuse, the product does; else we would hold back for nothing."""
    if rig.name == "confluence":
        for name in ("Ada", "ada lovelace", "a+b", "a,b", "o'brien"):
            assert target.refuses_user_name(name)
            with pytest.raises(TerminalError):
                target.create_user({**NEW, "user_name": name})


def test_a_wrong_token_is_refused_and_never_shown(rig: Rig):
    """Served as anonymous or as 401: refused before anything is believed."""
    target = rig.open(token="wrong-token-0123")
    with pytest.raises(RefusedError) as caught:
        target.capabilities()
    assert "wrong-token-0123" not in str(caught.value)
    target.close()


def test_no_cookie_is_sent(rig: Rig, target: Target):
    """A cookie would make us a browser, past the limiter."""
    list(target.users())
    assert rig.box.audit(rig.name)["cookies"] == 0


def test_seats(target: Target):
    """Where the product counts seats we know them."""
    if isinstance(target, CountsSeats):
        assert all(seats.total is None or seats.remaining is not None for seats in target.seats())


@pytest.mark.parametrize("fault", ["truncate", "html", "repeat_page", 503])
def test_a_lie_while_listing_is_never_a_shorter_list(rig: Rig, target: Target, fault: object):
    """Half a body, a web page, a page that comes twice, an overloaded server: an error, or after a retry the truth."""
    target.capabilities()
    whole = len(rig.box.state(rig.name)["users"])
    path = "/user/list"
    rig.box.faults([{"target": rig.name, "method": "GET", "path": path, "call": [1, 99], "fault": fault}])
    if fault == "repeat_page":
        rig.box.faults([{"target": rig.name, "method": "GET", "path": path, "call": [2, 99], "fault": fault}])
    found: list[RemoteUser] | None = None
    with contextlib.suppress(TransientError):
        found = [user for page in target.users() for user in page.users]
    assert found is None or len(found) == whole
    rig.box.faults([])
    assert len([user for page in target.users() for user in page.users]) == whole


@pytest.mark.parametrize("fault", [{"fault": 429}, {"fault": 429, "retry_after": 1}, {"fault": 503}])
def test_a_busy_target_is_waited_for(rig: Rig, target: Target, fault: dict[str, Any]):
    """Two refusals for the moment, then it goes through, once."""
    target.capabilities()
    rig.box.faults([{"target": rig.name, "method": "POST", "path": "*", "call": [1, 2], **fault}])
    assert target.create_user(NEW).outcome is Outcome.APPLIED


def test_a_lost_answer_to_a_creation_is_unknown(rig: Rig, target: Target):
    """The connection breaks after the user was made: we do not know, and do not send it again by ourselves."""
    target.capabilities()
    rig.box.faults([{"target": rig.name, "method": "POST", "path": "*user*", "call": 1, "fault": "reset_after"}])
    with pytest.raises(UnknownOutcome):
        target.create_user(NEW)
    assert rig.user("ada.lovelace")["active"] is True


def test_a_lost_answer_to_a_state_is_sent_again(rig: Rig, target: Target):
    """A PUT that sets a state may be said twice: the second answer is the receipt."""
    user = find(target, "user051")
    rig.box.faults([{"target": rig.name, "method": "PUT", "path": "*", "call": 1, "fault": "reset_after"}])
    assert target.deactivate_user(user).outcome in {Outcome.APPLIED, Outcome.ALREADY}
    assert rig.user("user051")["active"] is False


def test_a_server_that_is_down_is_transient(rig: Rig):
    """Try later; nothing about rights or objects is concluded."""
    cls = target_class(rig.kind)
    made = cls.Settings.model_validate({"url": "http://127.0.0.1:9", "token": "env:T"})
    target = cls(made, TargetContext(rig.name, NOW, {"token": "x"}))
    target._http._sleep = lambda _seconds: None  # type: ignore[attr-defined]
    with pytest.raises(TransientError):
        target.capabilities()


def test_without_a_listing_it_looks_before_it_creates():
    """Jira 10.0 has no /user/list: nothing is concluded from absence, and no creation is tried under a name that exists."""
    with Sandbox(seed(), rate=None, jira_version="10.0") as box:
        target = Rig(box, "jira", "jira_dc").open()
        assert target.capabilities().complete_listing is False
        found = {user.values["user_name"] for page in target.users() for user in page.users}
        assert "user001" in found
        assert target.create_user({**NEW, "user_name": "user001"}).outcome is Outcome.ALREADY
        assert box.audit("jira")["writes"] == 0
        assert target.create_user(NEW).outcome is Outcome.APPLIED
        target.close()
