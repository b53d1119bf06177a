"""Records of Microsoft Graph become canonical columns: pure, without HTTP."""

import contextlib
import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from connectors.sources._entra_records import (
    USER_SELECT,
    Odd,
    account_page,
    edge_page,
    group_page,
    to_account,
    to_group,
)

HERE = Path(__file__).parent


def page(name):
    return json.loads((HERE / name).read_text())["value"]


def test_accounts_from_a_recorded_page():
    """A member, a guest, an external member, a pending guest by mail and a guest who signs in here become what they are."""
    member, guest, external, pending, inner = (to_account(each) for each in page("graph-users-delta-page.json")[:5])
    assert member == {
        "native_id": "11111111-0000-4000-8000-000000000001",
        "user_name": "zoe@corp.example",
        "email": "zoe.mueller@corp.example",
        "aliases": ["zoe.meier@corp.example"],
        "private_email": "zoe@home.example",
        "display_name": "Zoë Müller",
        "given_name": "Zoë",
        "family_name": "Müller",
        "employee_number": "0010042",
        "immutable_id": "3q2+7wAAAAAAAAAAAAAAAA==",
        "user_type": "member",
        "active": True,
        "status": "Enabled",
        "department": "Payments",
        "title": "Engineer",
        "company": "Corp",
        "location": "Berlin",
        "phone": "+49 30 1234",
        "locale": "de-DE",
        "created_at": "2021-02-03T04:05:06Z",
        "starts_on": "2021-02-01T00:00:00Z",
        "deleted_at": None,
    }
    assert (guest["user_type"], guest["home_email"], guest["status"]) == ("guest", "bo_b@partner.example", "Accepted")
    assert "title" not in guest
    assert "immutable_id" not in guest
    assert (external["user_type"], external["home_email"]) == ("external", "cy_o'neill@acquired.example")
    assert (external["active"], external["status"], external["email"]) == (False, "Disabled", None)
    assert (pending["home_email"], pending["status"]) == ("di@home.example", "PendingAcceptance")
    assert (inner["user_type"], inner["immutable_id"], "home_email" in inner) == ("guest", None, False)


def test_a_recorded_page_keeps_what_is_withheld_and_what_is_removed_apart():
    """Withheld users are set aside and a gap, removed ones of both kinds are tombstones, the others are rows."""
    found = account_page(page("graph-users-delta-page.json"), gaps=[], warnings=[])
    assert [each["native_id"][-1] for each in found.rows if each.get("tombstone")] == ["8", "9"]
    assert [each.native_id[-1] for each in found.rejected] == ["6", "7"]
    assert found.received == len(found.rows) + len(found.rejected) == 9
    assert len(found.gaps) == 1
    assert "User.Read.All" in found.gaps[0]


def test_a_resource_account_says_so():
    """A room's status is the word that makes it no human, whether it may sign in or not; any other account keeps its own."""
    for enabled in (True, False):
        room = to_account({"id": "1", "accountEnabled": enabled, "isResourceAccount": True})
        assert (room["status"], room["active"]) == ("Resource", enabled)
    assert to_account({"id": "1", "accountEnabled": True, "isResourceAccount": None})["status"] == "Enabled"


def test_groups_from_a_recorded_page():
    """Kinds of groups are told apart; slices of one group are merged; devices are nobody; a removed member is removed."""
    items = page("graph-groups-delta-page.json")
    found, edges = group_page(items, gaps=[], warnings=[]), edge_page(items)
    assert [(each["native_id"][-1], each.get("name"), each.get("kind")) for each in found.rows] == [
        ("1", "Jira Users", "security"),
        ("2", "Everybody", "microsoft365, dynamic"),
        ("3", "Mail", "distribution"),
        ("4", None, None),
    ]
    assert found.received == 4
    assert to_group({"id": "g"}) == {"native_id": "g"}
    assert [(g[-1], m[-1], kind, gone) for g, m, kind, gone in edges.rows.rows()] == [
        ("1", "1", "user", False),
        ("1", "2", "group", False),
        ("1", "2", "user", True),
        ("1", "3", "user", False),
        ("1", "9", "user", True),
        ("1", "9", "group", True),
    ]
    assert [each.native_id[-1] for each in edges.rejected] == ["1"]
    assert edges.received == 7


JSONISH = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["issuer", "id"]), inner),
    max_leaves=4,
)


@given(st.dictionaries(st.sampled_from(USER_SELECT), JSONISH), st.lists(JSONISH))
def test_conversion_never_breaks(user, items):
    """Whatever JSON Graph sends, a record is converted or odd, a page is a page, and nothing else is raised."""
    with contextlib.suppress(Odd):
        assert to_account(user | {"id": "1"})["native_id"] == "1"
    account_page([user, *items], gaps=[], warnings=[])
    group_page([{"id": "g", "members@delta": items}, *items], gaps=[], warnings=[])
    edge_page([{"id": "g", "members@delta": items}, *items])
