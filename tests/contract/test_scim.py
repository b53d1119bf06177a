import json
import shutil
import socket
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from urllib.parse import parse_qs

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.http import Http
from connectors.scim_records import ENTERPRISE, Odd, to_account, to_edges, to_group
from connectors.source import SourceContext
from connectors.sources.scim import Scim, ScimSettings
from core.frames import BIT
from core.model import ExtractKind, Verdict
from state.landing import read_part
from tasks.extract import extract

NOW = datetime.fromisoformat("2026-11-24")
SECRET = "s3cr3t-of-the-rig"
CANNOT = {
    "token_ends": "a SCIM service gives no tokens: another one comes by hand",
    "empty_page": "by index an empty page is the end (RFC 7644, 3.4.2.4)",
}
THROTTLED = ("retry_after", "http_date", "unsaid")
LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse"


class Service:
    """A SCIM service of five rows a page at most, and the traps that real ones have."""

    most = 5

    def __init__(self, users, groups, trap=None, *, show_members=True, cursors=False, filters=None):
        self.users, self.groups, self.trap, self.filters = users, groups, trap, filters
        self.show_members, self.cursors = show_members, cursors
        self.calls = []

    def transport(self):
        return httpx.MockTransport(self.answer)

    def answer(self, request):
        path = request.url.path.removeprefix("/scim/v2")
        query = {name: values[0] for name, values in parse_qs(str(request.url.query, "ascii"), True).items()}
        self.calls.append((path, query))
        if (early := self.trouble(len(self.calls))) is not None:
            return early
        if request.headers.get("authorization") != f"Bearer {SECRET}" or self.trap == "unauthorised":
            return self.error(401, f"token {SECRET} is not known")
        if path == "/ServiceProviderConfig":
            return httpx.Response(200, json={"pagination": {"cursor": True, "maxPageSize": 4}} if self.cursors else {})
        if path.startswith("/Groups/"):
            return self.one(path.removeprefix("/Groups/"))
        if path.startswith("/Users/"):
            found = [row for row in self.users if row.get("id") == path.removeprefix("/Users/")]
            return (
                httpx.Response(200, json=found[0]) if found and self.trap != "gone" else self.error(404, "no such user")
            )
        rows = {"/Users": self.users, "/Groups": self.groups}[path]
        if self.trap == "gone":
            return self.error(404, "no such endpoint")
        if "filter" in query:
            if self.filters is None:
                return self.error(400, "no filters here")
            rows = rows if self.filters == "ignored" else self.filtered(rows, query["filter"])
        if path == "/Groups" and not self.show_members:
            rows = [{name: value for name, value in row.items() if name != "members"} for row in rows]
        if path == "/Users" and self.trap in {"html", "truncated"} and query.get("startIndex") != "1":
            whole = "<!DOCTYPE html><title>Sign in</title>" if self.trap == "html" else '{"Resources": [{"id": "u'
            return httpx.Response(200, text=whole, headers={"content-type": "application/json"})
        return self.page(rows, query)

    def filtered(self, rows, text):
        attribute, word, value = text.split(" ")
        value = value.strip('"')
        if attribute == "groups.value":
            inside = {member["value"] for each in self.groups if each["id"] == value for member in each["members"]}
            return [each for each in rows if each["id"] in inside]
        name = attribute.removeprefix("meta.")
        if self.filters == "one" and name == "created":
            return rows
        return [each for each in rows if each["meta"][name] > value or (word == "ge" and each["meta"][name] == value)]

    def trouble(self, call):
        """What goes wrong with the third request, or from the third on."""
        trap = self.trap or ""
        if trap == "timeout" or (trap == "slow_once" and call == 3):
            raise httpx.ReadTimeout("too late")
        if trap == "revoked" and call > 2:
            return self.error(401, "the token was revoked")
        if trap.startswith("throttled:") and call == 3:
            said = {"retry_after": {"Retry-After": "7"}, "http_date": {"Retry-After": "Tue, 24 Nov 2026 09:00:00 GMT"}}
            return httpx.Response(429, headers=said.get(trap.partition(":")[2], {}))
        return None

    def page(self, rows, query):
        if self.trap == "changed_order":
            rows = rows[::-1]
        total, count = len(rows), int(query["count"])
        if "cursor" in query:
            start = int(query["cursor"].removeprefix("c") or 0)
            part = rows[start : start + min(count, self.most)]
            more = start + len(part)
            if self.trap == "circle":
                more = 0
            body = {"schemas": [LIST], "totalResults": total, "Resources": part}
            if more < total:
                body["nextCursor"] = f"c{more}"
            return httpx.Response(200, json=body)
        start, size = int(query["startIndex"]), min(count, self.most)
        part = rows[start - 1 : start - 1 + size]
        if self.trap == "repeated_page" and start > size:
            part = rows[start - 1 - size : start - 1]
        if self.trap == "dropped_page" and start > size:
            part = rows[start - 1 + size : start - 1 + 2 * size]
        if self.trap == "ignores_paging":
            part = rows[:size]
        if self.trap == "past_the_end" and start + size > total:
            part = rows[-size:]
        if self.trap == "ends_early" and start > size:
            part = []
        if self.trap == "grows":
            total += start // 5
        body = {"schemas": [LIST], "totalResults": total, "startIndex": start, "itemsPerPage": len(part)}
        if self.trap == "silent":
            del body["totalResults"]
        return httpx.Response(200, json=body | ({"Resources": part} if part else {}))

    def one(self, native_id):
        found = [row for row in self.groups if row["id"] == native_id]
        if not found or self.trap == "group_vanishes":
            return self.error(404, "gone")
        return httpx.Response(200, json=found[0])

    @staticmethod
    def error(status, detail):
        return httpx.Response(status, json={"schemas": [], "status": str(status), "detail": detail})


