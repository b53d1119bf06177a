"""OneLogin, JumpCloud, Ping and Keycloak, and the lessons that hold for all (contract 7.3, 7.4)."""

import pytest

from connectors.inbox.schema import ENTERPRISE

JSON = {"Content-Type": "application/json", "Accept": "application/json"}


def test_onelogin(inbox):
    """OneLogin: lookup of a missing name, POST and PUT as application/json, group PATCH, DELETE of the user."""
    one = inbox.caller("corp", headers=JSON)
    assert one.find("/Users", 'userName eq "known-missing"') == []
    answer = one("POST", "/Users", {"userName": "ada", "name": {"givenName": "Ada"}})
    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/scim+json"
    ada = answer.json()["id"]
    assert one("PUT", f"/Users/{ada}", {"userName": "ada", "title": "Dr"}).json()["title"] == "Dr"
    crew = one.group("crew")
    assert one.patch(f"/Groups/{crew}", {"op": "add", "path": "members", "value": [{"value": ada}]}) == 204
    assert one("DELETE", f"/Users/{ada}").status_code == 204
    assert one.members(crew) == set()


def test_jumpcloud_test_connection_writes(inbox):
    """JumpCloud's test creates a user and a group and deletes both again; nothing of them is left."""
    cloud = inbox.caller("corp", headers=JSON)
    user = cloud("POST", "/Users", {"userName": "jc-test@corp.example", "emails": [{"value": "jc-test@corp.example"}]})
    group = cloud("POST", "/Groups", {"displayName": "jc-test", "members": [{"value": user.json()["id"]}]})
    assert (user.status_code, group.status_code) == (201, 201)
    assert cloud("DELETE", f"/Groups/{group.json()['id']}").status_code == 204
    assert cloud("DELETE", f"/Users/{user.json()['id']}").status_code == 204
    assert cloud.get("/Users")["totalResults"] == cloud.get("/Groups")["totalResults"] == 0


def test_ping_matches_on_another_attribute(inbox):
    """PingFederate's filter expression override may name another attribute; disabled users may be provisioned at once."""
    ping = inbox.caller("corp")
    ada = ping.user("ada", active=False, externalId="guid-1", emails=["ada@corp.example"])
    assert ping.get(f"/Users/{ada}")["active"] is False
    assert ping.find("/Users", 'emails.value eq "ada@corp.example"') == [ada]
    assert ping.find("/Users", f'{ENTERPRISE}:employeeNumber eq "1"') == []
    assert ping.find("/Users", 'externalId eq "guid-1" and active eq false') == [ada]


def test_keycloak_posts_without_looking(inbox):
    """A Keycloak listener POSTs without lookup, PUTs and DELETEs by the id it was given; a repeated POST is 409 and changes nothing."""
    cloak = inbox.caller("corp", headers=JSON)
    body = {"userName": "ada", "active": True, "emails": [{"value": "ada@corp.example", "primary": True}]}
    ada = cloak("POST", "/Users", body).json()["id"]
    assert cloak("POST", "/Users", {**body, "title": "second"}).status_code == 409
    assert "title" not in cloak.get(f"/Users/{ada}")
    assert cloak("PUT", f"/Users/{ada}", {**body, "active": False}).json()["active"] is False
    assert cloak("DELETE", f"/Users/{ada}").status_code == 204
    assert cloak("PUT", f"/Users/{ada}", body).status_code == 404


def test_bodies_without_schemas(corp):
    """POST, PUT and PATCH without `schemas`, keys in any case, `operations` in lower case, one operation as an object."""
    answer = corp("POST", "/Users", {"USERNAME": "ada", "DisplayName": "Ada", "NAME": {"givenname": "Ada"}})
    assert answer.status_code == 201
    ada = answer.json()["id"]
    assert answer.json()["name"] == {"givenName": "Ada"}
    patch = {"operations": {"OP": "REPLACE", "PATH": "TITLE", "VALUE": "Dr"}}
    assert corp("PATCH", f"/Users/{ada}", patch).json()["title"] == "Dr"


