"""The stand-in of Jira Data Center keeps the contract, trap by trap."""

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.directory import fold
from sandbox.ratelimit import NEVER, Buckets, Rate
from sandbox.serve import Sandbox

ADMIN = {
    "name": "admin",
    "email": "it@corp.example",
    "display_name": "Administrator",
    "groups": ["jira-administrators"],
}
SEED = {
    "users": [
        ADMIN,
        {"name": "Ada.Brandt", "email": "ada@corp.example", "display_name": "Ada Brandt", "groups": ["dev"]},
        {"name": "omar", "email": "omar@corp.example", "display_name": "Omar Sato", "active": False, "groups": ["dev"]},
        {"name": "lena", "email": "lena@corp.example", "display_name": "Lena Park", "groups": ["inner"], "leads": True},
        {"name": "ldap.one", "email": "one@corp.example", "display_name": "One", "directory": "ldap"},
        {"name": "sealed", "email": "s@corp.example", "display_name": "Sealed", "directory": "vault"},
        {"name": "root", "email": "r@corp.example", "display_name": "Root", "groups": ["jira-system-administrators"]},
        {"name": "plain", "email": "p@corp.example", "display_name": "Plain", "key": "plain"},
    ],
    "groups": [
        "jira-software-users",
        {"name": "dev", "groups": ["inner"]},
        "inner",
        {"name": "far", "directory": "ldap"},
    ],
    "directories": {"vault": "read_only"},
    "seats": {"jira-software": 2},
    "default_groups": ["jira-software-users"],
    "tokens": {"of-plain": "plain"},
    "shadows": [{"name": "omar", "directory": "ldap"}],
}


def many(number):
    users = [ADMIN, *({"name": f"user{place:04}", "email": f"u{place}@corp.example"} for place in range(number))]
    return {"users": users, "groups": ["dev"]}


@pytest.fixture
def box():
    with Sandbox(SEED) as running:
        yield running


def client_of(box, token=None, **more):
    headers = {"Authorization": f"Bearer {token or box.jira.token}"}
    return httpx.Client(base_url=f"{box.jira.url}/rest/api/2", headers=headers, trust_env=False, **more)


@pytest.fixture
def jira(box):
    with client_of(box) as client:
        yield client


def create(jira, called, **more):
    body = {
        "name": called,
        "emailAddress": f"{called}@corp.example",
        "displayName": called,
        "applicationKeys": [],
        **more,
    }
    return jira.post("/user", json=body)


def user_of(jira, name):
    return jira.get("/user", params={"username": name, "expand": "groups,applicationRoles"}).json()


def groups_of(jira, name):
    return [each["name"] for each in user_of(jira, name)["groups"]["items"]]


def test_a_bad_token_is_answered_as_anonymous(box):
    """A wrong token gets 200 and nothing on open reads, X-AUSERNAME tells; everything else is 401."""
    with client_of(box, "wrong") as stranger:
        for path in ("/serverInfo", "/user/search?username=.", "/groups/picker"):
            answer = stranger.get(path)
            assert (answer.status_code, answer.headers["X-AUSERNAME"]) == (200, "anonymous")
        assert stranger.get("/user/search?username=.").json() == []
        assert stranger.get("/groups/picker").json()["total"] == 0
        refused = [stranger.get("/myself"), stranger.get("/user/list"), stranger.get("/group/member?groupname=dev")]
        assert {each.status_code for each in [*refused, create(stranger, "x")]} == {401}
    assert box.state("jira") == Sandbox(SEED).state("jira")


def test_a_token_as_password_is_refused(box):
    """Basic authentication with a token does not work."""
    answer = httpx.get(f"{box.jira.url}/rest/api/2/myself", auth=("admin", box.jira.token), trust_env=False)
    assert answer.status_code == 401


def test_who_is_no_administrator_may_search_but_not_write(box):
    """403 for administrators' requests by another user's token."""
    with client_of(box, "of-plain") as plain:
        assert plain.get("/myself").json()["name"] == "plain"
        assert plain.get("/user/search?username=ada").json()[0]["name"] == "Ada.Brandt"
        assert (create(plain, "x").status_code, plain.get("/applicationrole").status_code) == (403, 403)