def resource(user):
    return {
        "id": user.id,
        "userName": user.user_name,
        "displayName": user.display_name,
        "active": user.active,
        "emails": [{"value": user.email, "primary": True}] if user.email else [],
        ENTERPRISE: {"employeeNumber": user.employee_number},
    }


def rig(world, _folder, fault):
    """A service behind a mock transport that shows the world."""
    users = [resource(user) for user in (*world.users, *world.twins)]
    users += [{"userName": "nameless@corp.example"}] * world.nameless
    groups = [
        {
            "id": native_id,
            "displayName": name,
            "members": [{"value": m, "type": k.title()} for g, m, k in world.edges if g == native_id],
        }
        for native_id, name in world.groups
    ]
    return opened(Service(users, groups, fault))


def opened(service, **settings):
    context = SourceContext("corp", NOW, {"token": SECRET}, transport=service.transport())
    return Scim(ScimSettings(url="http://scim.example/scim/v2", token="env:TOKEN", **settings), context)


def people(many):
    return [{"id": f"u{place:03}", "userName": f"user{place}"} for place in range(many)]


def read(source, folder, **more):
    manifest = extract(
        source,
        tenant="corp",
        root=folder,
        extract_id=f"e{time.monotonic_ns()}",
        cursor_before=None,
        full=True,
        now=lambda: NOW,
        **more,
    )
    return manifest, read_part(folder, manifest, "accounts")


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setitem(Http.__init__.__kwdefaults__, "sleep", lambda _seconds: None)


def test_moves_on_by_the_rows_that_came(tmp_path):
    """Asked for 200 and given 5, the next page starts at row 6, so that a service's own maximum loses nobody."""
    service = Service(people(13), [])
    manifest, accounts = read(opened(service), tmp_path)
    assert (manifest.verdict, accounts.height) == (Verdict.COMPLETE, 13)
    assert [query["startIndex"] for path, query in service.calls if path == "/Users"] == ["1", "6", "11"]


@pytest.mark.parametrize(
    ("trap", "words"),
    [
        ("ignores_paging", "ignores startIndex"),
        ("past_the_end", "past the end"),
        ("ends_early", "ended after 5 of 13 rows"),
        ("repeated_page", "came more than once"),
        ("dropped_page", "the vendor counts 13 accounts"),
    ],
)
def test_lying_pages_are_partial(tmp_path, trap, words):
    """Each way in which a service may lie about its pages is named, and proves nobody absent."""
    manifest, accounts = read(opened(Service(people(13), [], trap)), tmp_path)
    assert manifest.verdict is Verdict.PARTIAL
    assert any(words in reason for reason in manifest.reasons), manifest.reasons
    assert accounts["native_id"].n_unique() == accounts.height


def test_a_service_that_cannot_page_is_left_at_once(tmp_path):
    """Page one again instead of page two: no third request is sent."""
    service = Service(people(100), [], "ignores_paging")
    read(opened(service), tmp_path)
    assert len([path for path, _ in service.calls if path == "/Users"]) == 2


