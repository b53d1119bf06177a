"""Answers of the Graph stand-in, and our requests to it, against Microsoft's published specification, where that does not contradict the wire.

Known defects of the specification (an older conversion to OpenAPI 3.0): delta functions declare no query options and a bare
array instead of a collection; every schema forbids properties that its own base has (`additionalProperties: object`).
"""

import json
import os
from pathlib import Path

import httpx
import jsonschema
import pytest
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from connectors.source import SourceContext
from connectors.sources.entra import Entra, EntraSettings
from sandbox.graph import Graph
from sandbox.graph_rounds import Quirks
from sandbox.providers import tenants
from tests.vendors import BASE, Wire

SPECS = os.environ.get("ONEFOLD_SPECS")
pytestmark = pytest.mark.skipif(
    not SPECS, reason="ONEFOLD_SPECS does not name the folder of the vendors' specifications"
)
DELTA_OPTIONS = {"$select", "$filter", "$skiptoken", "$deltatoken"}  # learn.microsoft.com/graph/delta-query-overview
ANNOTATIONS = {"@odata.type", "@removed", "members@delta"}
NEWER = {"uniqueName"}  # came after the document (microsoftgraph/msgraph-metadata has it)
ELSEWHERE = {
    "/users/$count",
    "/groups/$count",
    "/directory/deletedItems/microsoft.graph.user",
}  # not in the cut document


def loaded(kind):
    return json.loads((Path(SPECS) / f"graph-{kind}.json").read_text())


def as_json_schema(node):
    """OpenAPI 3.0 as JSON Schema: `nullable` becomes a type, and no schema forbids what its base has."""
    if isinstance(node, list):
        return [as_json_schema(each) for each in node]
    if not isinstance(node, dict):
        return node
    made = {
        name: as_json_schema(value) for name, value in node.items() if name not in {"nullable", "additionalProperties"}
    }
    if node.get("nullable") and "type" in made:
        made["type"] = [made["type"], "null"]
        if "enum" in made:
            made["enum"] = [*made["enum"], None]
    if "$ref" in made:
        made["$ref"] = made["$ref"].replace("#/", "spec#/")
    return made


def declared(schemas, name):
    """Names of all properties of a type and its bases."""
    schema = schemas[name]
    found = set(schema.get("properties", ()))
    for each in schema.get("allOf", ()):
        found |= set(each.get("properties", ()))
        if "$ref" in each:
            found |= declared(schemas, each["$ref"].rpartition("/")[2])
    return found


def judged(kind, rows):
    """Fails when a row has a property that its type does not declare, or a value that its schema does not allow."""
    document, singular = loaded(kind), f"microsoft.graph.{kind.removesuffix('s')}"
    names = declared(document["components"]["schemas"], singular)
    registry = Registry().with_resource("spec", Resource(as_json_schema(document), DRAFT202012))
    judge = jsonschema.Draft202012Validator({"$ref": f"spec#/components/schemas/{singular}"}, registry=registry)
    for row in rows:
        assert set(row) - ANNOTATIONS - NEWER <= names
        judge.validate({name: value for name, value in row.items() if name not in ANNOTATIONS})


@pytest.fixture
def graph():
    found = Graph(tenants(1), quirks=Quirks(page=60, slice=40))
    found.url = BASE
    return found


@pytest.mark.parametrize("kind", ["users", "groups"])
def test_answers_keep_the_published_specification(graph, kind):
    """Rows of listings and rounds hold declared properties with allowed values; a refusal is an error of its schema."""
    from connectors.sources._entra_records import GROUP_SELECT, USER_SELECT

    select = ",".join({"users": USER_SELECT, "groups": GROUP_SELECT}[kind])
    with httpx.Client(transport=Wire(graph).transport(), base_url=f"{BASE}/graph/v1.0") as client:
        client.headers["Authorization"] = f"Bearer {graph.login.given(graph.app('corp'))}"
        listings = (f"/{kind}", f"/{kind}?$select={select.removesuffix(',members')}", f"/{kind}/delta?$select={select}")
        for link in listings:
            body = {"@odata.nextLink": link}
            while follow := body.get("@odata.nextLink"):
                body = client.get(follow).raise_for_status().json()
                judged(kind, body["value"])
                assert {name for name in body if not name.startswith("@odata.")} == {"value"}
        refused = client.get(f"/{kind}?$top=1000")
        document = loaded(kind)
        registry = Registry().with_resource("spec", Resource(as_json_schema(document), DRAFT202012))
        schema = {"$ref": "spec#/components/schemas/odata.error"}
        jsonschema.Draft202012Validator(schema, registry=registry).validate(refused.json())


def test_the_judge_finds_a_wrong_row():
    """An undeclared property and a value of another type fail."""
    judged("users", [{"id": "1", "accountEnabled": True, "mail": None}])
    for row in ({"id": "1", "nickName": "x"}, {"id": "1", "accountEnabled": "yes"}, {"id": 1}):
        with pytest.raises((jsonschema.ValidationError, AssertionError)):
            judged("users", [row])


def test_our_requests_are_legal(graph):
    """Every path of a full read and of a delta is declared, with declared query options; every selected property is one."""
    wire = Wire(graph)
    given = graph.announcement()["tenants"]["corp"]
    settings = EntraSettings(
        tenant_id=given["tenant_id"],
        client_id=given["client_id"],
        client_secret="env:SECRET",
        url=f"{BASE}/graph/v1.0",
        login_url=f"{BASE}/login",
    )
    secrets = {"client_secret": given["client_secret"]}
    cursor = None
    for _ in range(2):
        source = Entra(settings, SourceContext("corp", None, secrets, transport=wire.transport()))
        listings = [source.delta(cursor)] if cursor else [source.accounts(), source.groups(), source.memberships()]
        cursor = [page.cursor_after for each in listings for page in each][-1]
        source.close()
    asked = [each for each in wire.asked if each.url.path.startswith("/graph/v1.0/")]
    paths = {each.url.path.removeprefix("/graph/v1.0") for each in asked}
    assert paths == {"/users/delta", "/groups/delta", *ELSEWHERE}
    for each in asked:
        path, options = each.url.path.removeprefix("/graph/v1.0"), dict(each.url.params)
        if path in ELSEWHERE:
            continue
        kind = path.split("/")[1]
        document = loaded(kind)
        assert each.method.lower() in document["paths"][path.replace("/delta", "/microsoft.graph.delta()")]
        assert set(options) <= DELTA_OPTIONS
        assert not {"$skiptoken", "$deltatoken"} & set(options) or len(options) == 1
        listing = document["paths"][f"/{kind}"]["get"]["parameters"]
        allowed = {
            name
            for one in listing
            if one.get("name") in {"$select", "$expand"}
            for name in one["schema"]["items"]["enum"]
        }
        assert set(filter(None, options.get("$select", "").split(","))) <= allowed