def test_keys_and_names_are_found_as_jira_finds_them(jira):
    """Names are found in any case, keys only in their own; keys are numbered from JIRAUSER10100, old ones stay."""
    found = user_of(jira, "ADA.brandt")
    assert (found["name"], found["key"]) == ("Ada.Brandt", "JIRAUSER10101")
    assert user_of(jira, "plain")["key"] == "plain"
    assert jira.get("/user?key=JIRAUSER10101").status_code == 200
    answer = jira.get("/user?key=jirauser10101")
    assert answer.status_code == 404
    assert answer.json() == {"errorMessages": ["The user with the key 'jirauser10101' does not exist"], "errors": {}}


def test_a_user_is_created_with_a_key_of_its_own(jira):
    """201 with the user; the same name in another case is taken."""
    made = create(jira, "New.One")
    assert (made.status_code, made.json()["active"], made.json()["groups"]["size"]) == (201, True, 0)
    assert made.json()["key"].startswith("JIRAUSER")
    taken = create(jira, "new.one")
    assert taken.status_code == 400
    assert taken.json()["errors"] == {"username": "A user with that username already exists."}


@pytest.mark.parametrize(
    ("field", "value", "word"),
    [
        ("name", "", "username"),
        ("name", "a<b", "username"),
        ("displayName", "", "fullname"),
        ("emailAddress", "x", "email"),
    ],
)
def test_what_is_wrong_with_a_new_user_is_said_by_field(jira, field, value, word):
    """400 with the field's name in errors."""
    answer = create(jira, "valid", **{field: value})
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [word])


def test_default_groups_come_unasked(jira):
    """Without applicationKeys the selected roles' default groups are joined, with an empty list none."""
    body = {"name": "asked", "emailAddress": "a@corp.example", "displayName": "A"}
    assert jira.post("/user", json=body).status_code == 201
    assert create(jira, "none").status_code == 201
    assert (groups_of(jira, "asked"), groups_of(jira, "none")) == (["jira-software-users"], [])
    assert [each["key"] for each in user_of(jira, "asked")["applicationRoles"]["items"]] == ["jira-software"]


def test_seats_run_out(jira):
    """With no seat left: 400 at creation with the role, at joining and at switching on; without keys a user without access."""
    for name in ("one", "two"):
        assert create(jira, name, applicationKeys=["jira-software"]).status_code == 201
    assert jira.get("/applicationrole/jira-software").json()["remainingSeats"] == 0
    assert create(jira, "three", applicationKeys=["jira-software"]).status_code == 400
    body = {"name": "four", "emailAddress": "f@corp.example", "displayName": "F"}
    assert jira.post("/user", json=body).json()["groups"]["size"] == 0
    licence = {"groupname": "jira-software-users"}
    assert jira.post("/group/user", params=licence, json={"name": "four"}).status_code == 400
    assert jira.put("/user?username=one", json={"active": False}).status_code == 200
    assert jira.post("/group/user", params=licence, json={"name": "four"}).status_code == 201
    assert jira.put("/user?username=one", json={"active": True}).status_code == 400
    assert jira.delete("/group/user", params={**licence, "username": "four"}).status_code == 200
    assert jira.put("/user?username=one", json={"active": True}).status_code == 200


def test_an_update_is_partial_and_never_empty(jira):
    """Absent fields stay; a PUT that changes nothing is 400 with the text that old Jira has for it."""
    assert jira.put("/user?username=plain", json={"displayName": "Other"}).json()["emailAddress"] == "p@corp.example"
    again = jira.put("/user?username=plain", json={"displayName": "Other"})
    assert (again.status_code, again.json()["errorMessages"]) == (400, ["error.no.value.found.to.be.changed"])
    assert jira.put("/user?username=nobody", json={"displayName": "x"}).status_code == 404


def test_a_rename_keeps_the_key_and_the_groups(jira):
    """PUT name: another name, the same key, memberships as before; a taken name is refused."""
    key = user_of(jira, "ada.brandt")["key"]
    assert jira.put(f"/user?key={key}", json={"name": "ada.castro"}).json()["key"] == key
    assert jira.get("/user?username=ada.brandt").status_code == 404
    assert groups_of(jira, "ada.castro") == ["dev"]
    assert jira.put(f"/user?key={key}", json={"name": "OMAR"}).status_code == 400


