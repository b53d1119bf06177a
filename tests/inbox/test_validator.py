"""The thirty cases of Microsoft's SCIM Validator, 23 mandatory and 7 preview, as reconstructed in the contract (7.1)."""

import json

import pytest

from connectors.inbox.schema import CORE_GROUP, CORE_USER, ENTERPRISE

USER = {
    "schemas": [CORE_USER, ENTERPRISE],
    "userName": "maverick@corp.example",
    "externalId": "0a21f0f2",
    "active": True,
    "displayName": "Maverick",
    "name": {"formatted": "Mav E", "familyName": "E", "givenName": "Mav"},
    "emails": [{"type": "work", "value": "maverick@corp.example", "primary": True}],
    "roles": [{"primary": "True", "display": "R", "value": "r1", "type": "t"}],
    "phoneNumbers": [{"type": "work", "value": "1", "primary": "True"}, {"type": "mobile", "value": "2"}],
    ENTERPRISE: {"employeeNumber": "7", "department": "Air"},
}
GROUP = {"schemas": [CORE_GROUP], "externalId": "g-1", "displayName": "Wings"}


@pytest.fixture
def mav(corp):
    return corp("POST", "/Users", USER).json()["id"]


@pytest.fixture
def wings(corp):
    return corp("POST", "/Groups", GROUP).json()["id"]