@pytest.mark.parametrize(
    ("before", "operation", "after"),
    [
        ([{"value": "a", "type": "work"}], {"op": "add", "path": "emails", "value": {"value": "b"}}, ["a", "b"]),
        ([{"value": "a", "type": "work"}], {"op": "add", "path": "emails", "value": ["b", "c"]}, ["a", "b", "c"]),
        ([{"value": "a"}], {"op": "add", "path": "emails", "value": [{"value": "a"}]}, ["a"]),
        ([{"value": "a"}, {"value": "b"}], {"op": "replace", "path": "emails", "value": [{"value": "c"}]}, ["c"]),
        ([{"value": "a"}, {"value": "b"}], {"op": "remove", "path": 'emails[value eq "a"]'}, ["b"]),
        ([{"value": "a"}, {"value": "b"}], {"op": "remove", "path": "emails", "value": [{"value": "a"}]}, ["b"]),
        ([{"value": "a"}, {"value": "b"}], {"op": "remove", "path": "emails"}, []),
        ([{"value": "a", "type": "work"}], {"op": "remove", "path": 'emails[type eq "work"].value'}, []),
        (
            [{"value": "a", "type": "work"}],
            {"op": "replace", "path": 'emails[type eq "home"].value', "value": "h"},
            ["a", "h"],
        ),
        ([{"value": "a"}], {"op": "replace", "path": "emails", "value": None}, []),
        ([{"value": "a"}], {"op": "replace", "value": {"emails": []}}, []),
    ],
)
def test_lists_of_values(corp, before, operation, after):
    """Adding, replacing and removing entries of a multi-valued attribute (RFC 7644, 3.5.2), with bare strings and values in removals."""
    ada = corp.user("ada", emails=before)
    assert corp.patch(f"/Users/{ada}", operation) == 200
    assert [each["value"] for each in corp.get(f"/Users/{ada}").get("emails", ())] == after
    assert corp.find("/Users", 'emails.value eq "a"') == ([ada] if "a" in after else [])


def test_one_primary(corp):
    """At most one entry stays primary, whichever way the second comes."""
    ada = corp.user("ada", emails=[{"value": "a", "primary": True}])
    corp.patch(f"/Users/{ada}", {"op": "add", "path": "emails", "value": [{"value": "b", "primary": "True"}]})
    primary = [each["value"] for each in corp.get(f"/Users/{ada}")["emails"] if each.get("primary")]
    assert primary == ["b"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('userName sw "a"', "ab"),
        ('userName co "B"', "b"),
        ('userName ew "2"', "b"),
        ("title pr", "a"),
        ("not (title pr)", "b"),
        ('userName eq "a1" or userName eq "ab2"', "ab"),
        ('(userName eq "a1" or userName eq "ab2") and title eq "dr"', "a"),
        ('title ne "Dr"', "b"),
        ("active eq true", "ab"),
        ('active eq "True"', "ab"),
        ('name.familyName eq "LOVELACE"', "a"),
        ('meta.lastModified gt "2020-01-01T00:00:00Z"', "ab"),
        ('meta.created lt "2020-01-01T00:00:00Z"', ""),
        ('emails[type eq "work" and value co "@corp"]', "a"),
        ('emails[type eq "home"]', ""),
        ("emails pr", "a"),
        (f'{ENTERPRISE}:department eq "engines"', "a"),
        ('department eq "Engines"', "a"),
        ('schemas eq "urn:ietf:params:scim:schemas:core:2.0:User"', "ab"),
        ('nothingKnown eq "x"', ""),
        ('userName eq "a\\u0031"', "a"),
        ("title eq null", "b"),
    ],
)
def test_filters(corp, text, found):
    """The grammar of RFC 7644, 3.4.2.2: operators, logic, precedence, case, dates, escapes."""
    ids = {
        corp.user(
            "a1",
            title="Dr",
            name={"familyName": "Lovelace"},
            emails=[{"type": "work", "value": "x@corp.example"}],
            **{ENTERPRISE: {"department": "Engines"}},
        ): "a",
        corp.user("ab2"): "b",
    }
    assert "".join(ids[each] for each in corp.find("/Users", text)) == found


@pytest.mark.parametrize(
    "text",
    [
        "userName",
        "userName eq",
        'userName is "x"',
        'userName eq "x',
        "(userName pr",
        "userName pr)",
        "and",
        "not userName pr",
        'emails[type eq "work"',
        'userName eq "x" userName eq "y"',
        'a.b.c eq "x"',
        "userName eq (",
        'members[type eq "User"]',
        'members co "x"',
        'userName eq "\\x"',
        'userName eq "\\ud800"',
        'userName eq "a\\u0000"',
        'emails[value eq "\\udfff"]',
        "[",
        '""',
        "userName eq NaN",
        'emails[emails[value eq "x"]]',
    ],
)
def test_filters_that_are_none(corp, text):
    """A broken filter is 400 invalidFilter."""
    corp.user("ada", emails=[{"value": "x"}])
    answer = corp("GET", "/Users", params={"filter": text})
    assert (answer.status_code, answer.json().get("scimType")) == (400, "invalidFilter")