@pytest.mark.parametrize(("trap", "words"), [("grows", "went from 13 to"), ("silent", "nothing proves that all came")])
def test_unsteady_totals_are_not_complete(tmp_path, trap, words):
    """A total that moves while we read, or that is never given, proves nothing."""
    manifest, _ = read(opened(Service(people(13), [], trap)), tmp_path)
    assert manifest.verdict is not Verdict.COMPLETE
    assert any(words in reason for reason in manifest.reasons), manifest.reasons


def test_cursors_are_used_where_offered(tmp_path):
    """With RFC 9865 in ServiceProviderConfig, pages are turned by cursor, and its maximum page size is kept."""
    service = Service(people(13), [], cursors=True)
    manifest, accounts = read(opened(service), tmp_path)
    assert (manifest.verdict, accounts.height) == (Verdict.COMPLETE, 13)
    users = [query for path, query in service.calls if path == "/Users"]
    assert [query["cursor"] for query in users] == ["", "c4", "c8", "c12"]
    assert {query["count"] for query in users} == {"4"}


def test_cursors_in_a_circle_end(tmp_path):
    """A service whose cursors lead back to the start is left at once, and the read is partial."""
    manifest, _ = read(opened(Service(people(13), [], "circle", cursors=True)), tmp_path)
    assert manifest.verdict is Verdict.PARTIAL
    assert any("circle" in reason for reason in manifest.reasons)


def group(native_id, *members):
    return {"id": native_id, "displayName": native_id.title(), "members": [{"value": each} for each in members]}


def test_members_that_a_listing_hides_are_asked_for(tmp_path):
    """When no group of a listing shows members, each group is read alone, and a member without a type is found out."""
    service = Service(people(3), [group("a", "u000", "b"), group("b", "u001")], show_members=False)
    manifest, _ = read(opened(service), tmp_path)
    edges = read_part(tmp_path, manifest, "memberships").select("group_id", "member_id", "member_kind").rows()
    assert manifest.verdict is Verdict.COMPLETE
    assert edges == [("a", "b", "group"), ("a", "u000", "user"), ("b", "u001", "user")]
    assert [path for path, _ in service.calls if path.startswith("/Groups/")] == ["/Groups/a", "/Groups/b"]


def test_shown_members_cost_no_request_more(tmp_path):
    """A listing that shows members is not asked again for its empty groups."""
    empty = {"id": "c", "displayName": "C"}
    service = Service(people(3), [group("a", "u000"), empty])
    manifest, _ = read(opened(service), tmp_path)
    assert manifest.memberships == 1
    assert not [path for path, _ in service.calls if path.startswith("/Groups/")]


def test_a_group_that_vanishes_is_a_gap(tmp_path):
    """A group that was listed and cannot be read alone makes the read partial and names the group."""
    service = Service(people(3), [group("a", "u000")], "group_vanishes", show_members=False)
    manifest, _ = read(opened(service), tmp_path)
    assert manifest.verdict is Verdict.PARTIAL
    assert any("group a " in reason for reason in manifest.reasons)


@pytest.mark.parametrize(
    ("trap", "words"),
    [
        ("unauthorised", "The credential is wrong or expired"),
        ("gone", "`url` must be the address below which /Users is"),
        ("html", "a web page instead of data"),
        ("truncated", "cut short"),
    ],
)
def test_errors_name_tenant_and_remedy(tmp_path, trap, words):
    """A wrong token, a wrong address, a web page and a cut answer each give one reason that names the tenant."""
    manifest, _ = read(opened(Service(people(13), [], trap)), tmp_path)
    (reason,) = manifest.reasons
    assert words in reason
    assert reason.startswith("tenant corp")
    assert SECRET not in reason


def test_what_is_no_scim_is_refused(tmp_path):
    """A JSON answer that is no ListResponse is not taken for an empty company."""
    service = Service([], [])
    service.page = lambda *_: httpx.Response(200, json={"users": []})
    manifest, _ = read(opened(service), tmp_path)
    assert manifest.verdict is Verdict.FAILED
    assert "no SCIM list" in manifest.reasons[0]


def test_credentials_are_no_plain_headers():
    """A credential written among the headers is refused with the remedy."""
    with pytest.raises(ValueError, match="write it as token"):
        ScimSettings(url="http://scim.example", headers={"Authorization": "Bearer x"})


