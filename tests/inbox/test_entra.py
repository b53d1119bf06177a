"""What Microsoft Entra's provisioning service sends: every row of its shape table, in both flag modes (contract 7.1, 7.4)."""

import json

import pytest

from connectors.inbox.schema import ENTERPRISE

FLAG = "?aadOptscim062020"
OLD_GROUP = "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"


@pytest.fixture
def ada(corp):
    return corp.user("ada@corp.example", externalId="ada", emails=[{"type": "work", "value": "ada@corp.example"}])


def apply(corp, path, *operations, flag=""):
    answer = corp(
        "PATCH",
        path + flag,
        {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": list(operations)},
    )
    assert answer.status_code in {200, 204}, answer.text


@pytest.mark.parametrize("query", ["?aadOptscim062020&filter=", "?aadOptscim062020=&filter=", "?filter="])
def test_test_connection(corp, query):
    """Test Connection: a lookup of a random name, with the bare flag in the URL and no User-Agent, is an empty 200."""
    answer = corp("GET", f"/Users{query}userName+eq+%22{'0' * 8}-5f0a%22", headers={"User-Agent": ""})
    assert answer.status_code == 200
    assert answer.json()["totalResults"] == 0


@pytest.mark.parametrize(
    "text",
    [
        'userName eq "ADA@corp.example"',
        'externalId eq "ada"',
        "externalId eq ada",
        'emails[type eq "work"].value eq "ada@corp.example"',
        'emails[type eq "work" and value eq "ada@corp.example"]',
        'emails.value eq "Ada@corp.example"',
        'emails eq "ada@corp.example"',
        'userName eq "ada@corp.example" and externalId eq "ada"',
        'USERNAME Eq "ada@corp.example"',
        'urn:ietf:params:scim:schemas:core:2.0:User:userName eq "ada@corp.example"',
    ],
)
def test_lookups(corp, ada, text):
    """Every form of the match query finds the user, and only it."""
    corp.user("bob@corp.example", emails=[{"type": "home", "value": "ada@corp.example"}] if "work" in text else [])
    assert corp.find("/Users", text) == [ada]


@pytest.mark.parametrize(
    ("operation", "flag"),
    [
        ({"op": "Replace", "path": "active", "value": "False"}, ""),
        ({"op": "Replace", "path": "active", "value": "false"}, ""),
        ({"op": "replace", "path": "active", "value": False}, FLAG),
        ({"op": "Add", "path": "active", "value": "False"}, ""),
        ({"op": "replace", "value": {"active": False}}, FLAG),
        ({"op": "Replace", "value": {"active": "False"}}, ""),
    ],
)
def test_disable(corp, ada, operation, flag):
    """Disabling in every spelling; the user is then found by GET and by filter."""
    apply(corp, f"/Users/{ada}", operation, flag=flag)
    assert corp.get(f"/Users/{ada}")["active"] is False
    assert corp.find("/Users", 'userName eq "ada@corp.example"') == [ada]
    apply(corp, f"/Users/{ada}", {"op": "Replace", "path": "active", "value": "True"})
    assert corp.get(f"/Users/{ada}")["active"] is True


def test_one_operation_per_path(corp, ada):
    """Without the flag: one operation for each path, value filters and URN paths among them; what has no entry gets one."""
    apply(
        corp,
        f"/Users/{ada}",
        {"op": "Replace", "path": "name.givenName", "value": "Augusta"},
        {"op": "Add", "path": "name.familyName", "value": "King"},
        {"op": "Replace", "path": 'emails[type eq "work"].value', "value": "augusta@corp.example"},
        {"op": "Add", "path": 'phoneNumbers[type eq "mobile"].value', "value": "+44 1"},
        {"op": "Add", "path": 'addresses[type eq "work"].locality', "value": "London"},
        {"op": "Replace", "path": f"{ENTERPRISE}:employeeNumber", "value": 7},
        {"op": "Add", "path": f"{ENTERPRISE}:department", "value": "Engines"},
        {"op": "Replace", "path": "externalId", "value": "augusta"},
        {"op": "Add", "path": "displayName", "value": "Augusta King"},
    )
    found = corp.get(f"/Users/{ada}")
    assert found["name"] == {"givenName": "Augusta", "familyName": "King"}
    assert found["emails"] == [{"type": "work", "value": "augusta@corp.example"}]
    assert found["phoneNumbers"] == [{"type": "mobile", "value": "+44 1"}]
    assert found["addresses"] == [{"type": "work", "locality": "London"}]
    assert found[ENTERPRISE] == {"employeeNumber": "7", "department": "Engines"}
    assert (found["externalId"], found["displayName"]) == ("augusta", "Augusta King")
    assert corp.find("/Users", 'emails[type eq "work"].value eq "ada@corp.example"') == []


def test_pathless_with_dotted_keys(corp, ada):
    """With the flag: value-filter paths apart, the rest in one path-less replace with dotted and URN keys."""
    apply(
        corp,
        f"/Users/{ada}",
        {"op": "replace", "path": 'emails[type eq "work"].value', "value": "augusta@corp.example"},
        {
            "op": "replace",
            "value": {
                "displayName": "Augusta",
                "name.givenName": "Augusta",
                f"{ENTERPRISE}:department": "Engines",
                f"{ENTERPRISE}:manager": {"value": "boss"},
                ENTERPRISE: {"costCenter": "9"},
                "name": {"familyName": "King"},
            },
        },
        flag=FLAG,
    )
    found = corp.get(f"/Users/{ada}")
    assert found["name"] == {"givenName": "Augusta", "familyName": "King"}
    assert found[ENTERPRISE] == {"department": "Engines", "manager": {"value": "boss"}, "costCenter": "9"}
    assert found["emails"][0]["value"] == "augusta@corp.example"


@pytest.mark.parametrize(
    ("operation", "flag"),
    [
        ({"op": "Remove", "path": "members", "value": [{"$ref": None, "value": "ONE"}]}, ""),
        ({"op": "remove", "path": 'members[value eq "ONE"]'}, FLAG),
        ({"op": "Remove", "path": "members", "value": {"value": "ONE"}}, ""),
        ({"op": "Remove", "path": "members", "value": ["ONE"]}, ""),
        ({"op": "remove", "value": {"members": [{"value": "ONE"}]}}, ""),
    ],
)
def test_remove_one_member(corp, operation, flag):
    """Removing a member in every form removes that one and nobody else, read as the RFC says or not."""
    one, two = corp.user("one"), corp.user("two")
    crew = corp.group("crew", [one, two])
    apply(corp, f"/Groups/{crew}", json.loads(json.dumps(operation).replace("ONE", one)), flag=flag)
    assert corp.members(crew) == {two}


def test_remove_with_an_empty_list_removes_nobody(corp):
    """`Remove` of `members` with an empty value is not an order to empty the group; without any value it is, as the RFC says."""
    one = corp.user("one")
    crew = corp.group("crew", [one])
    apply(corp, f"/Groups/{crew}", {"op": "Remove", "path": "members", "value": []})
    assert corp.members(crew) == {one}
    apply(corp, f"/Groups/{crew}", {"op": "remove", "path": "members"})
    assert corp.members(crew) == set()


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "Add", "path": "manager", "value": [{"$ref": "http://x/Users/boss", "value": "boss"}]},
        {"op": "Add", "path": "manager", "value": "boss"},
        {"op": "add", "path": f"{ENTERPRISE}:manager", "value": "boss"},
        {"op": "Replace", "path": f"{ENTERPRISE}:manager", "value": {"$ref": None, "value": "boss"}},
        {"op": "replace", "value": {f"{ENTERPRISE}:manager": "boss"}},
        {"op": "replace", "value": {ENTERPRISE: {"manager": [{"value": "boss"}]}}},
        {"op": "Add", "path": f"{ENTERPRISE}:manager.value", "value": "boss"},
    ],
)
@pytest.mark.parametrize(
    "removal",
    [
        {"op": "Replace", "path": f"{ENTERPRISE}:manager", "value": ""},
        {"op": "Replace", "path": "manager", "value": {"value": ""}},
        {"op": "Replace", "path": "manager", "value": None},
        {"op": "Remove", "path": "manager"},
        {"op": "remove", "path": f"{ENTERPRISE}:manager"},
        {"op": "Replace", "path": "manager", "value": []},
    ],
)
def test_manager(corp, ada, operation, removal):
    """The manager comes as array, bare string, complex value, by short path or URN; it is probed by filter, and emptied in as many ways."""
    apply(corp, f"/Users/{ada}", operation)
    assert corp.get(f"/Users/{ada}")[ENTERPRISE]["manager"]["value"] == "boss"
    assert corp.find("/Users", f'id eq "{ada}" and manager eq "boss"') == [ada]
    assert corp.find("/Users", f'id eq "{ada}" and manager eq "other"') == []
    apply(corp, f"/Users/{ada}", removal)
    assert "manager" not in corp.get(f"/Users/{ada}").get(ENTERPRISE, {})


