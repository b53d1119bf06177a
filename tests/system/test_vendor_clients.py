"""Clients that are not ours complete a user's life on the stand-ins, so that these are not just what we believe Jira to be."""

import pytest

from sandbox.serve import Sandbox

jira_client = pytest.importorskip("jira", reason="jira is not installed: requirements-proof.lock")
atlassian = pytest.importorskip("atlassian", reason="atlassian-python-api is not installed: requirements-proof.lock")
pytestmark = pytest.mark.system


@pytest.fixture
def box(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Sandbox() as running:
        yield running


@pytest.mark.parametrize("version", ["9", "10.3", "11"])
def test_the_client_jira_lives_a_users_life(version):
    """`jira`: created, found, put into a group, listed, renamed, switched off, taken out, deleted."""
    with Sandbox(jira_version=version) as box:
        client = jira_client.JIRA(box.jira.url, token_auth=box.jira.token, max_retries=0)
        assert client.server_info()["version"] == box.jira.version_text
        assert client.myself()["name"] == "admin"
        assert client.add_user("new.one", "new.one@corp.example", fullname="New One", application_keys=[])
        user = client.user("new.one", expand="groups")
        key = user.key
        assert (user.displayName, user.active, user.groups.items) == ("New One", True, [])
        with pytest.raises(jira_client.JIRAError, match="already exists"):
            client.add_user("new.one", "new.one@corp.example")
        assert client.add_user("new.one", "x@corp.example", ignore_existing=True)

        assert client.add_group("fresh")
        assert "fresh" in client.groups()
        assert client.add_user_to_group("new.one", "fresh")["name"] == "fresh"
        with pytest.raises(jira_client.JIRAError) as refused:
            client.add_user_to_group("new.one", "fresh")
        assert refused.value.status_code == 400
        assert list(client.group_members("fresh")) == ["new.one"]
        licence = client.group_members("jira-software-users")
        assert len(licence) == 150  # three pages, inactive ones with them

        client.rename_user("new.one", "new.two")
        assert client.user("new.two").key == key
        client.user("new.two").update(active=False)
        assert client.user("new.two").active is False
        assert client.search_users("new.two", includeInactive=True)[0].key == key
        assert list(client.search_users("new.two")) == []

        assert client.remove_user_from_group("new.two", "fresh")
        assert client.group_members("fresh") == {}
        assert client.remove_group("fresh")
        assert client.delete_user("new.two")
        with pytest.raises(jira_client.JIRAError, match="does not exist"):
            client.user("new.two")


def test_atlassian_python_api_lives_a_users_life_in_jira(box):
    """`atlassian-python-api`, Jira: the same, with its own requests for each step."""
    client = atlassian.Jira(box.jira.url, token=box.jira.token)
    assert client.myself()["name"] == "admin"
    made = client.user_create("new.one", "new.one@corp.example", "New One", notification=False)
    assert client.user(key=made["key"])["name"] == "new.one"
    assert client.create_group("fresh")["name"] == "fresh"
    assert client.add_user_to_group("new.one", "fresh")["users"]["size"] == 1
    assert [each["name"] for each in client.get_all_users_from_group("fresh")["values"]] == ["new.one"]
    assert client.get_groups("fre")["total"] == 1
    assert client.add_user_to_application("new.one", "jira-software")
    roles = client.user("new.one", expand="applicationRoles")["applicationRoles"]["items"]
    assert [each["key"] for each in roles] == ["jira-software"]
    client.user_update_email("new.one", "other@corp.example")
    client.user_update_username("new.one", "new.two")
    assert client.user_deactivate("new.two")["active"] is False
    assert client.get_all_users_from_group("fresh")["values"] == []
    assert len(client.get_all_users_from_group("fresh", include_inactive_users=True)["values"]) == 1
    assert (
        client.user_find_by_user_string("new.two", include_inactive_users=True)[0]["emailAddress"]
        == "other@corp.example"
    )
    client.remove_user_from_group("new.two", "fresh")
    client.remove_group("fresh")
    client.user_remove("new.two")
    with pytest.raises(atlassian.jira.jira_server.HTTPError):
        client.user("new.two")
    assert {each["status"] for each in box.audit("jira")["log"]} <= {200, 201, 204, 404}


def test_atlassian_python_api_lives_a_users_life_in_confluence(box):
    """`atlassian-python-api`, Confluence: its own calls where it has them for Data Center, plain ones for the rest."""
    client = atlassian.Confluence(box.confluence.url, token=box.confluence.token, cloud=False)
    body = {"userName": "new.one", "fullName": "New One", "email": "new.one@corp.example", "notifyViaEmail": True}
    key = client.post("rest/api/admin/user", data=body)["userKey"]
    found = client.get_user_details_by_username("new.one", expand="status")
    assert (found["userKey"], found["displayName"], found["status"]) == (key, "New One", "current")
    assert client.get_user_details_by_userkey(key)["username"] == "new.one"
    assert client.create_group("fresh")["name"] == "fresh"
    assert "fresh" in {each["name"] for each in client.get_all_groups()}
    client.put("rest/api/user/new.one/group/fresh")
    members = client.get("rest/api/group/fresh/member")["results"]
    assert [each["username"] for each in members] == ["new.one"]
    client.put("rest/api/admin/user/new.one/disable")
    assert client.get_user_details_by_username("new.one", expand="status")["status"] == "deactivated"
    client.delete("rest/api/user/new.one/group/fresh")
    client.remove_group("fresh")
    assert "fresh" not in {each["name"] for each in client.get_all_groups()}
    assert client.delete("rest/api/admin/user/new.one")["id"]
