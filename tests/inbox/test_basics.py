"""RFC 7643 and 7644 as every client relies on them."""

import pytest

from connectors.inbox.schema import CORE_USER, ENTERPRISE, ERROR, LIST

ADA = {
    "schemas": [CORE_USER, ENTERPRISE],
    "userName": "Ada@corp.example",
    "externalId": "x-1",
    "name": {"givenName": "Ada", "familyName": "Lovelace"},
    "emails": [{"value": "Ada@corp.example", "type": "work", "primary": True}],
    "password": "hunter2-hunter2",
    ENTERPRISE: {"employeeNumber": "007", "department": "Engines"},
}


def test_a_created_user_is_read_back(corp):
    """POST answers 201 with id, meta, Location and ETag; GET gives the same; the password is nowhere."""
    answer = corp("POST", "/Users", ADA)
    assert answer.status_code == 201
    made = answer.json()
    assert answer.headers["content-type"] == "application/scim+json"
    assert answer.headers["location"] == made["meta"]["location"] == f"http://inbox.example/scim/v2/Users/{made['id']}"
    assert answer.headers["etag"] == made["meta"]["version"]
    assert made["schemas"] == [CORE_USER, ENTERPRISE]
    assert made["active"] is True
    assert made[ENTERPRISE] == ADA[ENTERPRISE]
    assert "password" not in answer.text
    assert corp.get(f"/Users/{made['id']}") == made


def test_names_are_unique_in_any_case_within_a_tenant(corp, acq):
    """userName is compared without case: 409 uniqueness in one tenant, no matter in another; the stored spelling stays."""
    corp.user("Ada@Corp.example")
    answer = corp("POST", "/Users", {"userName": "aDA@corp.EXAMPLE"})
    assert (answer.status_code, answer.json()["scimType"]) == (409, "uniqueness")
    assert answer.json()["schemas"] == [ERROR]
    assert answer.json()["status"] == "409"
    assert acq.user("ada@corp.example")
    found = corp("GET", "/Users", params={"filter": 'userName eq "ADA@CORP.EXAMPLE"'}).json()
    assert [each["userName"] for each in found["Resources"]] == ["Ada@Corp.example"]


def test_group_names_are_unique(corp):
    """A second group of the same displayName is refused, as Microsoft's validator expects."""
    corp.group("Jira Users")
    assert corp("POST", "/Groups", {"displayName": "jira users"}).status_code == 409


def test_external_ids_may_repeat(corp):
    """externalId is case-exact, indexed and not unique."""
    both = {corp.user("a", externalId="jsmith"), corp.user("b", externalId="jsmith")}
    corp.user("c", externalId="JSmith")
    assert set(corp.find("/Users", 'externalId eq "jsmith"')) == both


def test_nothing_found_is_an_empty_list(corp):
    """A filter that matches nobody is 200 with no Resources: 404 would put Entra into quarantine."""
    answer = corp("GET", "/Users", params={"filter": 'userName eq "5f0a"'})
    assert answer.status_code == 200
    assert answer.json()["schemas"] == [LIST]
    assert (answer.json()["totalResults"], answer.json()["Resources"]) == (0, [])


def test_deleted_twice(corp):
    """DELETE answers 204, then 404; the record is neither read nor found, and its name is free."""
    ada = corp.user("ada")
    assert corp("DELETE", f"/Users/{ada}").status_code == 204
    assert corp("DELETE", f"/Users/{ada}").status_code == 404
    assert corp("GET", f"/Users/{ada}").status_code == 404
    assert corp.find("/Users", 'userName eq "ada"') == []
    assert corp.user("ada") != ada


def test_inactive_users_stay(corp):
    """A disabled user is read, found and still a member: Entra does not send memberships again."""
    ada = corp.user("ada")
    crew = corp.group("crew", [ada])
    assert corp.patch(f"/Users/{ada}", {"op": "replace", "path": "active", "value": False}) == 200
    assert corp.get(f"/Users/{ada}")["active"] is False
    assert corp.find("/Users", "active eq false") == [ada]
    assert corp.members(crew) == {ada}
    assert corp.patch(f"/Users/{ada}", {"op": "replace", "path": "active", "value": True}) == 200
    assert [each["value"] for each in corp.get(f"/Users/{ada}")["groups"]] == [crew]


def test_put_replaces_the_whole(corp):
    """PUT clears what it leaves out, keeps id and active, and never clears memberships by `groups: []`."""
    ada = corp("POST", "/Users", ADA).json()["id"]
    crew = corp.group("crew", [ada])
    corp.patch(f"/Users/{ada}", {"op": "replace", "path": "active", "value": False})
    answer = corp("PUT", f"/Users/{ada}", {"id": "other", "userName": "ada@corp.example", "groups": [], "title": "Dr"})
    assert answer.status_code == 200
    made = answer.json()
    assert (made["id"], made["title"], made["active"]) == (ada, "Dr", False)
    assert "name" not in made
    assert "emails" not in made
    assert corp.members(crew) == {ada}


