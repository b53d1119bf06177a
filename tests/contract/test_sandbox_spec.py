"""Answers of the stand-ins against the published specifications, where those do not contradict the wire.

Known defects of the specifications, each with what the wire has instead, are `WIRE`; everything else must hold.
"""

import functools
import json
import os
import re
from pathlib import Path

import httpx
import jsonschema
import pytest
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from sandbox.serve import Sandbox

SPECS = os.environ.get("ONEFOLD_SPECS")
pytestmark = pytest.mark.skipif(
    not SPECS, reason="ONEFOLD_SPECS does not name the folder of the vendors' specifications"
)

# What the wire answers where the specification is wrong: a list of the named thing, a page of it, or something untold.
# jira-dc: lists reference one item, /user/duplicated/* the wrong bean. confluence-dc: POST group answers 201 as its twins
# do, memberof holds groups, and 400, 404 of memberships are missing.
WIRE = {
    ("GET", "/api/2/user/search"): {"type": "array", "items": {"$ref": "spec#/components/schemas/UserBean"}},
    ("GET", "/api/2/applicationrole"): {
        "type": "array",
        "items": {"$ref": "spec#/components/schemas/ApplicationRoleBean"},
    },
    ("GET", "/api/2/user/duplicated/count"): {"type": "integer"},
    ("GET", "/api/2/user/duplicated/list"): {"type": "object", "additionalProperties": {"type": "array"}},
    ("GET", "/api/2/group/member"): {
        "required": ["self", "maxResults", "startAt", "total", "isLast", "values"],
        "properties": {"values": {"type": "array", "items": {"$ref": "spec#/components/schemas/UserJsonBean"}}},
    },
    ("POST", "/rest/api/admin/group"): {"required": ["type", "name"]},
}
CODES = {
    ("POST", "/rest/api/admin/group", 201),
    ("PUT", "/rest/api/user/{username}/group/{groupName}", 404),
    ("GET", "/rest/api/group/{groupName}", 404),
    ("GET", "/api/2/user", 400),
}
# RestError.data.errors is typed as an object; Confluence sends a list.
ERRORS_OF = {"ValidationResult": {"errors": {"type": "array"}}}

JIRA = [
    ("GET", "/serverInfo", None, 200),
    ("GET", "/myself", None, 200),
    ("GET", "/applicationrole", None, 200),
    ("GET", "/applicationrole/jira-software", None, 200),
    ("GET", "/applicationrole/none", None, 404),
    ("GET", "/user?username=admin&expand=groups,applicationRoles", None, 200),
    ("GET", "/user?username=none", None, 404),
    ("POST", "/user", {"name": "x1", "emailAddress": "x@corp.example", "displayName": "X"}, 201),
    ("POST", "/user", {"name": "x1"}, 400),
    ("PUT", "/user?username=x1", {"displayName": "Y"}, 200),
    ("PUT", "/user?username=x1", {"displayName": "Y"}, 400),
    ("GET", "/user/search?username=.", None, 200),
    ("GET", "/user/list?maxResults=10", None, 200),
    ("GET", "/user/duplicated/count", None, 200),
    ("GET", "/user/duplicated/list", None, 200),
    ("POST", "/group", {"name": "g1"}, 201),
    ("POST", "/group", {"name": "g1"}, 400),
    ("POST", "/group/user?groupname=g1", {"name": "x1"}, 201),
    ("POST", "/group/user?groupname=g1", {"name": "x1"}, 400),
    ("GET", "/group/member?groupname=g1", None, 200),
    ("GET", "/group/member?groupname=none", None, 404),
    ("DELETE", "/group/user?groupname=g1&username=x1", None, 200),
    ("GET", "/groups/picker?query=g", None, 200),
    ("POST", "/user/application?username=x1&applicationKey=jira-software", None, 200),
    ("DELETE", "/user/application?username=x1&applicationKey=jira-software", None, 204),
    ("PUT", "/user/password?username=x1", {"password": "p"}, 204),
    ("DELETE", "/group?groupname=g1", None, 200),
    ("DELETE", "/user?username=x1", None, 204),
]
FRESH = {"userName": "x1", "fullName": "X", "email": "x@corp.example", "notifyViaEmail": True}
CONFLUENCE = [
    ("GET", "/user/current", None, 200),
    ("GET", "/user/anonymous", None, 200),
    ("GET", "/user?username=admin&expand=status", None, 200),
    ("GET", "/user?username=none", None, 404),
    ("POST", "/admin/user", FRESH, 201),
    ("POST", "/admin/user", FRESH, 409),
    ("POST", "/admin/user", {}, 400),
    ("PUT", "/admin/user/x1", {"fullName": "Y"}, 204),
    ("PUT", "/admin/user/x1", {"fullName": ""}, 400),
    ("PUT", "/admin/user/x1/disable", None, 204),
    ("PUT", "/admin/user/x1/enable", None, 204),
    ("PUT", "/admin/user/none/enable", None, 404),
    ("POST", "/admin/user/x1/password", {"password": "p"}, 204),
    ("GET", "/user/list?limit=10&start=10", None, 200),
    ("GET", "/admin/users/list/active", None, 200),
    ("GET", "/user/memberof?username=x1", None, 200),
    ("POST", "/admin/group", {"name": "g1", "type": "group"}, 201),
    ("POST", "/admin/group", {"name": "g1", "type": "group"}, 409),
    ("GET", "/group", None, 200),
    ("GET", "/group/g1", None, 200),
    ("GET", "/group/none", None, 404),
    ("PUT", "/user/x1/group/g1", None, 204),
    ("PUT", "/user/none/group/g1", None, 404),
    ("GET", "/group/g1/member", None, 200),
    ("GET", "/group/g1/groupmember", None, 200),
    ("GET", "/group/g1/groupparent", None, 200),
    ("GET", "/group/g1/groupancestor", None, 200),
    ("DELETE", "/user/x1/group/g1", None, 204),
    ("DELETE", "/admin/group/g1", None, 204),
    ("DELETE", "/admin/group/confluence-administrators", None, 400),
    ("DELETE", "/admin/user/x1", None, 202),
]


