"""Apps, the organization and batches of the Graph stand-in. Users and groups are in `graph`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from sandbox.graph_query import bad, checked, envelope
from sandbox.seen import guid
from sandbox.vendor import Refusal
from sandbox.wire import Answer, Handler, Request, Route

if TYPE_CHECKING:
    from sandbox.graph import Graph

BASE = "/graph/v1.0"
READ_APPS = frozenset({"Application.Read.All", "Application.ReadWrite.All", "Directory.Read.All"})
READ_ORGANIZATION = frozenset({"Organization.Read.All", "Directory.Read.All"})
READ_USERS = frozenset({"User.Read.All", "User.ReadWrite.All"})
INNER = 20  # requests of a batch


def more_routes(graph: Graph) -> list[Route]:
    """The routes of this file."""

    def of(handler: Any) -> Handler:
        return lambda request: handler(graph, request)

    return [
        Route("GET", f"{BASE}/servicePrincipals/{{id}}", of(_principal)),
        Route("GET", f"{BASE}/servicePrincipals/{{id}}/appRoleAssignedTo", of(_assigned)),
        Route("GET", f"{BASE}/applications/{{id}}", of(_application)),
        Route("GET", f"{BASE}/organization", of(_organization)),
        Route("POST", f"{BASE}/~batch", of(_batch)),
    ]


def _app_id(graph: Graph, request: Request) -> str:
    graph.need(request, READ_APPS)
    apps, wanted = graph.tenant(request).apps, request.params["id"]
    if wanted.startswith("appId="):
        wanted = next((each for each, app in apps.items() if app["appId"] == wanted[6:]), "")
    if wanted not in apps:
        raise Refusal(graph.error(404, f"Resource '{request.params['id']}' does not exist."))
    return wanted


def _principal(graph: Graph, request: Request) -> Answer:
    found = _app_id(graph, request)
    app = graph.tenant(request).apps[found]
    return Answer(200, {"id": found, "appId": app["appId"], "displayName": app["displayName"]})


def _assigned(graph: Graph, request: Request) -> Answer:
    checked(request)
    found = _app_id(graph, request)
    rows = {each["id"]: each for each in graph.tenant(request).assigned(found)}
    ids, body = graph.paged(request, list(rows), f"servicePrincipals/{found}/appRoleAssignedTo", {})
    return Answer(200, {**body, "value": [rows[each] for each in ids]})


def _application(graph: Graph, request: Request) -> Answer:
    graph.need(request, READ_APPS)
    app = graph.login.apps.get(request.params["id"].removeprefix("appId="))
    if app is None or app.tenant_id != graph.tenant(request).tenant_id:
        raise Refusal(graph.error(404, "Resource does not exist."))
    secrets = [{"keyId": guid(app.client_id, "secret"), "displayName": "sync", "endDateTime": app.secret_ends}]
    return Answer(200, {"id": guid(app.client_id), "appId": app.client_id, "passwordCredentials": secrets, "keyCredentials": []})  # fmt: skip


def _organization(graph: Graph, request: Request) -> Answer:
    graph.need(request, READ_USERS | READ_ORGANIZATION)
    tenant = graph.tenant(request)
    domains = [{"name": tenant.domain, "isDefault": True}] if graph.may(request, READ_ORGANIZATION) else []  # fmt: skip
    row = {"id": tenant.tenant_id, "displayName": tenant.name.title(), "verifiedDomains": domains}
    return Answer(200, {"value": [row]})


def _batch(graph: Graph, request: Request) -> Answer:
    asked = (request.json() or {}).get("requests", [])
    ids = [str(each.get("id")) for each in asked]
    if not 1 <= len(asked) <= INNER:
        raise bad("Number of requests must be between 1 and 20.", "MaximumValueExceeded")
    if len(set(ids)) != len(ids):
        raise bad("Request Id has to be unique in a batch.", "BadRequest")
    answers: dict[str, Answer] = {}
    for each in asked:
        if any(not 200 <= answers[dep].status < 300 for dep in each.get("dependsOn", ()) if dep in answers):
            answers[str(each["id"])] = envelope(424, "FailedDependency", "A request that this depends on failed.")
        else:
            answers[str(each["id"])] = _inner(graph, request, each)
    found = [
        {
            "id": name,
            "status": each.status,
            "headers": {**each.headers, "Content-Type": "application/json"},
            "body": json.loads(each.body) if isinstance(each.body, bytes) else each.body,
        }
        for name, each in reversed(answers.items())  # in no order that a client may count on
    ]
    return Answer(200, {"responses": found})


def _inner(graph: Graph, request: Request, each: Mapping[str, Any]) -> Answer:
    parts = urlsplit(str(each["url"]))
    headers = {name.lower(): str(value) for name, value in each.get("headers", {}).items()}
    inner = replace(
        request,
        method=each.get("method", "GET"),
        path=f"{BASE}{unquote(parts.path)}",
        raw_path=parts.path,
        query=parse_qs(parts.query, keep_blank_values=True),
        headers={"authorization": request.headers.get("authorization", ""), **headers},
        body=b"",
    )
    return graph.inner(inner)
