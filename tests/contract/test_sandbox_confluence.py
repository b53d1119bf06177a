"""The stand-in of Confluence Data Center keeps the contract, trap by trap."""

import time

import httpx
import pytest

from sandbox.serve import Sandbox

ADMIN = {"name": "admin", "email": "it@corp.example", "groups": ["confluence-administrators", "confluence-users"]}
SEED = {
    "users": [
        ADMIN,
        {
            "name": "Ada.Brandt",
            "email": "ada@corp.example",
            "display_name": "Ada Brandt",
            "groups": ["dev", "confluence-users"],
        },
        {"name": "omar", "email": "omar@corp.example", "display_name": "Omar Sato", "active": False, "groups": ["dev"]},
        {"name": "LDAP.One", "email": "one@corp.example", "directory": "ldap"},
        {"name": "sealed", "email": "s@corp.example", "directory": "vault"},
    ],
    "groups": [
        {"name": "staff", "groups": ["dev"]},
        {"name": "dev", "groups": ["inner"]},
        "inner",
        {"name": "far", "directory": "ldap"},
    ],
    "directories": {"vault": "read_only"},
    "seats": {"confluence": 4},
    "default_groups": ["confluence-users"],
    "tokens": {"of-ada": "ada.brandt"},
}


def client_of(box, token=None):
    headers = {"Authorization": f"Bearer {token or box.confluence.token}"}
    return httpx.Client(base_url=f"{box.confluence.url}/rest/api", headers=headers, trust_env=False)


@pytest.fixture
def box():
    with Sandbox(SEED) as running:
        yield running


@pytest.fixture
def wiki(box):
    with client_of(box) as client:
        yield client


def create(wiki, **more):
    body = {"userName": "fresh", "fullName": "Fresh One", "email": "fresh@corp.example", "notifyViaEmail": True}
    return wiki.post("/admin/user", json={**body, **more})


def every(wiki, path, **params):
    """All rows of a list, by following its links."""
    page = wiki.get(path, params=params).json()
    rows = page["results"]
    while "next" in page["_links"]:
        page = wiki.get(page["_links"]["base"] + page["_links"]["next"]).json()
        rows += page["results"]
    return rows


def test_names_are_lower_case_and_addresses_secret(wiki):
    """Users are found in any case, stored in lower case, known by a hexadecimal key, and have no address in any answer."""
    answer = wiki.get("/user?username=ADA.Brandt&expand=status")
    found = answer.json()
    assert (found["type"], found["username"], found["status"]) == ("known", "ada.brandt", "current")
    assert len(bytes.fromhex(found["userKey"])) == 16
    assert wiki.get("/user", params={"key": found["userKey"]}).json()["username"] == "ada.brandt"
    assert "corp.example" not in answer.text + wiki.get("/user/list").text + wiki.get("/group/dev/member").text
    assert "LDAP.One" in {each["username"] for each in every(wiki, "/user/list")}


def test_an_unknown_user_is_404_in_confluences_words(wiki):
    """statusCode, data, message, reason."""
    answer = wiki.get("/user?username=nobody")
    assert answer.status_code == 404
    assert answer.json()["reason"] == "Not Found"
    assert set(answer.json()) == {"statusCode", "data", "message", "reason"}
    assert set(answer.json()["data"]) == {"authorized", "valid", "allowedInReadOnlyMode", "errors", "successful"}


def test_a_created_user_joins_the_default_groups(box, wiki):
    """201 with the key only; the default group is there unasked."""
    made = create(wiki)
    assert (made.status_code, list(made.json())) == (201, ["userKey"])
    assert [each["name"] for each in every(wiki, "/user/memberof", username="fresh")] == ["confluence-users"]
    assert (
        next(each for each in box.state("confluence")["users"] if each["name"] == "fresh")["email"]
        == "fresh@corp.example"
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"userName": "Upper"},
        {"userName": ""},
        {"userName": "with space"},
        {"userName": "with,comma"},
        {"userName": "o'neil"},
        {"userName": "anonymous"},
        {"fullName": ""},
        {"fullName": "a <b>"},
        {"fullName": "Anonymous"},
        {"email": "nothing"},
        {"notifyViaEmail": False},
        {"password": "and a mail"},
    ],
)
def test_what_confluence_does_not_take_for_a_user(box, wiki, wrong):
    """400, and nobody is created."""
    assert create(wiki, **wrong).status_code == 400
    assert box.state("confluence") == Sandbox(SEED).state("confluence")


