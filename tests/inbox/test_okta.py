"""What Okta's SCIM client sends, in its two modes: catalogue apps (PATCH to switch) and wizard apps (PUT for everything) (contract 7.2)."""

import pytest

from connectors.inbox.schema import CORE_USER

AGENT = {
    "User-Agent": "Okta SCIM Client 1.0.0",
    "Accept": "application/scim+json",
    "Content-Type": "application/scim+json; charset=utf-8",
}


@pytest.fixture
def okta(inbox):
    return inbox.caller("corp", headers=AGENT)


def body(name, **more):
    return {
        "schemas": [CORE_USER],
        "userName": name,
        "name": {"givenName": "Ada", "familyName": "Lovelace"},
        "emails": [{"primary": True, "value": name, "type": "work"}],
        "displayName": "Ada Lovelace",
        "locale": "en-US",
        "externalId": "00u1",
        "groups": [],
        "password": "1mz050nq",
        "active": True,
        **more,
    }


def test_assignment(okta):
    """Assign: a lookup with paging that finds nobody, then POST with `groups: []` and a placeholder password."""
    lookup = '/Users?filter=userName eq "ada@acq.example"&startIndex=1&count=100'
    answer = okta("GET", lookup)
    assert answer.status_code == 200
    found = answer.json()
    assert (found["totalResults"], found["startIndex"], found["itemsPerPage"], found["Resources"]) == (0, 1, 0, [])
    assert all(type(found[name]) is int for name in ("totalResults", "startIndex", "itemsPerPage"))
    made = okta("POST", "/Users", body("ada@acq.example"))
    assert made.status_code == 201
    assert made.json()["externalId"] == "00u1"
    assert "password" not in made.text
    assert okta("GET", lookup).json()["Resources"][0]["id"] == made.json()["id"]
    assert okta("POST", "/Users", body("ada@acq.example")).status_code == 409


def test_profile_update_by_put(okta):
    """An update reads and then PUTs the whole resource, read-only fields and memberships echoed back."""
    ada = okta("POST", "/Users", body("ada@acq.example")).json()["id"]
    crew = okta.group("crew", [ada])
    whole = okta.get(f"/Users/{ada}")
    assert whole["groups"][0]["value"] == crew
    answer = okta("PUT", f"/Users/{ada}", {**whole, "groups": [], "displayName": "Augusta", "meta": {"version": "x"}})
    assert answer.status_code == 200
    assert answer.json()["displayName"] == "Augusta"
    assert answer.json()["id"] == ada
    assert okta.members(crew) == {ada}


def test_switching_in_catalogue_apps(okta):
    """Deactivate and reactivate by path-less PATCH, password by PATCH: 200, and never a DELETE."""
    ada = okta("POST", "/Users", body("ada@acq.example")).json()["id"]
    for active in (False, True):
        assert okta.patch(f"/Users/{ada}", {"op": "replace", "value": {"active": active}}) == 200
        assert okta.get(f"/Users/{ada}")["active"] is active
    assert okta.patch(f"/Users/{ada}", {"op": "replace", "value": {"password": "n3w"}}) == 200


def test_switching_in_wizard_apps(okta):
    """Wizard apps PUT the whole resource with `active` false; a PUT that does not speak of it leaves it."""
    ada = okta("POST", "/Users", body("ada@acq.example")).json()["id"]
    assert okta("PUT", f"/Users/{ada}", body("ada@acq.example", active=False)).json()["active"] is False
    silent = body("ada@acq.example")
    del silent["active"]
    assert okta("PUT", f"/Users/{ada}", silent).json()["active"] is False


def test_group_push(okta):
    """Push: lookup to link, POST, PATCH with remove by filter and add, the name re-sent path-less with its id, full push, DELETE on unlink."""
    one, two, three = (okta.user(name) for name in ("one", "two", "three"))
    assert okta.find("/Groups", 'displayName eq "crew"') == []
    crew = okta.group("crew", [one])
    changes = (
        {"op": "remove", "path": f'members[value eq "{one}"]'},
        {"op": "add", "path": "members", "value": [{"value": two, "display": "two"}]},
    )
    assert okta.patch(f"/Groups/{crew}", {"op": "replace", "value": {"id": crew, "displayName": "crew 2"}}) == 204
    assert okta.patch(f"/Groups/{crew}", *changes) == 204
    assert okta.members(crew) == {two}
    assert okta.patch(f"/Groups/{crew}", {"op": "replace", "path": "members", "value": [{"value": three}]}) == 204
    assert okta.members(crew) == {three}
    assert okta.get(f"/Groups/{crew}")["displayName"] == "crew 2"
    assert okta("DELETE", f"/Groups/{crew}").status_code == 204


def test_group_put_in_wizard_apps(okta):
    """Wizard apps PUT the group with its full member list under its own name: no conflict."""
    one, two = okta.user("one"), okta.user("two")
    crew = okta.group("crew", [one])
    answer = okta(
        "PUT", f"/Groups/{crew}", {"id": crew, "displayName": "crew", "members": [{"value": one}, {"value": two}]}
    )
    assert answer.status_code == 200
    assert okta.members(crew) == {one, two}
    assert okta("PUT", f"/Groups/{crew}", {"displayName": "crew", "members": []}).status_code == 200
    assert okta.members(crew) == set()


def test_import_reads_all_in_a_stable_order(okta):
    """Import pages by 100 in the same order each time, while others are created meanwhile."""
    made = [okta.user(f"user{place}") for place in range(230)]
    seen = []
    for start in (1, 101, 201):
        seen += [each["id"] for each in okta.get(f"/Users?startIndex={start}&count=100")["Resources"]]
        okta.user(f"late{start}")
    assert seen[:230] == made


def test_an_empty_body_is_refused(okta):
    """An empty body on create is 400 with a SCIM error."""
    for raw in (b"", b"   ", b"{}"):
        answer = okta("POST", "/Users", raw=raw)
        assert answer.status_code == 400
        assert answer.json()["status"] == "400"


def test_waiting_is_told_in_whole_seconds(inbox):
    """Okta understands Retry-After as whole seconds only."""
    bad = inbox.caller("corp", headers=AGENT)
    bad.token = "wrong"
    answers = [bad("GET", "/Users") for _ in range(25)]
    assert answers[-1].status_code == 429
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 61
