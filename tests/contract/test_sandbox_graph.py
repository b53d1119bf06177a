"""The Graph stand-in is as strict and as odd as the real service, over sockets and without ours as its client."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from sandbox.graph import Graph
from sandbox.graph_limits import Units, cost
from sandbox.graph_rounds import Quirks
from sandbox.providers import Providers, tenants
from sandbox.seen import Seen, SeenGroup, SeenUser, guid
from sandbox.wire import Request
from tests.vendors import BASE, Wire

ROOT = Path(__file__).parent.parent.parent
EVENTUAL = {"ConsistencyLevel": "eventual"}


@pytest.fixture
def graph():
    found = Graph(tenants(1), quirks=Quirks(page=40, slice=30, empty_every=3, replay=2))
    found.url = BASE
    return found


def asker(graph, tenant="corp", token=None):
    """A client of one tenant with a fresh token."""
    client = httpx.Client(transport=Wire(graph).transport(), base_url=f"{BASE}/graph/v1.0")
    client.headers["Authorization"] = f"Bearer {token or graph.login.given(graph.app(tenant))}"
    return client


def login(graph, tenant="corp", **form):
    given = graph.announcement()["tenants"][tenant]
    fields = {
        "grant_type": "client_credentials",
        "client_id": given["client_id"],
        "client_secret": given["client_secret"],
        "scope": f"{BASE}/graph/.default",
    }
    with httpx.Client(transport=Wire(graph).transport()) as client:
        tenant_id = form.pop("tenant_id", given["tenant_id"])
        return client.post(f"{BASE}/login/{tenant_id}/oauth2/v2.0/token", data={**fields, **form})


def code(answer):
    return answer.status_code, answer.json()["error"]["code"]


@pytest.mark.parametrize(
    ("wrong", "status", "number"),
    [
        ({"client_secret": "x"}, 401, 7000215),
        ({"client_id": "x"}, 400, 700016),
        ({"tenant_id": "x"}, 400, 90002),
        ({"scope": "User.Read"}, 400, 70011),
        ({"scope": "https://graph.microsoft.us/.default"}, 400, 500011),
        ({"grant_type": "password"}, 400, 70003),
        ({"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, 401, 700027),
    ],
)
def test_the_login_refuses_in_entras_words(graph, wrong, status, number):
    """Each wrong field gives its AADSTS code; another cloud's resource is one of them."""
    answer = login(graph, **wrong)
    assert (answer.status_code, answer.json()["error_codes"]) == (status, [number])
    assert f"AADSTS{number}" in answer.json()["error_description"]


def test_tokens_are_of_one_tenant_and_end(graph):
    """A token shows its own tenant, none shows nobody, and after an hour it is refused."""
    token = login(graph).json()["access_token"]
    names = {each["displayName"] for each in asker(graph, token=token).get("/groups").json()["value"]}
    others = {each["displayName"] for each in asker(graph, "acquired").get("/groups").json()["value"]}
    assert names
    assert names != others
    assert code(asker(graph, token="x").get("/users")) == (401, "InvalidAuthenticationToken")
    graph.skew = 3_600
    assert code(asker(graph, token=token).get("/users")) == (401, "InvalidAuthenticationToken")


def test_listings_keep_graphs_rules(graph):
    """Small default set, `$select`, `$top` from 1 to 999, pages by skip tokens bound to the query, `$count` with its header only."""
    client = asker(graph)
    first = client.get("/users").json()
    assert len(first["value"]) == 100
    assert "accountEnabled" not in first["value"][0]
    assert set(client.get("/users?$select=id,accountEnabled").json()["value"][0]) == {"id", "accountEnabled"}
    for top in ("0", "1000", "x"):
        assert code(client.get(f"/users?$top={top}")) == (400, "Request_BadRequest")
    assert code(client.get("/users?$select=nope")) == (400, "Request_BadRequest")
    found, link = [], f"{BASE}/graph/v1.0/users?$top=70"
    while link:
        body = client.get(link).json()
        found += [each["id"] for each in body["value"]]
        link = body.get("@odata.nextLink")
    assert sorted(found) == sorted(graph.tenants["corp"].users)
    tampered = client.get("/users?$top=70").json()["@odata.nextLink"].replace("top=70", "top=71")
    assert code(client.get(tampered)) == (400, "Directory_ExpiredPageToken")
    assert code(client.get("/users/$count")) == (400, "Request_UnsupportedQuery")
    assert client.get("/users/$count", headers=EVENTUAL).text == "300"
    assert code(client.get("/users?$count=true")) == (400, "Request_UnsupportedQuery")
    counted = client.get("/users?$count=true&$filter=accountEnabled ne true", headers=EVENTUAL).json()
    assert 0 < counted["@odata.count"] < 300
    assert code(client.get("/users?$filter=accountEnabled ne true")) == (400, "Request_UnsupportedQuery")
    assert client.get("/users?$filter=accountEnabled eq false").status_code == 200
    assert client.get("/nowhere").status_code == 404