def test_active_is_writable_and_members_stay(jira):
    """A user switched off keeps the groups, is hidden from member lists unless asked for, and can be switched on."""
    assert jira.put("/user?username=ada.brandt", json={"active": "false"}).json()["active"] is False
    shown = jira.get("/group/member?groupname=dev").json()
    assert [each["name"] for each in shown["values"]] == ["lena"]
    every = jira.get("/group/member?groupname=dev&includeInactiveUsers=true").json()
    assert [each["name"] for each in every["values"]] == ["Ada.Brandt", "lena", "omar"]
    assert jira.put("/user?username=omar", json={"active": True}).status_code == 200


def test_who_leads_or_asks_is_not_switched_off(jira):
    """400 for a project lead and for oneself."""
    for name in ("lena", "admin"):
        answer = jira.put(f"/user?username={name}", json={"active": False})
        assert (answer.status_code, list(answer.json()["errors"])) == (400, ["active"])
    assert jira.delete("/user?username=lena").status_code == 400


def test_subgroups_members_are_members_but_cannot_be_removed(jira):
    """A group's list holds subgroups' members; taking one out of the upper group is 400."""
    names = [each["name"] for each in jira.get("/group/member?groupname=DEV").json()["values"]]
    assert names == ["Ada.Brandt", "lena"]
    assert groups_of(jira, "lena") == ["dev", "inner"]
    assert jira.delete("/group/user?groupname=dev&username=lena").status_code == 400
    assert jira.delete("/group/user?groupname=inner&username=lena").status_code == 200


def test_edges_are_not_idempotent(jira):
    """Joining twice and leaving twice are 400; unknown users and groups 404; no group name 400."""
    assert jira.post("/group/user?groupname=dev", json={"name": "plain"}).status_code == 201
    again = jira.post("/group/user?groupname=dev", json={"name": "plain"})
    assert again.json()["errorMessages"] == ["Cannot add user. User is already a member of 'dev'"]
    statuses = [
        again,
        jira.delete("/group/user?groupname=dev&username=root"),
        jira.post("/group/user?groupname=", json={"name": "plain"}),
        jira.post("/group/user?groupname=none", json={"name": "plain"}),
        jira.post("/group/user?groupname=dev", json={"name": "none"}),
    ]
    assert [each.status_code for each in statuses] == [400, 400, 400, 404, 404]


def test_read_only_directories_refuse(jira):
    """A user of a read-only directory is not edited; local groups are open to LDAP users, not to sealed ones."""
    assert jira.put("/user?username=ldap.one", json={"displayName": "x"}).status_code == 400
    assert jira.delete("/user?username=ldap.one").status_code == 400
    assert jira.post("/group/user?groupname=dev", json={"name": "ldap.one"}).status_code == 201
    assert jira.post("/group/user?groupname=dev", json={"name": "sealed"}).status_code == 403
    assert jira.post("/group/user?groupname=far", json={"name": "plain"}).status_code == 403
    assert jira.delete("/group?groupname=far").status_code == 403


def test_administrators_are_protected(jira):
    """System administrators, administrators' groups and the last administrator are out of an administrator's reach."""
    assert jira.put("/user?username=root", json={"displayName": "x"}).status_code == 403
    assert jira.delete("/user?username=admin").status_code == 403
    assert jira.delete("/group?groupname=jira-administrators").status_code == 403
    assert jira.post("/group/user?groupname=jira-system-administrators", json={"name": "plain"}).status_code == 403
    assert jira.delete("/group/user?groupname=jira-system-administrators&username=root").status_code == 403


def test_the_last_administrator_stays():
    """Where nobody else is one, the administrator cannot be taken out of the group."""
    with Sandbox({"users": [ADMIN]}) as box, client_of(box) as jira:
        assert jira.delete("/group/user?groupname=jira-administrators&username=admin").status_code == 400


def test_groups_are_created_once_and_deleted_with_their_edges(box, jira):
    """201, then 400 in any case of letters; deletion takes edges along."""
    assert jira.post("/group", json={"name": "Fresh"}).json()["name"] == "Fresh"
    assert (
        jira.post("/group", json={"name": "fresh"}).status_code,
        jira.post("/group", json={"name": ""}).status_code,
    ) == (400, 400)
    assert (jira.delete("/group?groupname=inner").status_code, jira.delete("/group?groupname=inner").status_code) == (
        200,
        404,
    )
    assert ["inner", "lena"] not in box.state("jira")["edges"]
    assert groups_of(jira, "lena") == []