def test_groups_as_entra_makes_them(corp):
    """Group calls in their order: lookup without members, POST with the old second schema, members by PATCH, probe of a membership."""
    one = corp.user("one")
    assert (
        corp("GET", "/Groups?excludedAttributes=members&filter=displayName+eq+%22crew%22").json()["totalResults"] == 0
    )
    answer = corp(
        "POST",
        "/Groups",
        {
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group", OLD_GROUP],
            "externalId": "8aa1a0c0",
            "displayName": "crew",
            "meta": {"resourceType": "Group"},
        },
    )
    assert answer.status_code == 201
    crew = answer.json()["id"]
    assert (
        corp.patch(f"/Groups/{crew}", {"op": "Add", "path": "members", "value": [{"$ref": None, "value": one}]}) == 204
    )
    assert corp.find("/Groups", f'id eq "{crew}" and members eq "{one}"') == [crew]
    assert corp.find("/Groups", f'id eq "{crew}" and members eq "nobody"') == []
    found = corp("GET", "/Groups?excludedAttributes=members&filter=displayName+eq+%22CREW%22").json()["Resources"]
    assert [(each["id"], "members" in each) for each in found] == [(crew, False)]


def test_explicit_nulls_and_empty_lists(corp):
    """POST with nulls, empty `roles`, meta and a string primary is accepted; what is null is not shown."""
    answer = corp(
        "POST",
        "/Users",
        {
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", "urn:someone:else"],
            "userName": "nul",
            "active": "True",
            "addresses": None,
            "displayName": None,
            "name": {"givenName": None, "familyName": "Nul", "formatted": None},
            "phoneNumbers": [],
            "roles": [{"primary": "True", "value": "admin", "display": None}],
            "meta": {"resourceType": "User", "created": None},
            "urn:someone:else": {"shoe": 42},
            "unknownThing": {"deep": [1, 2]},
        },
    )
    assert answer.status_code == 201
    made = answer.json()
    assert made["active"] is True
    assert made["roles"] == [{"primary": True, "value": "admin"}]
    assert made["name"] == {"familyName": "Nul"}
    assert {"addresses", "displayName", "phoneNumbers", "urn:someone:else", "unknownThing"}.isdisjoint(made)


