"""Clients that are not ours complete a user's life on the stand-ins, so that these are not just what we believe the vendors to be."""

import asyncio
from datetime import datetime

import pytest

from connectors.source import SourceContext
from connectors.sources.entra import Entra, EntraSettings
from core.model import Verdict
from sandbox.graph_rounds import Quirks
from sandbox.providers import Providers, tenants
from sandbox.serve import Sandbox
from state.landing import read_part
from tasks.extract import extract

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


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the client warns of its own classes
def test_msgraph_sdk_lists_a_tenant_as_we_do(tmp_path, monkeypatch):
    """`msgraph-sdk`: users, groups, direct members, both delta rounds and the bin of a tenant; the same as our read has."""
    sdk = pytest.importorskip("msgraph", reason="msgraph-sdk is not installed: requirements-proof.lock")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    quirks = Quirks(page=60, slice=40, empty_every=3, replay=2)
    with Providers(tenants(1), graph={"quirks": quirks}) as box:
        tenant = box.graph.tenants["corp"]
        tenant.delete("users", next(iter(tenant.users)))
        token = box.graph.login.given(box.graph.app("corp"))
        theirs = asyncio.run(_by_sdk(sdk, box.graph.announcement()["url"], token))
        ours = _by_us(box.graph.announcement(), tmp_path)
    assert len(theirs["users"]) == 299
    assert theirs["users"] == theirs["user_round"] == ours["users"]
    assert theirs["groups"] == theirs["group_round"] == ours["groups"]
    assert theirs["edges"] == theirs["edge_round"] == ours["edges"]
    assert theirs["bin"] == ours["bin"]


async def _by_sdk(sdk, url, token):
    """What the vendor's own client sees, by its own requests; only the host is ours."""
    from kiota_abstractions.authentication import AuthenticationProvider
    from kiota_abstractions.base_request_configuration import RequestConfiguration
    from msgraph.generated.groups.delta.delta_request_builder import DeltaRequestBuilder as GroupRound
    from msgraph.generated.groups.groups_request_builder import GroupsRequestBuilder as Groups
    from msgraph.generated.groups.item.members.members_request_builder import MembersRequestBuilder as Members
    from msgraph.generated.users.delta.delta_request_builder import DeltaRequestBuilder as UserRound
    from msgraph.generated.users.users_request_builder import UsersRequestBuilder as Users
    from msgraph.graph_request_adapter import GraphRequestAdapter

    class Given(AuthenticationProvider):
        async def authenticate_request(self, request, additional_authentication_context=None):
            request.headers.add("Authorization", f"Bearer {token}")

    adapter = GraphRequestAdapter(Given())
    adapter.base_url = url
    client = sdk.GraphServiceClient(request_adapter=adapter)

    async def every(builder, query):
        found, answer = [], await builder.get(request_configuration=RequestConfiguration(query_parameters=query))
        while True:
            found += answer.value or []
            if not answer.odata_next_link:
                return found
            answer = await builder.with_url(answer.odata_next_link).get()

    wanted = ["id", "userPrincipalName", "accountEnabled"]
    users = await every(client.users, Users.UsersRequestBuilderGetQueryParameters(select=wanted, top=100))
    groups = await every(
        client.groups, Groups.GroupsRequestBuilderGetQueryParameters(select=["id", "displayName"], top=5)
    )
    edges = set()
    for group in groups:
        members = client.groups.by_group_id(group.id).members
        found = await every(members, Members.MembersRequestBuilderGetQueryParameters(select=["id"], top=50))
        edges |= {(group.id, each.id) for each in found}
    user_round = await every(client.users.delta, UserRound.DeltaRequestBuilderGetQueryParameters(select=wanted))
    asked = GroupRound.DeltaRequestBuilderGetQueryParameters(select=["displayName", "members"])
    group_round = await every(client.groups.delta, asked)
    gone = await every(client.directory.deleted_items.graph_user, None)
    return {
        "users": {each.id: (each.user_principal_name, each.account_enabled) for each in users},
        "groups": {each.id: each.display_name for each in groups},
        "edges": edges,
        "user_round": {
            each.id: (each.user_principal_name, each.account_enabled)
            for each in user_round
            if "@removed" not in each.additional_data
        },
        "group_round": {each.id: each.display_name for each in group_round},
        "edge_round": {
            (group.id, str(each["id"]))
            for group in group_round
            for each in group.additional_data.get("members@delta", ())
        },
        "bin": {each.id for each in gone},
    }


def _by_us(known, folder):
    given = known["tenants"]["corp"]
    settings = EntraSettings(
        tenant_id=given["tenant_id"],
        client_id=given["client_id"],
        client_secret="env:SECRET",
        url=known["url"],
        login_url=known["login_url"],
    )
    now = datetime(2026, 11, 24)  # noqa: DTZ001 - stored in UTC without zone
    source = Entra(settings, SourceContext("corp", now, {"client_secret": given["client_secret"]}))
    manifest = extract(
        source, tenant="corp", root=folder, extract_id="e1", cursor_before=None, full=True, now=lambda: now
    )
    source.close()
    assert manifest.verdict is Verdict.COMPLETE
    accounts, groups, edges = (read_part(folder, manifest, name) for name in ("accounts", "groups", "memberships"))
    there = accounts.filter(~accounts["tombstone"])
    return {
        "users": {
            native_id: (name, active)
            for native_id, name, active in there.select("native_id", "user_name", "active").rows()
        },
        "groups": dict(groups.select("native_id", "name").rows()),
        "edges": set(edges.select("group_id", "member_id").rows()),
        "bin": set(accounts.filter(accounts["tombstone"])["native_id"]),
    }