def patch(corp, path, *operations):
    answer = corp(
        "PATCH", path, {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": list(operations)}
    )
    assert answer.status_code in {200, 204}, answer.text


def test_01_create_user(corp):
    """Users: create."""
    answer = corp("POST", "/Users", USER)
    assert answer.status_code == 201
    assert answer.json()["roles"][0]["primary"] is True


def test_02_create_duplicate_user(corp, mav):
    """Users: create a duplicate: 409."""
    assert corp("POST", "/Users", USER).status_code == 409


def test_03_filter_existing_user(corp, mav):
    """Users: filter for an existing one."""
    assert corp.find("/Users", 'userName eq "maverick@corp.example"') == [mav]


def test_04_filter_missing_user(corp):
    """Users: filter for one that does not exist: 200 and empty."""
    assert corp.find("/Users", 'userName eq "5b2a"') == []


def test_05_filter_user_in_other_case(corp, mav):
    """Users: filter for an existing one in another case."""
    assert corp.find("/Users", 'userName eq "MAVERICK@corp.example"') == [mav]


def test_06_patch_user_replace_verbose(corp, mav):
    """Users: PATCH replace, one operation per path."""
    patch(
        corp,
        f"/Users/{mav}",
        {"op": "replace", "path": 'emails[type eq "work"].value', "value": "new@corp.example"},
        {"op": "replace", "path": 'emails[type eq "work"].primary', "value": True},
        {"op": "replace", "path": "name.givenName", "value": "Goose"},
        {"op": "replace", "path": 'phoneNumbers[type eq "mobile"].value', "value": "3"},
        {"op": "replace", "path": f"{ENTERPRISE}:department", "value": "Sea"},
    )
    found = corp.get(f"/Users/{mav}")
    assert found["emails"] == [{"type": "work", "value": "new@corp.example", "primary": True}]
    assert found["name"]["givenName"] == "Goose"
    assert found[ENTERPRISE]["department"] == "Sea"


def test_07_patch_user_name(corp, mav):
    """Users: PATCH userName."""
    patch(corp, f"/Users/{mav}", {"op": "replace", "path": "userName", "value": "goose@corp.example"})
    assert corp.find("/Users", 'userName eq "goose@corp.example"') == [mav]
    assert corp.find("/Users", 'userName eq "maverick@corp.example"') == []


def test_08_patch_user_disable(corp, mav):
    """Users: PATCH disable, then read by GET and by filter."""
    patch(corp, f"/Users/{mav}", {"op": "Replace", "path": "active", "value": "False"})
    assert corp.get(f"/Users/{mav}")["active"] is False
    assert corp.find("/Users", 'userName eq "maverick@corp.example"') == [mav]


def test_09_patch_user_add_verbose(corp):
    """Users: PATCH add of attributes that are not there yet."""
    mav = corp.user("bare")
    patch(
        corp,
        f"/Users/{mav}",
        {"op": "add", "path": "displayName", "value": "Bare"},
        {"op": "add", "path": "name.familyName", "value": "B"},
        {"op": "add", "path": 'emails[type eq "work"].value', "value": "b@corp.example"},
        {"op": "add", "path": 'roles[primary eq "True"].value', "value": "r"},
        {"op": "add", "path": f"{ENTERPRISE}:costCenter", "value": "1"},
    )
    found = corp.get(f"/Users/{mav}")
    assert found["emails"] == [{"type": "work", "value": "b@corp.example"}]
    assert found["roles"] == [{"primary": True, "value": "r"}]
    assert found[ENTERPRISE] == {"costCenter": "1"}


@pytest.mark.parametrize("op", ["add", "replace"])
def test_10_11_patch_manager(corp, mav, op):
    """Users: PATCH add and replace of the manager."""
    boss = corp.user("boss")
    patch(corp, f"/Users/{mav}", {"op": op, "path": f"{ENTERPRISE}:manager", "value": boss})
    assert corp.get(f"/Users/{mav}")[ENTERPRISE]["manager"]["value"] == boss


def test_12_remove_manager(corp, mav):
    """Users: the manager is removed by replacing it with an empty string."""
    patch(corp, f"/Users/{mav}", {"op": "add", "path": f"{ENTERPRISE}:manager", "value": "boss"})
    patch(corp, f"/Users/{mav}", {"op": "replace", "path": f"{ENTERPRISE}:manager", "value": ""})
    assert "manager" not in corp.get(f"/Users/{mav}")[ENTERPRISE]


def test_13_delete_user(corp, mav):
    """Users: delete."""
    assert corp("DELETE", f"/Users/{mav}").status_code == 204


def test_14_create_group(corp):
    """Groups: create."""
    assert corp("POST", "/Groups", GROUP).status_code == 201


def test_15_create_duplicate_group(corp, wings):
    """Groups: a duplicate of the same displayName: 409."""
    assert corp("POST", "/Groups", {**GROUP, "externalId": "g-2"}).status_code == 409


def test_16_get_group_without_members(corp):
    """Groups: GET excluding members."""
    wings = corp.group("Wings", [corp.user("a")])
    found = corp.get(f"/Groups/{wings}?excludedAttributes=members")
    assert "members" not in found
    assert found["displayName"] == "Wings"


@pytest.mark.parametrize("query", ["", "excludedAttributes=members&"])
def test_17_filter_group(corp, wings, query):
    """Groups: filter, with members and without."""
    answer = corp("GET", f'/Groups?{query}filter=displayName eq "Wings"')
    assert [each["id"] for each in answer.json()["Resources"]] == [wings]


def test_18_filter_missing_group(corp):
    """Groups: filter for one that does not exist."""
    assert corp.find("/Groups", 'displayName eq "nobody"') == []


def test_19_filter_group_in_other_case(corp, wings):
    """Groups: filter in another case."""
    assert corp.find("/Groups", 'displayName eq "wINGS"') == [wings]


@pytest.mark.parametrize(("path", "value"), [("displayName", "Wings 2"), ("externalId", "g-9")])
def test_20_21_patch_group(corp, wings, path, value):
    """Groups: PATCH replace of the name and of externalId."""
    patch(corp, f"/Groups/{wings}", {"op": "replace", "path": path, "value": value})
    assert corp.get(f"/Groups/{wings}")[path] == value


def test_22_add_and_remove_member(corp, wings, mav):
    """Groups: add a member, remove a member."""
    patch(corp, f"/Groups/{wings}", {"op": "add", "path": "members", "value": [{"value": mav}]})
    assert corp.members(wings) == {mav}
    patch(corp, f"/Groups/{wings}", {"op": "remove", "path": "members", "value": [{"value": mav}]})
    assert corp.members(wings) == set()


def test_23_delete_group(corp, wings):
    """Groups: delete."""
    assert corp("DELETE", f"/Groups/{wings}").status_code == 204


def test_24_several_operations_on_different_attributes_of_a_user(corp, mav):
    """Preview: several operations on different attributes of a user."""
    patch(corp, f"/Users/{mav}", {"op": "remove", "path": "displayName"}, {"op": "add", "path": "title", "value": "Dr"})
    found = corp.get(f"/Users/{mav}")
    assert ("displayName" in found, found["title"]) == (False, "Dr")


def test_25_several_operations_on_the_same_attribute_of_a_user(corp, mav):
    """Preview: several operations on the same attribute of a user."""
    operations = [{"op": "remove", "path": "displayName"}, {"op": "add", "path": "displayName", "value": "x"}]
    patch(corp, f"/Users/{mav}", *operations, {"op": "replace", "path": "displayName", "value": "y"})
    assert corp.get(f"/Users/{mav}")["displayName"] == "y"


def test_26_several_operations_on_different_attributes_of_a_group(corp, wings, mav):
    """Preview: several operations on different attributes of a group."""
    add = {"op": "add", "path": "members", "value": [{"value": mav}]}
    patch(corp, f"/Groups/{wings}", {"op": "replace", "path": "displayName", "value": "W"}, add)
    assert corp.get(f"/Groups/{wings}")["displayName"] == "W"
    assert corp.members(wings) == {mav}


def test_27_several_operations_on_the_same_attribute_of_a_group(corp, wings, mav):
    """Preview: several operations on the members of a group, in their order."""
    two = corp.user("two")
    operations = [
        {"op": "add", "path": "members", "value": [{"value": mav}]},
        {"op": "remove", "path": "members", "value": [{"value": mav}]},
        {"op": "add", "path": "members", "value": [{"value": two}]},
    ]
    patch(corp, f"/Groups/{wings}", *operations)
    assert corp.members(wings) == {two}


@pytest.mark.parametrize("kind", ["Users", "Groups"])
def test_28_29_delete_what_is_not_there(corp, kind):
    """Preview: delete of what does not exist: 404."""
    assert corp("DELETE", f"/{kind}/5b2a").status_code == 404


def test_30_delete_twice(corp, wings):
    """Preview: delete twice: 204, then 404."""
    assert [corp("DELETE", f"/Groups/{wings}").status_code for _ in range(2)] == [204, 404]


def test_discovery_advertises_nothing_that_is_not_taken(corp):
    """Schemas are camelCase, without nulls, and hold no attribute that is silently dropped on the way back."""
    text = json.dumps(corp.get("/Schemas"))
    assert "null" not in text
    for name in ("userName", "displayName", "employeeNumber", "members"):
        assert f'"{name}"' in text
