"""Microsoft Graph v1.0 on loopback: several Entra tenants under one base URL, each behind tokens of its own. Rounds of deltas are in `graph_rounds`.

Base paths are `/graph/v1.0` and `/login`. What is imitated is listed in the vendors' contract; what is not is answered 404.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from sandbox.graph_apps import more_routes
from sandbox.graph_limits import Units, cost
from sandbox.graph_query import DEFAULTS, bad, checked, envelope, filtered, selected, shown
from sandbox.graph_rounds import Quirks, Rounds, opened, sealed
from sandbox.graph_tenant import BASIC, GraphTenant, Kind, planted
from sandbox.graph_tokens import App, Grant, Login
from sandbox.seen import Seen, guid
from sandbox.vendor import Refusal, Vendor
from sandbox.wire import Answer, Request, Route

BASE, LOGIN = "/graph/v1.0", "/login"
READ_USERS = frozenset({"User.Read.All", "User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"})
READ_GROUPS = frozenset({"GroupMember.Read.All", "Group.Read.All", "Group.ReadWrite.All", "Directory.Read.All"})
ROLES = ("GroupMember.Read.All", "User.Read.All")
CODES = {401: "InvalidAuthenticationToken", 403: "Authorization_RequestDenied", 404: "Request_ResourceNotFound"}
CODES |= {405: "Request_BadRequest", 429: "TooManyRequests", 500: "InternalServerError", 503: "serviceNotAvailable"}
KINDS: dict[str, Kind] = {"graph.user": "users", "graph.group": "groups"}  # with or without `microsoft.` before it


def secret_of(tenant: str) -> str:
    """The client secret of a tenant's reader."""
    return f"graph-secret-of-{tenant}"