def test_account_from_rfc7643_full_user():
    """The full enterprise user of RFC 7643, 8.3 becomes canonical columns."""
    user = json.loads((Path(__file__).parent / "rfc7643-8.3-enterprise-user.json").read_text())
    assert to_account(user) == {
        "native_id": "2819c223-7f76-453a-919d-413861904646",
        "user_name": "bjensen@example.com",
        "display_name": "Babs Jensen",
        "given_name": "Barbara",
        "family_name": "Jensen",
        "email": "bjensen@example.com",
        "private_email": "babs@jensen.org",
        "aliases": [],
        "phone": "555-555-5555",
        "location": "Hollywood",
        "user_type": "member",
        "title": "Tour Guide",
        "locale": "en-US",
        "time_zone": "America/Los_Angeles",
        "active": True,
        "employee_number": "701984",
        "department": "Tour Operations",
        "company": "Universal Studios",
        "manager_id": "26118915-6090-4610-87e4-49d8ca9f808d",
        "created_at": "2010-01-23T04:56:22Z",
        "updated_at": "2011-05-13T04:42:34Z",
    }


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, {}),
        ({"active": None}, {"active": None}),
        ({"title": None}, {"title": None}),
        ({"emails": []}, {"email": None, "private_email": None, "aliases": []}),
        (
            {"emails": [{"value": "a@x", "type": "other"}, {"value": "b@x", "type": "work"}]},
            {"email": "b@x", "private_email": None, "aliases": ["a@x"]},
        ),
        (
            {"emails": [{"value": "h@x", "type": "home"}]},
            {"email": None, "private_email": "h@x", "aliases": []},
        ),
        (
            {"emails": [{"value": "a@x", "type": "work"}, {"value": "b@x", "type": "other", "primary": True}]},
            {"email": "b@x", "private_email": None, "aliases": ["a@x"]},
        ),
        ({"emails": ["a@x", "a@x"]}, {"email": "a@x", "private_email": None, "aliases": []}),
        ({"userType": "Guest"}, {"user_type": "guest"}),
        ({"userType": "Contractor"}, {"user_type": "member"}),
        ({"userType": "Unknown"}, {}),
        ({"externalId": "x"}, {}),
        ({ENTERPRISE: {"manager": "m1", "employeeNumber": 17}}, {"manager_id": "m1", "employee_number": "17"}),
    ],
)
def test_absent_null_and_value(given, wanted):
    """What a resource leaves out stays out, null stays null, and a value is taken from its right place."""
    assert to_account({"id": "1"} | given) == {"native_id": "1"} | wanted


def test_external_id_means_what_the_config_says():
    """externalId is nothing unless the config says what it is."""
    assert to_account({"id": "1", "externalId": "AQ=="}, external_id="immutable_id")["immutable_id"] == "AQ=="


@pytest.mark.parametrize("odd", [{"name": "Ada"}, {"emails": [17]}, {"title": ["x"]}, {ENTERPRISE: []}])
def test_impossible_values_are_odd(odd):
    """A value of an impossible type sets the record aside and names the field."""
    with pytest.raises(Odd) as caught:
        to_account({"id": "1"} | odd)
    assert caught.value.name == next(iter(odd))


def test_odd_records_are_set_aside_with_their_payload(tmp_path):
    """An odd record is kept as it came, without its password, and the others are read; its id is known, so: suspect."""
    odd = {"id": "u9", "title": 3.5, "password": "hunter2"}
    manifest, accounts = read(opened(Service([*people(3), odd], [])), tmp_path)
    assert (manifest.verdict, accounts.height, manifest.rejected) == (Verdict.SUSPECT, 3, 1)
    (row,) = read_part(tmp_path, manifest, "rejected").rows(named=True)
    assert (row["native_id"], row["field"]) == ("u9", "title")
    assert "3.5" in row["raw"]
    assert "hunter2" not in row["raw"]


def test_text_truth_is_read(tmp_path):
    """Services that write active as text ("False") are understood; an active that is left out is absent, not true."""
    _, accounts = read(opened(Service([{"id": "a", "active": "False"}, {"id": "b"}], [])), tmp_path)
    assert accounts["active"].to_list() == [False, None]
    assert [mask & BIT["active"] > 0 for mask in accounts["present"]] == [True, False]


def test_edges_know_users_and_groups():
    """A member is what its type says, else what its reference says, else unknown; a member twice is one edge."""
    members = [
        {"value": "1", "type": "User"},
        {"value": "1", "type": "user"},
        {"value": "2", "$ref": "https://x/v2/Groups/2"},
        {"value": "3"},
        {"display": "no value"},
    ]
    edges, odd = to_edges({"id": "g", "members": members})
    assert [(edge["member_id"], edge["member_kind"]) for edge in edges] == [("1", "user"), ("2", "group"), ("3", None)]
    assert [each.native_id for each in odd] == ["g"]
    assert to_group({"id": "g", "displayName": None}) == {"native_id": "g", "name": None}