def test_deltas_refuse_what_graph_refuses(graph):
    """No `$top`, `$orderby`, `$expand`; only ids in `$filter`, at most 50; options are part of the token; 501 for what lies elsewhere."""
    client = asker(graph)
    for query in ("$top=5", "$orderby=displayName", "$expand=members", "$filter=displayName eq 'x'"):
        assert client.get(f"/groups/delta?{query}").status_code == 400
    many = " or ".join(f"id eq '{guid(str(place))}'" for place in range(51))
    assert client.get("/groups/delta", params={"$filter": many}).status_code == 400
    assert code(client.get("/users/delta?$select=aboutMe")) == (501, "NotImplemented")
    link = client.get("/users/delta?$select=displayName").json()["@odata.nextLink"]
    assert client.get(f"{link}&$select=mail").status_code == 400
    assert code(client.get(link.replace("users/delta", "groups/delta"))) == (400, "Directory_InvalidToken")
    assert code(asker(graph, "acquired").get(link)) == (400, "Directory_InvalidToken")
    forged = client.get(f"{link[:-4]}AAAA")
    assert forged.status_code == 400


def walked(client, link):
    pages = []
    while link:
        pages.append(client.get(link).json())
        link = pages[-1].get("@odata.nextLink")
    return pages


def test_rounds_have_every_habit_of_the_real_ones(graph):
    """Empty pages with a next link, slices of one group apart, no null for what was never set, both kinds of removal, replays."""
    client, tenant = asker(graph), graph.tenants["corp"]
    binned, purged = list(tenant.users)[:2]
    for each in (binned, purged):
        tenant.delete("users", each)
    tenant.purge(purged)
    pages = walked(client, "/users/delta?$select=displayName,jobTitle")
    assert any(not each["value"] and "@odata.nextLink" in each for each in pages)
    rows = [row for each in pages for row in each["value"]]
    removed = {row["id"]: row["@removed"]["reason"] for row in rows if "@removed" in row}
    assert removed == {binned: "changed", purged: "deleted"}
    assert any("jobTitle" not in row for row in rows if "@removed" not in row)
    groups = walked(client, "/groups/delta?$select=displayName,members")
    told = [row["id"] for each in groups for row in each["value"]]
    assert max(told.count(each) for each in set(told)) > 1
    members = {(row["id"], m["id"]) for each in groups for row in each["value"] for m in row.get("members@delta", ())}
    assert len(members) == sum(len(each) for each in tenant.members.values())
    link = pages[-1]["@odata.deltaLink"]
    changed = tenant.put("users", {"id": next(iter(tenant.users)), "jobTitle": None})
    again = [row for each in walked(client, link) for row in each["value"]]
    assert {row["id"] for row in again} >= {changed}
    assert len(again) > 1
    assert next(row for row in again if row["id"] == changed)["jobTitle"] is None
    latest = client.get("/users/delta?$deltatoken=latest").json()
    assert latest["value"] == []
    assert "@odata.deltaLink" in latest


def test_links_end_after_a_week_and_may_be_reset(graph):
    """After seven days `syncStateNotFound`; after a reset 410 with a Location whose delta token is empty, once."""
    client, tenant = asker(graph), graph.tenants["corp"]
    link = walked(client, "/users/delta")[-1]["@odata.deltaLink"]
    tenant.reset = True
    answer = client.get(link)
    assert answer.status_code == 410
    assert answer.headers["Location"].endswith("/users/delta?$deltatoken=")
    assert client.get(link).status_code == 200
    graph.skew = 8 * 86_400
    assert code(asker(graph).get(link)) == (400, "syncStateNotFound")