def test_a_deleted_user_is_gone_with_its_edges(box, jira):
    """204, then 404; no edge is left."""
    assert [jira.delete("/user?username=ada.brandt").status_code for _ in range(2)] == [204, 404]
    assert ["dev", "Ada.Brandt"] not in box.state("jira")["edges"]


def test_the_picker_never_exceeds_the_servers_limit():
    """What is left out shows only in total."""
    with (
        Sandbox({**many(1), "groups": [f"g{place:02}" for place in range(40)], "picker_limit": 25}) as box,
        client_of(box) as jira,
    ):
        everything = jira.get("/groups/picker", params={"query": "g", "maxResults": 9999}).json()
        assert (everything["total"], len(everything["groups"])) == (40, 25)
        assert len(jira.get("/groups/picker").json()["groups"]) == 20
        assert jira.get("/groups/picker?query=G0&exclude=g00").json()["header"] == "Showing 9 of 9 matching groups"


@pytest.mark.parametrize(("version", "reach"), [("8.2", 300), ("9", 300), ("10.0", 100), ("10.3", 100), ("11", 100)])
def test_search_ends_at_the_cap(version, reach):
    """From Jira 10 nobody after the 100th is ever found, and nothing says so."""
    with Sandbox(many(299), jira_version=version) as box, client_of(box) as jira:
        pages = [
            jira.get(f"/user/search?username=.&maxResults=1000&startAt={start}").json() for start in (0, 100, 200, 300)
        ]
        assert len({each["key"] for page in pages for each in page}) == reach
        assert len(pages[0]) == reach
        assert len(jira.get("/user/search?username=.").json()) == 50


def test_search_finds_beginnings_of_names_and_addresses(jira):
    """By user name, part of the display name or address; inactive ones when asked; nothing asked is 400."""
    assert [each["name"] for each in jira.get("/user/search?username=brandt").json()] == ["Ada.Brandt"]
    assert [each["name"] for each in jira.get("/user/search?username=lena@corp").json()] == ["lena"]
    assert jira.get("/user/search?username=omar").json() == []
    assert jira.get("/user/search?username=omar&includeInactive=true").json()[0]["active"] is False
    assert jira.get("/user/search").status_code == 400


@pytest.mark.parametrize(("version", "there"), [("9", False), ("10.0", False), ("10.3", True), ("11", True)])
def test_the_stream_of_users_is_there_from_10_3(version, there):
    """404 before, a page from then on."""
    with Sandbox(many(3), jira_version=version) as box, client_of(box) as jira:
        assert (jira.get("/user/list").status_code == 200) is there


def test_the_stream_holds_everybody_once_in_no_order(box):
    """Whatever the page, all users come once, though some come and go meanwhile; a strange cursor is no error."""
    with Sandbox(many(249)) as full, client_of(full) as jira:
        seen, cursor = [], ""
        while True:
            page = jira.get(f"/user/list?maxResults=40{cursor}").json()
            seen += [each["name"] for each in page["values"]]
            if page["isLast"]:
                break
            create(jira, f"later{len(seen)}")
            jira.delete(f"/user?username={seen[0]}")
            cursor = f"&cursor={page['nextCursor']}"
        assert len(set(seen)) == len(seen)
        assert {f"user{place:04}" for place in range(249)} <= {*seen}
        assert sorted(seen) != seen
        assert jira.get("/user/list?cursor=999999999").json() | {"self": ""} == {
            "self": "",
            "maxResults": 2000,
            "isLast": True,
            "values": [],
        }


def test_members_come_fifty_at_a_time():
    """Whatever was asked for; total, isLast and nextPage lead through."""
    seed = many(120)
    with (
        Sandbox({**seed, "users": [{**each, "groups": ["jira-administrators"]} for each in seed["users"]]}) as box,
        client_of(box) as jira,
    ):
        page = jira.get("/group/member?groupname=jira-administrators&maxResults=1000").json()
        seen = [page]
        while not page["isLast"]:
            page = jira.get(page["nextPage"]).json()
            seen.append(page)
        assert [len(each["values"]) for each in seen] == [50, 50, 21]
        assert {each["total"] for each in seen} == {121}
        assert len({each["key"] for page in seen for each in page["values"]}) == 121


def test_before_8_3_nobody_can_be_switched_off_by_rest():
    """PUT active alone changes nothing, which is 400."""
    with Sandbox(many(1), jira_version="8.2") as box, client_of(box) as jira:
        assert jira.put("/user?username=user0000", json={"active": False}).status_code == 400
        assert jira.get("/serverInfo").json()["versionNumbers"] == [8, 2, 6]