# The file, its prefix of paths, and ours.
WHERE = {
    "jira": ("jira-dc.json", "/api/2", "/rest/api/2"),
    "confluence": ("confluence-dc.json", "/rest/api", "/rest/api"),
}


@functools.cache
def spec(name):
    found = json.loads((Path(SPECS) / name).read_text())
    for schema, fields in ERRORS_OF.items():
        found["components"]["schemas"].get(schema, {}).get("properties", {}).update(fields)
    return found


def operation(document, method, path):
    """The specification's path and operation of a request, literal paths first."""
    for template in sorted(document["paths"], key=lambda each: each.count("{")):
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path) and method.lower() in document["paths"][template]:
            return template, document["paths"][template][method.lower()]
    raise AssertionError(f"the specification has no {method} {path}")


def judge(document, method, path, answer):
    """Fails when the specification has no such code, or the body does not keep its schema."""
    template, found = operation(document, method, path)
    codes = set(found["responses"]) | {str(code) for *where, code in CODES if where == [method, template]}
    assert str(answer.status_code) in codes, f"{method} {template} has no {answer.status_code}"
    response = found["responses"].get(str(answer.status_code), {})
    schema = next((each.get("schema") for each in response.get("content", {}).values()), None)
    if answer.is_success and answer.status_code != 204:
        schema = WIRE.get((method, template), schema)
    elif "RestError" in document["components"]["schemas"] and answer.is_error:
        schema = {"$ref": "#/components/schemas/RestError"}
    elif answer.is_error:
        schema = {"$ref": "#/components/schemas/ErrorCollection"}
    if schema is None or not answer.content:
        return
    schema = json.loads(json.dumps(schema).replace('"spec#', '"#').replace('"#/', '"spec#/'))
    registry = Registry().with_resource("spec", Resource(document, DRAFT202012))
    jsonschema.Draft202012Validator(schema, registry=registry).validate(answer.json())


@pytest.fixture(scope="module")
def box():
    with Sandbox() as running:
        yield running


@pytest.mark.parametrize(("name", "asked"), [("jira", JIRA), ("confluence", CONFLUENCE)], ids=["jira", "confluence"])
def test_answers_keep_the_published_specification(box, name, asked):
    """Every code is one that the specification has, and every body keeps its schema, known defects aside."""
    standin, (file, prefix, base) = getattr(box, name), WHERE[name]
    with httpx.Client(headers={"Authorization": f"Bearer {standin.token}"}, trust_env=False) as client:
        for method, path, body, status in asked:
            answer = client.request(method, f"{standin.url}{base}{path}", json=body)
            assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
            judge(spec(file), method, prefix + path.partition("?")[0], answer)


def test_the_judge_finds_a_wrong_body():
    """A body that does not keep its schema, and a code that is not there, fail."""
    where = spec("jira-dc.json"), "GET", "/api/2/user"
    judge(*where, httpx.Response(200, json={"name": "x"}))
    for status, body in ((200, {"name": 1}), (200, {"groups": {"size": "many"}}), (299, {})):
        with pytest.raises((jsonschema.ValidationError, AssertionError)):
            judge(*where, httpx.Response(status, json=body))