def test_missing_rights_show_as_graph_shows_them(graph):
    """403 for no right, nulls for basic profiles, members with their id alone where their type may not be read."""
    app = graph.app("corp")
    app.roles = frozenset({"GroupMember.Read.All"})
    client = asker(graph)
    assert code(client.get("/users")) == (403, "Authorization_RequestDenied")
    group = next(each for each, inside in graph.tenants["corp"].members.items() if "user" in inside.values())
    member = next(
        each
        for each in client.get(f"/groups/{group}/members").json()["value"]
        if each["@odata.type"] == "#microsoft.graph.user"
    )
    assert {name for name, value in member.items() if value is not None} == {"@odata.type", "id"}
    app.roles = frozenset({"User.ReadBasic.All"})
    row = asker(graph).get("/users?$select=id,mail,accountEnabled").json()["value"][0]
    assert (row["accountEnabled"], row["mail"] is not None) == (None, True)


def test_the_bin_holds_who_was_deleted(graph):
    """Deleted users are there alone, with the object id before their name, and only behind a cast."""
    tenant, client = graph.tenants["corp"], asker(graph)
    gone = next(iter(tenant.users))
    tenant.delete("users", gone)
    (row,) = client.get(
        "/directory/deletedItems/microsoft.graph.user?$select=id,userPrincipalName,deletedDateTime"
    ).json()["value"]
    assert row["userPrincipalName"].startswith(gone.replace("-", ""))
    assert client.get(f"/users/{gone}").status_code == 404
    assert client.get("/directory/deletedItems/microsoft.graph.device").status_code == 400
    assert client.get("/directory/deletedItems/microsoft.graph.group").status_code == 403


def test_batches_are_of_twenty_in_no_order(graph):
    """Answers of their own, out of order; 21 or a double id refuse the whole; what depends on a failure is 424."""
    client = asker(graph)
    asked = [{"id": str(place), "method": "GET", "url": "/groups?$top=1"} for place in range(20)]
    answers = client.post("/$batch", json={"requests": asked}).json()["responses"]
    assert sorted(each["id"] for each in answers) == sorted(each["id"] for each in asked)
    assert [each["id"] for each in answers] != [each["id"] for each in asked]
    assert answers[0]["body"]["value"]
    assert (
        client.post("/$batch", json={"requests": [*asked, {"id": "x", "method": "GET", "url": "/"}]}).status_code == 400
    )
    assert client.post("/$batch", json={"requests": [asked[0], asked[0]]}).status_code == 400
    chained = [
        {"id": "a", "method": "GET", "url": "/users/nobody"},
        {"id": "b", "method": "GET", "url": "/users", "dependsOn": ["a"]},
    ]
    found = {
        each["id"]: each["status"] for each in client.post("/$batch", json={"requests": chained}).json()["responses"]
    }
    assert found == {"a": 404, "b": 424}


def test_units_are_counted_and_run_out(graph):
    """Costs by route and options; a share from 80 % on; 429 with its scope, with and without Retry-After; the bucket fills again."""

    def costs(path, route, **query):
        asked = Request("GET", path, path, {f"${name}": [text] for name, text in query.items()}, {}, b"")
        return cost(asked, route)

    assert costs("/users", "/graph/v1.0/users") == 2
    assert costs("/users", "/graph/v1.0/users", select="id") == 1
    assert costs("/users", "/graph/v1.0/users", select="id", top="5") == 1
    assert costs("/x", "/graph/v1.0/groups/{id}/members") == 3
    assert costs("/x", "/graph/v1.0/groups/{id}/members", expand="x") == 4
    for silent in (False, True):
        now = [0.0]
        graph.units = Units(10, silent=silent, clock=lambda now=now: now[0])
        client = asker(graph)
        answers = [client.get("/users") for _ in range(6)]
        assert [each.status_code for each in answers] == [200] * 5 + [429]
        assert answers[0].headers["x-ms-resource-unit"] == "2"
        assert "x-ms-throttle-limit-percentage" not in answers[0].headers
        assert answers[4].headers["x-ms-throttle-limit-percentage"] == "1.00"
        assert answers[5].headers["x-ms-throttle-scope"].startswith("Tenant_Application/ReadWrite/")
        assert ("Retry-After" in answers[5].headers) is not silent
        now[0] = 20
        assert client.get("/users").status_code == 200