def test_put_of_a_group_keeps_its_own_name(corp):
    """A PUT with the own name is no conflict; a full member list replaces; without one the members stay."""
    one, two = corp.user("one"), corp.user("two")
    crew = corp.group("crew", [one])
    body = {"displayName": "crew", "members": [{"value": two}]}
    assert corp("PUT", f"/Groups/{crew}", body).status_code == 200
    assert corp.members(crew) == {two}
    assert corp("PUT", f"/Groups/{crew}", {"displayName": "Crew 2"}).status_code == 200
    assert corp.members(crew) == {two}


def test_etags(corp):
    """If-None-Match gives 304, a stale If-Match 412, the right one is accepted; an update changes the version, a no-op does not."""
    answer = corp("POST", "/Users", ADA)
    ada, first = answer.json()["id"], answer.headers["etag"]
    assert corp("GET", f"/Users/{ada}", headers={"If-None-Match": first}).status_code == 304
    title = {"Operations": [{"op": "replace", "path": "title", "value": "Dr"}]}
    changed = corp("PATCH", f"/Users/{ada}", title, headers={"If-Match": first})
    assert changed.status_code == 200
    assert changed.headers["etag"] != first
    assert corp("PATCH", f"/Users/{ada}", title, headers={"If-Match": first}).status_code == 412
    assert corp("DELETE", f"/Users/{ada}", headers={"If-Match": first}).status_code == 412
    again = corp("PATCH", f"/Users/{ada}", title)
    assert again.headers["etag"] == changed.headers["etag"]


def test_pages_by_index(corp):
    """startIndex and count walk all records once, in a stable order, with integers; count=0 asks for the total alone."""
    made = [corp.user(f"user{place}") for place in range(7)]
    seen = []
    for start in (1, 4, 7):
        page = corp.get(f"/Users?startIndex={start}&count=3")
        assert (page["totalResults"], page["startIndex"]) == (7, start)
        assert page["itemsPerPage"] == len(page["Resources"])
        seen += [each["id"] for each in page["Resources"]]
    assert seen == made
    assert corp.get("/Users?count=0")["totalResults"] == 7
    assert corp.get("/Users?count=0")["Resources"] == []
    assert corp.get("/Users?startIndex=-4&count=-1")["itemsPerPage"] == 0


def walk(caller, path, **params):
    seen, cursor = [], ""
    while cursor is not None:
        answer = caller("GET", path, params={**params, "cursor": cursor}).json()
        seen += [each["id"] for each in answer["Resources"]]
        cursor = answer.get("nextCursor")
    return seen


def test_pages_by_cursor(corp):
    """RFC 9865: an empty cursor starts, the last page has none; every record comes once, also with a filter and while others come and go."""
    made = [corp.user(f"user{place}", title="odd" if place % 2 else "even") for place in range(9)]
    assert walk(corp, "/Users", count=4) == made
    assert walk(corp, "/Users", count=2, filter='title eq "odd"') == made[1::2]
    first = corp.get("/Users?cursor=&count=3")
    assert "startIndex" not in first
    corp("DELETE", f"/Users/{made[0]}")
    after = corp.get(f"/Users?count=3&cursor={first['nextCursor']}")
    assert [each["id"] for each in after["Resources"]] == made[3:6]


def test_cursors_are_sealed(corp, acq):
    """A cursor of another filter, tenant or our own invention is invalidCursor; a count that is none is invalidCount."""
    for place in range(3):
        corp.user(f"user{place}")
        acq.user(f"user{place}")
    cursor = corp.get("/Users?cursor=&count=1")["nextCursor"]
    for caller, query in (
        (corp, f"cursor={cursor}&filter=active%20pr"),
        (acq, f"cursor={cursor}"),
        (corp, "cursor=AAAA"),
        (corp, "cursor=%C3%A4"),
        (corp, f"cursor={cursor[:-2]}"),
    ):
        answer = caller("GET", f"/Users?{query}")
        assert (answer.status_code, answer.json()["scimType"]) == (400, "invalidCursor"), query
    answer = corp("GET", "/Users?cursor=&count=many")
    assert (answer.status_code, answer.json()["scimType"]) == (400, "invalidCount")