class Graph(Vendor):
    """Entra tenants, one app registration each that reads users and group members.

    `units`: resource units per 10 s for one app in one tenant, None for what Graph gives by size. `silent`: a 429 says not
    when to come back. `quirks`: how delta rounds behave. Time is `clock` plus `skew` seconds.
    """

    kind = "graph"

    def __init__(
        self,
        tenants: Iterable[Seen],
        *,
        faults: Iterable[Mapping[str, Any]] = (),
        quirks: Quirks | None = None,
        units: int | None = None,
        silent: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._clock, self.skew = clock, 0.0
        self.tenants = {each.tenant: planted(each) for each in tenants}
        self.by_id = {each.tenant_id: each for each in self.tenants.values()}
        self.login = Login(lambda: f"{self.url}/graph", lambda: f"{self.url}{LOGIN}", self.now)
        self.login.tenants = set(self.by_id)
        for each in self.tenants.values():
            client = guid(each.name, "client")
            app = App(
                client, each.tenant_id, frozenset(ROLES), secret_of(each.name), secret_ends="2027-05-01T00:00:00Z"
            )
            self.login.apps[client] = app
        self.rounds = Rounds(self._link, self.now, quirks or Quirks())
        self.units = Units(units, silent=silent)
        super().__init__(faults)

    def now(self) -> float:
        """Seconds since the epoch, here."""
        return self._clock() + self.skew

    def app(self, tenant: str) -> App:
        """The app registration of a tenant."""
        return self.login.apps[guid(tenant, "client")]

    def announcement(self) -> dict[str, Any]:
        """`{"kind", "url", "login_url", "tenants": {name: {tenant_id, client_id, client_secret}}}`."""
        tenants = {
            name: {"tenant_id": each.tenant_id, "client_id": guid(name, "client"), "client_secret": secret_of(name)}
            for name, each in self.tenants.items()
        }
        return {"kind": "entra", "url": f"{self.url}{BASE}", "login_url": f"{self.url}{LOGIN}", "tenants": tenants}

    def state(self) -> dict[str, Any]:
        """Everything, by tenant."""
        return {name: each.state() for name, each in self.tenants.items()}

    def error(self, status: int, message: str) -> Answer:
        """Graph's envelope."""
        return envelope(status, CODES.get(status, "Request_BadRequest"), message)

    def routes(self) -> list[Route]:
        """Login, listings, deltas, members, the bin, apps, batch."""
        return [
            Route("POST", f"{LOGIN}/{{tenant}}/oauth2/v2.0/token", self.login.answer),
            Route("GET", f"{BASE}/users", self._listing("users")),
            Route("GET", f"{BASE}/groups", self._listing("groups")),
            Route("GET", f"{BASE}/users/delta", self._delta("users")),
            Route("GET", f"{BASE}/groups/delta", self._delta("groups")),
            Route("GET", f"{BASE}/users/~count", self._count("users")),
            Route("GET", f"{BASE}/groups/~count", self._count("groups")),
            Route("GET", f"{BASE}/users/{{id}}", self._one("users")),
            Route("GET", f"{BASE}/groups/{{id}}", self._one("groups")),
            Route("GET", f"{BASE}/groups/{{id}}/members", self._members),
            Route("GET", f"{BASE}/groups/{{id}}/members/{{cast}}", self._members),
            Route("GET", f"{BASE}/directory/deletedItems/{{cast}}", self._bin),
            *more_routes(self),
        ]

    def spelled(self, path: str) -> str:
        """One spelling of `delta`, `$count`, `$batch` and the alternate keys."""
        for there, here in (
            ("/microsoft.graph.delta()", "/delta"),
            ("/microsoft.graph.delta", "/delta"),
            ("/delta()", "/delta"),
        ):
            path = path.replace(there, here)
        path = path.replace("/$", "/~").replace("(appId='", "/appId=").replace("')", "")
        return path.removesuffix("/")  # fmt: skip

    def admitted(self, request: Request, route: Route) -> tuple[str, Answer | None]:
        """Whose token it is; a refusal for none, an ended one, and one of another cloud."""
        if route.path.startswith(LOGIN):
            return "", None
        grant = self.login.grant(request)
        if grant is None:
            return "", self.error(401, "Access token has expired or is not yet valid.")
        if grant.audience != f"{self.url}/graph":
            return "", self.error(401, "Access token validation failure. Invalid audience.")
        allowed = self.units.take(grant.client_id, self.by_id[grant.tenant_id], cost(request, route.path))
        return json.dumps([grant.client_id, grant.tenant_id]), allowed

    def finished(self, request: Request, answer: Answer) -> Answer:
        """Every answer of Graph says what the request cost."""
        if request.path.startswith(LOGIN):
            return answer
        return answer.with_headers({**self.units.headers(), **answer.headers})

    # Who asks

    def tenant(self, request: Request) -> GraphTenant:
        """Whose token it is."""
        return self.by_id[json.loads(request.caller)[1]]

    def may(self, request: Request, roles: frozenset[str]) -> bool:
        """Whether the token has one of these permissions."""
        return bool(self.grant(request).roles & roles)

    def grant(self, request: Request) -> Grant:
        """What the token stands for."""
        found = self.login.grant(request)
        if found is None:
            raise Refusal(self.error(401, "Access token is empty."))
        return found

    def need(self, request: Request, *roles: frozenset[str]) -> None:
        """Refuses a token that has none of these permissions."""
        if not any(self.may(request, each) for each in roles):
            raise Refusal(self.error(403, "Insufficient privileges to complete the operation."))

    def readable(self, request: Request, kind: Kind) -> bool:
        """Whether all properties may be seen. Refuses whoever may see none."""
        if kind == "groups":
            self.need(request, READ_GROUPS)
            return True
        self.need(request, READ_USERS, frozenset({"User.ReadBasic.All"}))
        return self.may(request, READ_USERS)

    # Listings

    def _link(self, kind: Kind, parameter: str, token: str) -> str:
        return f"{self.url}{BASE}/{kind}/delta" + (f"?{parameter}={token}" if parameter else "")

    def paged(self, request: Request, rows: list[str], what: str, extra: Mapping[str, Any]) -> tuple[list[str], dict[str, Any]]:  # fmt: skip
        """The ids of this page, and the body without its rows. Skip tokens hold the query and cannot be used with another."""
        top = request.number("$top", 100)
        start, query = 0, {name: values[0] for name, values in request.query.items() if name != "$skiptoken"}
        if token := request.arg("$skiptoken"):
            held = opened(token)
            if held.get("w") != what or held["q"] != query:
                raise bad("The skip token does not belong to this query.", "Directory_ExpiredPageToken")
            start = held["n"]
        body: dict[str, Any] = {"@odata.context": f"{self.url}{BASE}/$metadata#{what}", **extra}
        if start + top < len(rows):
            follow = urlencode({**query, "$skiptoken": sealed({"w": what, "q": query, "n": start + top})}, safe="$")
            body["@odata.nextLink"] = f"{self.url}{request.path}?{follow}"
        return rows[start : start + top], body

    def _listing(self, kind: Kind) -> Callable[[Request], Answer]:
        def answer(request: Request) -> Answer:
            checked(request)
            whole = self.readable(request, kind)
            names, match = selected(request, kind) or DEFAULTS[kind], filtered(request.arg("$filter"))
            objects = self.tenant(request).objects(kind)
            rows = [each for each, found in objects.items() if match(found)]
            extra = {"@odata.count": len(rows)} if request.arg("$count").lower() == "true" else {}
            ids, body = self.paged(request, rows, kind, extra)
            body["value"] = [self._seen(objects[each], names, whole=whole) for each in ids]
            return Answer(200, body)

        return answer

    @staticmethod
    def _seen(found: Mapping[str, Any], names: list[str], *, whole: bool) -> dict[str, Any]:
        row = shown(found, names, never_set=True)
        return row if whole else {name: value if name in BASIC else None for name, value in row.items()}

    def _delta(self, kind: Kind) -> Callable[[Request], Answer]:
        def answer(request: Request) -> Answer:
            checked(request, delta=True)
            whole = self.readable(request, kind)
            tenant = self.tenant(request)
            token = request.arg("$deltatoken")
            if token and token != "latest":
                return self.rounds.again(tenant, kind, token, delta=True)
            if skip := request.arg("$skiptoken"):
                return self.rounds.again(tenant, kind, skip, delta=False)
            select = selected(request, kind, delta=True)
            return self.rounds.first(
                tenant, kind, select, request.arg("$filter"), latest=token == "latest", hide=not whole
            )

        return answer

    def _count(self, kind: Kind) -> Callable[[Request], Answer]:
        def answer(request: Request) -> Answer:
            self.readable(request, kind)
            if request.headers.get("consistencylevel", "").lower() != "eventual":
                raise bad("$count needs the header ConsistencyLevel: eventual.", "Request_UnsupportedQuery")
            return Answer(200, str(len(self.tenant(request).objects(kind))), content_type="text/plain")

        return answer

    def _one(self, kind: Kind) -> Callable[[Request], Answer]:
        def answer(request: Request) -> Answer:
            checked(request)
            whole = self.readable(request, kind)
            found = self.tenant(request).objects(kind).get(request.params["id"])
            if found is None:
                raise Refusal(self.error(404, f"Resource '{request.params['id']}' does not exist."))
            names = selected(request, kind) or DEFAULTS[kind]
            return Answer(200, self._seen(found, names, whole=whole))

        return answer

    def _members(self, request: Request) -> Answer:
        checked(request)
        self.need(request, READ_GROUPS)
        tenant, group, cast = self.tenant(request), request.params["id"], request.params.get("cast")
        if group not in tenant.groups:
            raise Refusal(self.error(404, f"Resource '{group}' does not exist."))
        inside = tenant.members.get(group, {})
        rows = [each for each, kind in inside.items() if cast in {None, f"microsoft.graph.{kind}", f"graph.{kind}"}]
        extra = {"@odata.count": len(rows)} if request.arg("$count").lower() == "true" else {}
        ids, body = self.paged(request, rows, f"groups/{group}/members/{cast}", extra)
        visible = self.may(request, READ_USERS)
        body["value"] = [self._member(tenant, each, inside[each], request, visible=visible) for each in ids]
        return Answer(200, body)

    @staticmethod
    def _member(tenant: GraphTenant, member: str, kind: str, request: Request, *, visible: bool) -> dict[str, Any]:
        """A member as it is listed; all but its id is null where the permission for its type is missing."""
        of: Kind = "groups" if kind == "group" else "users"
        names = selected(request, of) or DEFAULTS[of]
        found = tenant.objects(of).get(member, {"id": member})
        row = shown(found, names, never_set=True)
        if of == "users" and not visible:
            row = {name: value if name == "id" else None for name, value in row.items()}
        return {"@odata.type": f"#microsoft.graph.{kind}", **row}

    def _of_bin(self, request: Request) -> Answer:
        """One object of the bin by its id; without an id a cast is needed."""
        if "graph." in request.params["cast"]:
            raise bad("The type cast is not supported.")
        kind, found = self.tenant(request).bin.get(request.params["cast"], ("users", {}))
        self.need(request, READ_USERS if kind == "users" else frozenset({"Group.Read.All", "Directory.Read.All"}))
        if not found:
            raise Refusal(self.error(404, f"Resource '{request.params['cast']}' does not exist."))
        return Answer(200, shown(found, selected(request, kind) or DEFAULTS[kind], never_set=True))

    def _bin(self, request: Request) -> Answer:
        checked(request)
        kind = KINDS.get(request.params["cast"].removeprefix("microsoft."))
        if kind is None:
            return self._of_bin(request)
        self.need(request, READ_USERS if kind == "users" else frozenset({"Group.Read.All", "Directory.Read.All"}))
        found = {each: row for each, (what, row) in self.tenant(request).bin.items() if what == kind}
        ids, body = self.paged(request, list(found), f"deletedItems/{kind}", {})
        names = selected(request, kind) or DEFAULTS[kind]
        body["value"] = [shown(found[each], names, never_set=True) for each in ids]
        return Answer(200, body)