def test_it_serves_over_sockets_with_faults(tmp_path):
    """Over real connections: a reset, a cut answer and a status by script, the audit, and ten clients at once."""
    people = tuple(SeenUser(f"p{n}", f"p{n}@x.example", None, f"P {n}") for n in range(50))
    rules = [
        {"target": "graph", "path": "*/groups", "call": 1, "fault": "reset_before"},
        {"target": "graph", "path": "*/groups", "call": 2, "fault": "truncate"},
        {"target": "graph", "path": "*/groups", "call": 3, "fault": 503, "retry_after": 2},
        {"target": "jira", "path": "*", "fault": 500},
    ]
    seen = Seen("corp", "x.example", people, (SeenGroup("g", "G", ("p1",)),))
    with Providers([seen], rules) as box:
        token = box.graph.login.given(box.graph.app("corp"))
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=f"{box.graph.url}/graph/v1.0", headers=headers, trust_env=False) as client:
            with pytest.raises(httpx.TransportError):
                client.get("/groups")
            with pytest.raises(httpx.TransportError):
                client.get("/groups")
            answer = client.get("/groups")
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
            assert len(client.get("/groups").json()["value"]) == 1
            seen_by = []
            threads = [
                threading.Thread(target=lambda: seen_by.append(len(client.get("/users").json()["value"])))
                for _ in range(10)
            ]
            for each in threads:
                each.start()
            for each in threads:
                each.join()
            assert seen_by == [50] * 10
            audit = client.get(f"{box.graph.url}/_onefold/audit").json()
            assert audit["by_route"]["GET /graph/v1.0/groups"] == 4
            state = client.get(f"{box.graph.url}/_onefold/state").json()
            assert len(state["corp"]["users"]) == 50


READER = """
import sys
from datetime import datetime
from pathlib import Path
from connectors.source import SourceContext
from connectors.sources.entra import Entra, EntraSettings
from tasks.extract import extract
import json, os
told = json.loads(sys.argv[1])
Path(sys.argv[3]).write_text(str(os.getpid()))
source = Entra(EntraSettings(client_secret="env:X", **told["settings"]), SourceContext("corp", datetime(2026, 11, 24), {"client_secret": told["secret"]}))
manifest = extract(source, tenant="corp", root=Path(sys.argv[2]), extract_id=sys.argv[4], cursor_before=None, full=True, now=lambda: datetime(2026, 11, 24))
source.close()
print(json.dumps([manifest.verdict.value, manifest.accounts, manifest.content]))
"""


def test_a_read_killed_by_a_signal_is_resumed(tmp_path):
    """SIGKILL in the middle of a read: no extract is there, and the next read is complete, as if nothing had been."""
    with Providers(tenants(1), graph={"quirks": Quirks(page=40, slice=30)}) as box:
        given = box.graph.announcement()
        corp = given["tenants"]["corp"]
        settings = {"tenant_id": corp["tenant_id"], "client_id": corp["client_id"]}
        settings |= {"url": given["url"], "login_url": given["login_url"]}
        told = json.dumps({"settings": settings, "secret": corp["client_secret"]})
        pid = tmp_path / "pid"

        def run(extract_id, folder):
            command = [sys.executable, "-c", READER, told, str(tmp_path / folder), str(pid), extract_id]
            environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_PROXY": "127.0.0.1"}
            return subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, check=False)

        undisturbed = run("e0", "other")
        assert undisturbed.returncode == 0, undisturbed.stderr
        box.graph.faults.replace([{"path": "*/users/delta", "call": 4, "fault": "kill", "pid_file": str(pid)}])
        assert run("e1", "landing").returncode == -signal.SIGKILL
        box.graph.faults.replace([])
        assert not list((tmp_path / "landing").glob("corp/*/manifest.json"))
        resumed = run("e2", "landing")
        assert resumed.stdout == undisturbed.stdout
        assert json.loads(resumed.stdout)[:2] == ["complete", 300]


def test_the_command_announces_it():
    """`onefold sandbox serve` prints Graph's URLs and every tenant's credentials beside those of the targets."""
    command = [sys.executable, "-m", "flows", "sandbox", "serve", "--users", "5"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            told = json.loads(process.stdout.readline())
            given = told["graph"]["tenants"]["acquired"]
            assert told["graph"]["kind"] == "entra"
            form = {
                "grant_type": "client_credentials",
                "client_id": given["client_id"],
                "client_secret": given["client_secret"],
                "scope": told["graph"]["url"].removesuffix("/v1.0") + "/.default",
            }
            login_url = f"{told['graph']['login_url']}/{given['tenant_id']}/oauth2/v2.0/token"
            with httpx.Client(trust_env=False) as client:
                token = client.post(login_url, data=form).json()["access_token"]
                answer = client.get(f"{told['graph']['url']}/users", headers={"Authorization": f"Bearer {token}"})
            assert len(answer.json()["value"]) == 100
        finally:
            process.send_signal(signal.SIGTERM)
            started = time.monotonic()
            assert process.wait(20) == 0
            assert time.monotonic() - started < 20