def test_attributes_are_chosen(corp):
    """attributes and excludedAttributes choose, by name, part and URN; an empty parameter says nothing."""
    ada = corp("POST", "/Users", ADA).json()["id"]
    path = f"/Users/{ada}"
    assert set(corp.get(f"{path}?attributes=userName")) == {"schemas", "id", "userName"}
    assert corp.get(f"{path}?attributes=name.givenName")["name"] == {"givenName": "Ada"}
    assert corp.get(f"{path}?attributes={ENTERPRISE}:department")[ENTERPRISE] == {"department": "Engines"}
    assert ENTERPRISE in corp.get(f"{path}?attributes={ENTERPRISE}")
    assert "emails" not in corp.get(f"{path}?excludedAttributes=emails,id")
    assert corp.get(f"{path}?excludedAttributes=emails,id")["id"] == ada
    assert corp.get(f"{path}?attributes=&excludedAttributes=") == corp.get(path)


def test_members_are_left_out_when_nobody_asks(corp):
    """excludedAttributes=members leaves them out of single groups and of lists."""
    crew = corp.group("crew", [corp.user("ada")])
    assert "members" not in corp.get(f"/Groups/{crew}?excludedAttributes=members")
    assert "members" not in corp.get("/Groups?excludedAttributes=members")["Resources"][0]
    assert corp.get("/Groups")["Resources"][0]["members"][0]["type"] == "User"


def test_search_by_post(corp):
    """POST /Users/.search is the GET that it stands for."""
    ada = corp.user("ada")
    body = {"filter": 'userName eq "ada"', "attributes": ["userName"], "count": 5}
    answer = corp("POST", "/Users/.search", body)
    assert answer.status_code == 200
    assert answer.json()["Resources"] == [{"schemas": [CORE_USER], "id": ada, "userName": "ada"}]


def test_search_across_kinds(corp):
    """POST /.search pages by index through users, then groups; every resource comes once."""
    made = [corp.user(f"u{place}") for place in range(3)] + [corp.group(f"g{place}") for place in range(3)]
    seen = []
    for start in (1, 3, 5, 7):
        answer = corp("POST", "/.search", {"startIndex": start, "count": 2}).json()
        assert answer["totalResults"] == 6
        seen += [each["id"] for each in answer["Resources"]]
    assert seen == made
    found = corp("POST", "/.search", {"filter": 'displayName eq "g1"'}).json()["Resources"]
    assert [each["id"] for each in found] == [made[4]]
    assert corp("POST", "/.search", {"cursor": ""}).status_code == 400


def test_discovery(corp):
    """The three documents answer as lists and one by one, without nulls, with RFC 9865's pagination; filters on them are 403."""
    config = corp.get("/ServiceProviderConfig")
    assert config["patch"]["supported"]
    assert config["pagination"]["cursor"]
    for name in ("Schemas", "ResourceTypes"):
        found = corp.get(f"/{name}")
        assert found["totalResults"] == len(found["Resources"])
        assert "null" not in str(found)
        for each in found["Resources"]:
            assert corp.get(f"/{name}/{each['id']}") == each
    assert corp("GET", "/Schemas", params={"filter": 'id eq "x"'}).status_code == 403
    assert corp("GET", "/Schemas/urn:nobody").status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/Bulk", 501),
        ("GET", "/Me", 501),
        ("PUT", "/Users", 405),
        ("POST", "/Users/some-id", 405),
        ("POST", "/Schemas", 405),
        ("GET", "/Nothing", 404),
        ("GET", "/Users/a/b", 404),
        ("GET", "/", 404),
    ],
)
def test_what_is_not_offered(corp, method, path, status):
    """Every other address and method gets a SCIM error, never a web page."""
    answer = corp(method, path, {} if method in {"POST", "PUT"} else None)
    assert answer.status_code == status
    assert answer.json()["schemas"] == [ERROR]
    assert (status == 405) == ("allow" in answer.headers)


def test_three_addresses(inbox, corp):
    """The same tenant answers at /scim/v2, /scim/v2/{tenant} and the alias, and gives out addresses as it was asked."""
    ada = corp.user("ada")
    for prefix in (
        "/scim/v2",
        "/scim/v2/corp",
        "/plugins/servlet/usersync/scim",
        "/plugins/servlet/usersync/scim/corp",
    ):
        caller = inbox.caller("corp", prefix=prefix)
        found = caller.get(f"/Users/{ada}")
        assert found["meta"]["location"] == f"http://inbox.example{prefix}/Users/{ada}"


def test_nested_groups(corp):
    """A member that is a group is one, whether the request says so or not; a deleted one leaves its groups."""
    inner, ada = corp.group("inner"), corp.user("ada")
    outer = corp.group("outer", [inner, ada])
    kinds = {each["value"]: each["type"] for each in corp.get(f"/Groups/{outer}")["members"]}
    assert kinds == {inner: "Group", ada: "User"}
    assert set(corp.find("/Groups", f'members eq "{ada}"')) == {outer}
    corp("DELETE", f"/Groups/{inner}")
    assert corp.members(outer) == {ada}