def test_check_says_what_answers():
    """`check` tells the counts and how pages are turned; a wrong token is an error with its remedy."""
    found = list(opened(Service(people(3), [])).check())
    assert [(each.level, each.subject.split()[-1]) for each in found] == [
        ("ok", "Users"),
        ("warning", "Groups"),
        ("ok", "paging"),
    ]
    wrong = list(opened(Service([], [], "unauthorised")).check())
    assert wrong[0].level == "error"
    assert wrong[0].remedy


JSONISH = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["value", "type", "id"]), inner),
    max_leaves=5,
)
NAMES = [
    "name",
    "emails",
    "active",
    "meta",
    "addresses",
    "phoneNumbers",
    "userType",
    "displayName",
    "title",
    ENTERPRISE,
]


@given(st.dictionaries(st.sampled_from(NAMES), JSONISH), JSONISH)
def test_conversion_never_breaks(user, members):
    """Whatever JSON a service sends, a record is converted or odd, and never an unexpected error."""
    try:
        row = to_account({"id": "1"} | user)
    except Odd:
        return
    assert row["native_id"] == "1"
    to_edges({"id": "g", "members": members})


@pytest.fixture(scope="module")
def real_server():
    """scim2-server, a third party's strict implementation, on a free port."""
    program = shutil.which("scim2-server") or str(Path(sys.executable).parent / "scim2-server")
    if not Path(program).exists():
        pytest.skip("scim2-server is not installed")
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    process = subprocess.Popen(
        [program, "--bearer-token", SECRET, "--port", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {SECRET}"})
    try:
        for _ in range(200):
            try:
                client.get("/ServiceProviderConfig")
                break
            except httpx.TransportError:
                time.sleep(0.05)
        else:
            pytest.fail("scim2-server did not start within 10 seconds")
        yield client
    finally:
        client.close()
        process.terminate()
        process.wait(10)


def test_a_real_server_is_read_completely(real_server, tmp_path):
    """A third-party server seeded over HTTP is read with every user, nested group and disabled account; twice the same."""
    core = "urn:ietf:params:scim:schemas:core:2.0:"

    def made(path, **body):
        answer = real_server.post(path, json=body, headers={"Content-Type": "application/scim+json"})
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]

    users = [
        made(
            "/Users",
            schemas=[f"{core}User", ENTERPRISE],
            userName=f"user{place}@corp.example",
            active=place % 5 != 0,
            emails=[{"value": f"user{place}@corp.example", "type": "work", "primary": True}],
            **{ENTERPRISE: {"employeeNumber": f"{place:05}"}},
        )
        for place in range(57)
    ]
    members = [{"value": each, "type": "User"} for each in users[:20]]
    inner = made("/Groups", schemas=[f"{core}Group"], displayName="inner", members=members)
    outer = made("/Groups", schemas=[f"{core}Group"], displayName="outer", members=[{"value": inner, "type": "Group"}])
    made("/Groups", schemas=[f"{core}Group"], displayName="empty")
    context = SourceContext("corp", NOW, {"token": SECRET})
    source = Scim(ScimSettings(url=str(real_server.base_url), token="env:TOKEN", page_size=10), context)
    manifest, accounts = read(source, tmp_path)
    again, _ = read(source, tmp_path)
    source.close()
    assert (manifest.verdict, manifest.reasons) == (Verdict.COMPLETE, ())
    assert manifest.claimed == {"accounts": 57, "groups": 3}
    assert sorted(users) == accounts["native_id"].to_list()
    assert accounts["active"].sum() == 45
    edges = read_part(tmp_path, manifest, "memberships")
    assert edges.height == 21
    assert (outer, inner, "group") in edges.select("group_id", "member_id", "member_kind").rows()
    assert manifest.content == again.content


# --- what moved


def stamped(number, moment="2026-11-01T08:00:00Z"):
    """People with times, each a second later."""
    return [
        {
            **row,
            "meta": {
                "created": moment.replace("00Z", f"{place:02}Z"),
                "lastModified": moment.replace("00Z", f"{place:02}Z"),
            },
        }
        for place, row in enumerate(people(number))
    ]


def reread(service, root, extract_id, cursor, **settings):
    source = opened(service, **settings)
    manifest = extract(
        source,
        tenant="corp",
        root=root,
        extract_id=extract_id,
        cursor_before=cursor,
        full=cursor is None,
        now=lambda: NOW,
        sleep=lambda _seconds: None,
    )
    source.close()
    return manifest, *(read_part(root, manifest, name) for name in ("accounts", "groups", "memberships"))


def test_what_moved_is_read_where_filters_are_proven(tmp_path):
    """A changed user, a new one, a group that went and a new member: by filters on `meta`, after a full read proved them."""
    service = Service(stamped(13), [group("a", "u000"), group("b", "u001")], filters="true")
    first, *_ = reread(service, tmp_path, "e1", None)
    assert (first.verdict, first.kind) == (Verdict.COMPLETE, ExtractKind.FULL)
    later = "2026-11-02T08:00:00Z"
    service.users[2] = {
        **service.users[2],
        "active": False,
        "meta": {**service.users[2]["meta"], "lastModified": later},
    }
    service.users.append(
        {"id": "new", "userName": "new", "active": True, "meta": {"created": later, "lastModified": later}}
    )
    service.groups = [group("a", "u000", "new")]
    calls = len(service.calls)
    manifest, accounts, groups, edges = reread(service, tmp_path, "e2", first.cursor_after)
    assert (manifest.kind, manifest.verdict, manifest.reasons) == (ExtractKind.DELTA, Verdict.COMPLETE, ())
    states = dict(accounts.select("native_id", "active").iter_rows())
    assert (states[service.users[2]["id"]], states["new"]) == (False, True)
    assert groups.filter("tombstone")["native_id"].to_list() == ["b"]
    assert edges.select("group_id", "member_id").rows() == [("a", "new"), ("a", "u000")]
    asked = [query.get("filter", "") for path, query in service.calls[calls:] if path == "/Users"]
    assert any(each.startswith("meta.lastModified ge") for each in asked)


@pytest.mark.parametrize("filters", [None, "ignored", "one"])
def test_filters_that_prove_nothing_are_never_used(tmp_path, filters):
    """Refused, ignored, or ignored for one attribute alone: the next read is a full one, and nobody is missed."""
    service = Service(stamped(13), [], filters=filters)
    first, *_ = reread(service, tmp_path, "e1", None)
    assert (first.verdict, first.cursor_after) == (Verdict.COMPLETE, None)


def test_filters_that_stop_working_lose_the_cursor(tmp_path):
    """A service that ignores filters from one day on is read in full: its answer is no list of what moved."""
    service = Service(stamped(13), [], filters="true")
    first, *_ = reread(service, tmp_path, "e1", None)
    service.filters = "ignored"
    manifest, accounts, *_ = reread(service, tmp_path, "e2", first.cursor_after)
    assert (manifest.kind, accounts.height) == (ExtractKind.FULL, 13)


def test_somebody_deleted_leads_to_a_full_read(tmp_path):
    """Filters are silent about who was deleted: the count that fell short is not, even where somebody came meanwhile."""
    service = Service(stamped(13), [], filters="true")
    first, *_ = reread(service, tmp_path, "e1", None)
    gone = service.users.pop(3)["id"]
    later = "2026-11-02T08:00:00Z"
    service.users.append(
        {"id": "new", "userName": "new", "active": True, "meta": {"created": later, "lastModified": later}}
    )
    manifest, accounts, *_ = reread(service, tmp_path, "e2", first.cursor_after)
    assert manifest.kind is ExtractKind.FULL
    assert gone not in accounts["native_id"].to_list()


def test_increments_can_be_switched_off(tmp_path):
    """`increments: false` asks no filter and reads everything, always."""
    service = Service(stamped(13), [], filters="true")
    first, *_ = reread(service, tmp_path, "e1", None, increments=False)
    assert first.cursor_after is None
    assert not any("filter" in query for _, query in service.calls)


def test_members_by_filter(tmp_path):
    """Where no answer shows members (AWS IAM Identity Center), the users of each group are asked for by `groups.value`."""
    service = Service(
        people(7), [group("a", *(f"u{place:03}" for place in range(6))), group("b")], show_members=False, filters="true"
    )
    manifest, *_, edges = reread(service, tmp_path, "e1", None, members="by_filter")
    assert manifest.verdict is Verdict.COMPLETE
    assert edges.select("group_id", "member_id").rows() == [("a", f"u{place:03}") for place in range(6)]
    assert not any(path.startswith("/Groups/") for path, _ in service.calls)