def test_the_same_name_is_409_and_no_seat_402(wiki):
    """A name is taken in any case; without a seat nobody is created, until somebody is switched off."""
    assert create(wiki, userName="ada.brandt").status_code == 409
    assert [create(wiki, userName=f"u{n}").status_code for n in range(3)] == [201, 201, 402]
    assert wiki.put("/admin/user/u0/disable").status_code == 204
    assert create(wiki, userName="u2").status_code == 201


def test_edges_are_idempotent(box, wiki):
    """204 whether or not it changes anything; the audit tells which did."""
    path = "/user/ada.brandt/group/inner"
    assert [wiki.request(method, path).status_code for method in ("PUT", "PUT", "DELETE", "DELETE")] == [204] * 4
    assert {key: box.audit("confluence")[key] for key in ("reads", "writes", "effects")} == {
        "reads": 0,
        "writes": 4,
        "effects": 2,
    }
    assert (wiki.put("/user/nobody/group/inner").status_code, wiki.put("/user/admin/group/none").status_code) == (
        404,
        404,
    )


def test_switching_off_and_on_is_idempotent(wiki):
    """204 each time; groups stay; an unknown user is 404; nobody switches themselves off."""
    assert [wiki.put(f"/admin/user/ada.brandt/{what}").status_code for what in ("disable", "disable")] == [204, 204]
    assert wiki.get("/user?username=ada.brandt&expand=status").json()["status"] == "deactivated"
    assert "ada.brandt" in {each["username"] for each in every(wiki, "/group/dev/member")}
    assert wiki.put("/admin/user/ada.brandt/enable").status_code == 204
    assert (wiki.put("/admin/user/none/disable").status_code, wiki.put("/admin/user/admin/disable").status_code) == (
        404,
        403,
    )


def test_a_profile_is_updated_but_the_name_is_for_ever(box, wiki):
    """fullName and email change, userName does not."""
    body = {"fullName": "Ada Castro", "email": "castro@corp.example", "userName": "ada.castro"}
    assert wiki.put("/admin/user/ada.brandt", json=body).status_code == 204
    found = next(each for each in box.state("confluence")["users"] if each["name"] == "ada.brandt")
    assert (found["display_name"], found["email"]) == ("Ada Castro", "castro@corp.example")
    assert wiki.put("/admin/user/ada.brandt", json={"email": "x"}).status_code == 400


def test_deletion_takes_its_time():
    """202 with a task; the user is there until it is done, then 404; another task is unknown."""
    with Sandbox({**SEED, "task_seconds": 0.3}) as box, client_of(box) as wiki:
        answer = wiki.delete("/admin/user/omar")
        assert answer.status_code == 202
        status = answer.json()["links"]["status"]
        assert wiki.get("/user?username=omar").status_code == 200
        assert wiki.get(status).json()["successful"] is False
        until = time.monotonic() + 5
        while wiki.get(f"/longtask/{answer.json()['id']}").json()["percentageComplete"] < 100:
            assert time.monotonic() < until
            time.sleep(0.05)
        assert wiki.get("/user?username=omar").status_code == 404
        assert ["dev", "omar"] not in box.state("confluence")["edges"]
        assert wiki.get("/longtask/none").status_code == 404


def test_the_server_lowers_the_limit():
    """However large a page is asked for, all come by following the links."""
    users = [ADMIN, *({"name": f"user{place:03}", "groups": ["dev"]} for place in range(130))]
    with Sandbox({"users": users, "groups": ["dev"], "page_limit": 40}) as box, client_of(box) as wiki:
        page = wiki.get("/user/list?limit=1000").json()
        assert (page["limit"], page["size"], page["start"]) == (40, 40, 0)
        assert page["_links"]["next"].startswith("/rest/api/user/list?")
        names = [each["username"] for each in every(wiki, "/user/list", limit=1000, expand="status")]
        assert (len(names), len(set(names))) == (131, 131)
        assert {each["status"] for each in every(wiki, "/group/dev/member", expand="status")} == {"current"}
        assert len(every(wiki, "/group", limit=1)) == len(box.state("confluence")["groups"])


