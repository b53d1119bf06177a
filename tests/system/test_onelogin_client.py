"""OneLogin's own client library against our stand-in: it lists an account as our connector does."""

from datetime import datetime
from urllib.parse import urlsplit

import pytest

from connectors.source import SourceContext
from connectors.sources.onelogin import OneLogin, OneLoginSettings
from core.model import Verdict
from sandbox.providers import Providers, tenants
from state.landing import read_part
from tasks.extract import extract

pytestmark = pytest.mark.system


def test_the_client_onelogin_lists_an_account_as_we_do(tmp_path, monkeypatch):
    """`onelogin`: users, roles and the users of each role, turned by the cursor header; the same as our read has."""
    sdk = pytest.importorskip("onelogin", reason="onelogin is not installed: requirements-proof.lock")
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with Providers(tenants(1)) as box:
        given = box.all["onelogin"].announcement()["tenants"]["corp"]
        ours = _by_us(given, tmp_path)
        theirs = _by_sdk(sdk, given["url"], box.all["onelogin"].tenants["corp"].token)
    assert theirs["users"] == ours["users"]
    assert theirs["roles"] == ours["roles"]
    assert theirs["edges"] == ours["edges"]
    assert min(len(each) for each in ours.values()) > 10


def _by_sdk(sdk, url, token):
    configuration = sdk.Configuration(host=url)
    configuration.access_token = token
    with sdk.ApiClient(configuration) as client:

        def every(call, *arguments, **query):
            cursor, rows = None, []
            while True:
                answer = call(*arguments, limit=100, **({"cursor": cursor} if cursor else {}), **query)
                rows += answer.data
                cursor = {name.lower(): value for name, value in answer.headers.items()}.get("after-cursor")
                if not cursor:
                    return rows

        users = every(sdk.UsersV2Api(client).list_users2_with_http_info)
        roles = every(sdk.RolesApi(client).list_roles_with_http_info)
        edges = {
            (str(role.id), str(user.id))
            for role in roles
            for user in every(sdk.RolesApi(client).get_role_users_with_http_info, str(role.id))
        }
    assert urlsplit(configuration.host).hostname == "127.0.0.1"
    return {
        "users": {str(each.id): (each.username, each.email, each.status) for each in users},
        "roles": {str(each.id): each.name for each in roles},
        "edges": edges,
    }


def _by_us(given, folder):
    now = datetime(2026, 11, 24)  # noqa: DTZ001 - stored in UTC without zone
    settings = OneLoginSettings(url=given["url"], client_id=given["client_id"], client_secret="env:SECRET")
    source = OneLogin(settings, SourceContext("corp", now, {"client_secret": given["client_secret"]}))
    manifest = extract(
        source, tenant="corp", root=folder, extract_id="e1", cursor_before=None, full=True, now=lambda: now
    )
    source.close()
    assert manifest.verdict is Verdict.COMPLETE
    accounts, groups, edges = (read_part(folder, manifest, name) for name in ("accounts", "groups", "memberships"))
    numbers = {"Active": 1, "Suspended": 2}
    return {
        "users": {
            native_id: (name, email, numbers[status])
            for native_id, name, email, status in accounts.select("native_id", "user_name", "email", "status").rows()
        },
        "roles": dict(groups.select("native_id", "name").rows()),
        "edges": set(edges.select("group_id", "member_id").rows()),
    }