def test_unknown_paths_are_ignored(corp, ada):
    """An operation on an attribute or schema that we do not know is accepted and changes nothing; the others are applied."""
    apply(
        corp,
        f"/Users/{ada}",
        {"op": "Add", "path": "urn:ietf:params:scim:schemas:extension:acme:2.0:User:badge", "value": "9"},
        {"op": "Replace", "path": "favouriteColour", "value": "green"},
        {"op": "Replace", "path": "title", "value": "Dr"},
    )
    assert corp.get(f"/Users/{ada}")["title"] == "Dr"


def test_restore_keeps_memberships(corp, ada):
    """A soft-deleted user that is restored is sent `active` true without memberships: they must have survived."""
    crew = corp.group("crew", [ada])
    apply(corp, f"/Users/{ada}", {"op": "Replace", "path": "active", "value": "False"})
    apply(corp, f"/Users/{ada}", {"op": "Replace", "path": "userName", "value": "00ff_ada@corp.example"})
    apply(corp, f"/Users/{ada}", {"op": "Replace", "path": "userName", "value": "ada@corp.example"})
    apply(corp, f"/Users/{ada}", {"op": "Replace", "path": "active", "value": "True"})
    assert corp.members(crew) == {ada}


def test_thousands_of_members_in_one_call(corp):
    """A PATCH of 5,000 members is one call answered 204; so is their removal but one."""
    crew, one = corp.group("crew"), corp.user("one")
    many = [{"value": f"ffffffff-0000-4000-8000-{place:012}"} for place in range(4999)]
    assert corp.patch(f"/Groups/{crew}", {"op": "Add", "path": "members", "value": [*many, {"value": one}]}) == 204
    assert len(corp.members(crew)) == 5000
    assert corp.patch(f"/Groups/{crew}", {"op": "Remove", "path": "members", "value": many}) == 204
    assert corp.members(crew) == {one}


def test_all_or_nothing(corp, ada):
    """When one operation fails, none is applied."""
    title = {"op": "Replace", "path": "title", "value": "Dr"}
    assert corp.patch(f"/Users/{ada}", title, {"op": "Replace", "path": "active", "value": "perhaps"}) == 400
    assert corp.patch(f"/Users/{ada}", title, {"op": "Remove", "path": "userName"}) == 400
    assert "title" not in corp.get(f"/Users/{ada}")


def test_values_are_stored_as_sent(corp):
    """No reformatting: phone numbers, spaces, case and Unicode come back as they were."""
    ada = corp.user("ÄDA@Corp.Example", displayName="  Ada  ", phoneNumbers=[{"type": "work", "value": "+1 (555) 0"}])
    found = corp.get(f"/Users/{ada}")
    assert (found["userName"], found["displayName"]) == ("ÄDA@Corp.Example", "  Ada  ")
    assert found["phoneNumbers"][0]["value"] == "+1 (555) 0"
    assert corp.find("/Users", 'userName eq "äda@corp.example"') == [ada]