def test_roles_and_applications(jira):
    """A role tells its seats and default groups; POST and DELETE /user/application join and leave."""
    role = jira.get("/applicationrole").json()[0]
    assert (role["key"], role["defaultGroups"], role["numberOfSeats"]) == ("jira-software", ["jira-software-users"], 2)
    where = {"username": "plain", "applicationKey": "jira-software"}
    assert jira.post("/user/application", params=where).status_code == 200
    assert groups_of(jira, "plain") == ["jira-software-users"]
    assert jira.delete("/user/application", params=where).status_code == 204
    assert groups_of(jira, "plain") == []


def test_shadows_are_counted(jira):
    """Users with a namesake in another directory are told beforehand."""
    assert jira.get("/user/duplicated/count").json() == 1
    assert [each["directoryName"] for each in jira.get("/user/duplicated/list").json()["omar"]] == ["internal", "ldap"]


def test_the_bucket_empties_and_says_so():
    """Headers on every answer; 429 with Retry-After when empty; who returns the cookie is never limited."""
    with Sandbox(SEED, rate=Rate(limit=3, fill=1, interval=60)) as box:
        with client_of(box) as jira:
            jira.cookies.jar.clear()
            answers = []
            for _ in range(4):
                answers.append(jira.get("/myself"))
                jira.cookies.clear()
            assert [each.status_code for each in answers] == [200, 200, 200, 429]
            assert [each.headers["X-RateLimit-Remaining"] for each in answers] == ["2", "1", "0", "0"]
            assert answers[0].headers["Retry-After"] == "0"
            assert 0 < int(answers[-1].headers["Retry-After"]) <= 60
            assert answers[-1].headers["X-RateLimit-FillRate"] == "1"
        with client_of(box, cookies={"JSESSIONID": "x"}) as browser:
            assert browser.get("/myself").status_code == 200
        assert box.audit("jira")["cookies"] == 1


def test_a_blocked_user_waits_for_ever():
    """A limit of 0 is told with the largest number there is."""
    granted, headers = Buckets(Rate(limit=0)).take("x")
    assert (granted, headers["X-RateLimit-FillRate"], headers["Retry-After"]) == (False, "0", str(NEVER))


@given(st.lists(st.integers(0, 5), max_size=60))
def test_no_more_tokens_than_limit_and_fill(waits):
    """Within any time no more is granted than the bucket holds and has been filled with."""
    now = [0.0]
    buckets, granted = Buckets(Rate(limit=4, fill=2, interval=3), clock=lambda: now[0]), 0
    for wait in waits:
        now[0] += wait
        granted += buckets.take("a")[0]
        assert granted <= 4 + 2 * int(now[0] / 3)


def test_the_audit_tells_reads_writes_and_effects(box, jira):
    """A refused write is no write; resetting forgets."""
    jira.get("/myself")
    create(jira, "counted")
    create(jira, "counted")
    found = httpx.get(f"{box.jira.url}/_onefold/audit", trust_env=False).json()
    assert (found["reads"], found["writes"], found["effects"]) == (1, 1, 1)
    assert found["by_route"] == {"GET /rest/api/2/myself": 1, "POST /rest/api/2/user": 2}
    assert [(each["n"], each["method"], each["status"]) for each in found["log"]] == [
        (1, "GET", 200),
        (2, "POST", 201),
        (3, "POST", 400),
    ]
    assert httpx.post(f"{box.jira.url}/_onefold/reset-audit", trust_env=False).status_code == 204
    assert box.audit("jira")["log"] == []


def test_the_state_is_told_whole_and_in_order(box):
    """Users by key with all their fields, groups and edges by name; the same over HTTP and in the process."""
    found = httpx.get(f"{box.jira.url}/_onefold/state", trust_env=False).json()
    assert found == box.state("jira")
    assert [each["key"] for each in found["users"]] == sorted(each["key"] for each in found["users"])
    assert found["edges"] == sorted(found["edges"])
    assert {"name": "dev", "directory": "internal", "groups": ["inner"]} in found["groups"]
    assert {fold(name) for _, name in found["edges"]} <= {fold(each["name"]) for each in found["users"]}
    assert found["roles"]["jira-software"] == {"seats": 2, "held": 0, "groups": ["jira-software-users"]}