def test_nested_groups_are_read_level_by_level(wiki):
    """Members are direct ones; groups in it, directly above it and all above it have a list each."""
    names = {
        part: [each["name"] for each in every(wiki, f"/group/dev/{part}")] for part in ("groupmember", "groupparent")
    }
    assert names == {"groupmember": ["inner"], "groupparent": ["staff"]}
    assert [each["name"] for each in every(wiki, "/group/inner/groupancestor")] == ["dev", "staff"]
    assert every(wiki, "/group/staff/member") == []


def test_groups_are_created_once_and_the_last_admin_group_stays(wiki):
    """201, then 409; 204, then 404; administrators' group 400."""
    body = {"name": "new-group", "type": "group"}
    assert [wiki.post("/admin/group", json=body).status_code for _ in range(2)] == [201, 409]
    assert wiki.post("/admin/group", json={}).status_code == 400
    assert [wiki.delete("/admin/group/new-group").status_code for _ in range(2)] == [204, 404]
    assert wiki.delete("/admin/group/confluence-administrators").status_code == 400
    assert wiki.delete("/user/admin/group/confluence-administrators").status_code == 403


def test_a_slash_in_a_group_name_breaks_the_path(wiki):
    """Such a group can be created and never be reached again."""
    assert wiki.post("/admin/group", json={"name": "a/b"}).status_code == 201
    assert wiki.get("/group/a%2Fb").status_code == 400
    assert wiki.get("/group/a/b").status_code == 404
    assert "html" in wiki.put("/user/ada.brandt/group/a%2Fb").headers["Content-Type"]


def test_read_only_directories_refuse(wiki):
    """403 for users and groups of theirs; local groups are open to LDAP users, not to sealed ones."""
    assert wiki.put("/admin/user/ldap.one", json={"fullName": "x"}).status_code == 403
    assert wiki.put("/admin/user/ldap.one/disable").status_code == 403
    edges = ("ldap.one/group/dev", "sealed/group/dev", "ada.brandt/group/far")
    assert [wiki.put(f"/user/{each}").status_code for each in edges] == [204, 403, 403]


def test_nobody_and_no_administrator(box):
    """A bad token is anonymous: reads 403, writes 401; a user's own may read but not write."""
    with client_of(box, "wrong") as stranger, client_of(box, "of-ada") as ada:
        assert stranger.get("/user/current").json()["type"] == "anonymous"
        assert (stranger.get("/group").status_code, create(stranger).status_code) == (403, 401)
        assert stranger.get("/group").headers["X-AUSERNAME"] == "anonymous"
        assert (ada.get("/group").status_code, create(ada).status_code) == (200, 403)
        assert ada.get("/group/dev/member").status_code == 403  # needs an administrator in 10.x


def test_what_came_with_which_version():
    """8.4 brought creation and the list of all users, 9.3 the list of seats, 10 the update."""
    asked = [
        ("POST", "/admin/user"),
        ("GET", "/user/list"),
        ("GET", "/admin/users/list/active"),
        ("PUT", "/admin/user/admin"),
    ]
    there = {}
    for version in ("7", "8.4", "9.2", "9.3.1", "10"):
        with Sandbox(SEED, confluence_version=version) as box, client_of(box) as wiki:
            there[version] = [wiki.request(method, path).status_code not in {404, 405} for method, path in asked]
            assert wiki.get("/settings/systemInfo").json()["version"].startswith(version)
    assert there == {
        "7": [False] * 4,
        "8.4": [True, True, False, False],
        "9.2": [True, True, False, False],
        "9.3.1": [True, True, True, False],
        "10": [True] * 4,
    }


def test_the_list_of_seats_holds_active_users_with_a_licence(wiki):
    """Neither switched off nor unlicensed users are in it."""
    assert {each["username"] for each in every(wiki, "/admin/users/list/active")} == {"admin", "ada.brandt"}


def test_a_recreated_user_has_another_key():
    """The key is the same for the same name in every run, but not for a second user of that name."""
    keys = []
    for _ in range(2):
        with Sandbox({**SEED, "task_seconds": 0}) as box, client_of(box) as wiki:
            first = create(wiki).json()["userKey"]
            wiki.delete("/admin/user/fresh")
            keys.append((first, create(wiki).json()["userKey"]))
    assert keys[0] == keys[1]
    assert keys[0][0] != keys[0][1]
