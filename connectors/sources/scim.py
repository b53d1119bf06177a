"""Pulls one tenant from a SCIM 2.0 service (RFC 7644, cursors of RFC 9865). Counting and judging are the runner's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Literal
from urllib.parse import quote

from pydantic import BaseModel, Field, field_validator

from connectors.http import Http
from connectors.increments import Watermark
from connectors.paging import Turn, counted, followed
from connectors.records import vanished, whole
from connectors.scim_records import USER_TYPES, Odd, to_account, to_edges, to_group
from connectors.source import CursorLost, Finding, Object, Page, Rejected, Row, SourceContext, source
from connectors.sources._scim_filters import NEVER, newer, proven, stamped
from core.errors import OnefoldError, TerminalError
from core.settings import SecretRef, Strict

SILENT = (200, 400, 401, 403, 404, 405, 501)  # ServiceProviderConfig is optional: whatever it says, reading goes on


class ScimSettings(Strict):
    """What is special to a SCIM service."""

    url: str = Field(description="base URL; /Users and /Groups are below it")
    token: SecretRef | None = Field(default=None, description="bearer token")
    headers: dict[str, str] = Field(default_factory=dict, description="further headers; nothing secret")
    page_size: int = Field(default=200, ge=1, le=10_000, description="rows to ask for; the service may give fewer")
    paging: Literal["auto", "index", "cursor"] = Field(
        default="auto", description="auto: cursors where ServiceProviderConfig offers them"
    )
    members: Literal["auto", "inline", "per_group", "by_filter"] = Field(
        default="auto",
        description="auto: asks for single groups until a listing is seen to show members; by_filter: asks for users by groups.value",
    )
    increments: bool = Field(
        default=True, description="read only what moved, where a full read proves that filters on meta can be trusted"
    )
    external_id: Literal["ignore", "immutable_id", "employee_number"] = Field(
        default="ignore", description="what externalId is here; unless ignored it joins accounts across tenants"
    )
    user_types: dict[str, Literal["member", "guest", "external"]] = Field(
        default_factory=dict, description="meaning of userType, beside the usual words"
    )
    proxy: str | None = None
    ca_bundle: str | None = None
    rate: float | None = Field(default=None, gt=0, description="requests per second; default: as fast as it answers")

    @field_validator("headers")
    @classmethod
    def _no_credentials(cls, headers: dict[str, str]) -> dict[str, str]:
        if any(name.lower() in {"authorization", "cookie", "x-api-key"} for name in headers):
            raise ValueError("holds a credential; write it as token: env:NAME")
        return headers


@source
class Scim:
    """One SCIM service. It shows what its operator lets the token see; the total it claims is held against what came."""

    Settings: ClassVar[type[BaseModel]] = ScimSettings
    needs: ClassVar[tuple[str, ...]] = ("a bearer token that may read /Users and /Groups",)

    def __init__(self, settings: ScimSettings, context: SourceContext) -> None:
        self.settings = settings
        self._place: dict[str, Any] = {"tenant": context.tenant}
        headers = {"Accept": "application/scim+json, application/json", **settings.headers}
        if token := context.secrets.get("token"):
            headers["Authorization"] = f"Bearer {token}"
        self._http = Http(
            settings.url,
            place=self._place,
            headers=headers,
            ca_bundle=settings.ca_bundle,
            proxy=settings.proxy,
            transport=context.transport,
            rate=settings.rate,
        )
        self._offer: Mapping[str, Any] | None = None
        self._mark = Watermark()

    def accounts(self) -> Iterator[Page]:
        """Every user."""
        self._mark = Watermark(shape=self._shape())
        for listing in self._listings("Users"):
            self._mark.saw(stamped(listing.items), updated="updated", created="created")
            self._mark.count = listing.total
            rows, rejected = _converted("accounts", listing.items, self._account)
            yield _page("accounts", listing, rows, rejected)

    def groups(self) -> Iterator[Page]:
        """Every group, each page followed by the members of its groups."""
        self._mark.groups = ()
        shown = self.settings.members == "inline"
        for listing in self._listings("Groups"):
            rows, rejected = _converted("groups", listing.items, to_group)
            yield _page("groups", listing, rows, rejected)
            groups = [each for each in listing.items if isinstance(each, dict) and isinstance(each.get("id"), str)]
            self._mark.groups += tuple(each["id"] for each in groups)
            if self.settings.members == "by_filter":
                yield from self._filtered(groups)
                continue
            if (
                self.settings.members == "auto"
            ):  # an empty group leaves the attribute out; so does a service that hides it
                shown = shown or any(each.get("members") for each in groups)
            edges: list[Row] = []
            odd: list[Rejected] = []
            gaps: list[str] = []
            for group in groups:
                found, wrong = to_edges(group if shown or "members" in group else self._whole(group, gaps))
                edges += found
                odd += wrong
            yield Page("memberships", edges, len(edges) + len(odd), rejected=odd, gaps=gaps)

    def one(self, native_id: str) -> Iterator[Page]:
        """RFC 7644, 3.4.1: the user by its id. A 404 may also be a wrong address: nothing follows from it."""
        answer = self._http.request("GET", f"Users/{quote(native_id, safe='')}", ok=(200, 404))
        if answer.status == 200:
            turn = Turn([answer.json()])
            yield _page("accounts", turn, *_converted("accounts", turn.items, self._account))

    def memberships(self) -> Iterator[Page]:
        """Nothing more: groups bring their members along. Says where the next read goes on, if filters are proven."""
        yield Page("memberships", [], 0, cursor_after=self._cursor())

    def delta(self, cursor: str) -> Iterator[Page]:
        """Users that changed, and all groups anew. CursorLost when users are fewer than they must be, or a filter is no longer believed."""
        held = self._mark = Watermark.of(cursor, self._shape(), self._place)
        now, known = self._count(None), held.groups
        fresh = self._count(newer("meta.created", str(held.created), "gt"))
        if now is None or fresh is None or self._count(newer("meta.lastModified", NEVER)) != 0:
            raise CursorLost(
                "filters are no longer answered", remedy="Nothing to do: everything is read", **self._place
            )
        held.proves_nobody_deleted(now, fresh, self._place)
        held.count = now
        for listing in self._listings("Users", newer("meta.lastModified", held.since())):
            held.saw(stamped(listing.items), updated="updated", created="created")
            listing.total = None
            yield _page("accounts", listing, *_converted("accounts", listing.items, self._account))
        for page in self.groups():
            yield whole(page) if page.object == "groups" else page
        if gone := vanished("groups", known, held.groups):
            yield gone
        yield Page("memberships", [], 0, cursor_after=held.cursor())

    def close(self) -> None:
        """Lets go of connections."""
        self._http.close()

    def check(self) -> Iterator[Finding]:
        """Whether both listings answer, with how many rows, and how pages are turned."""
        tenant = self._place["tenant"]
        for path in ("Users", "Groups"):
            try:
                total = self._list(path, {"startIndex": 1, "count": 1}).total
            except OnefoldError as error:
                yield Finding("error", f"{tenant} {path}", error.problem, error.remedy or "")
                continue
            many = "an unknown number of" if total is None else str(total)
            yield Finding("warning" if not total else "ok", f"{tenant} {path}", f"{many} resources")
        yield Finding("ok", f"{tenant} paging", "by cursor" if self._by_cursor() else "by index")

    def _account(self, user: dict[str, Any]) -> Row:
        kinds = {**USER_TYPES, **{word.lower(): kind for word, kind in self.settings.user_types.items()}}
        return to_account(user, user_types=kinds, external_id=self.settings.external_id)

    def _shape(self) -> str:
        chosen = self.settings
        return f"{chosen.members} {chosen.external_id} {sorted(chosen.user_types.items())}"

    def _cursor(self) -> str | None:
        """Where the next read goes on; None, hence a full read, where filters are not proven."""
        mark = self._mark
        if not self.settings.increments or mark.updated is None or mark.created is None or mark.count is None:
            return None
        found = proven(self._count, mark.count, updated=mark.updated, created=mark.created)
        return mark.cursor() if found else None

    def _count(self, text: str | None) -> int | None:
        """How many users there are, or a filter finds. None where the service refuses, or does not count."""
        params = {"startIndex": 1, "count": 1, **({"filter": text} if text else {})}
        answer = self._http.request("GET", "Users", params=params, ok=(200, 400, 403, 404, 501))
        body = answer.json() if answer.status == 200 else None
        total = body.get("totalResults") if isinstance(body, dict) else None
        return total if isinstance(total, int) and not isinstance(total, bool) else None

    def _filtered(self, groups: list[dict[str, Any]]) -> Iterator[Page]:
        """Members of groups that no answer shows, by asking for the users of each (AWS IAM Identity Center)."""
        for group in groups:
            for listing in self._listings("Users", f'groups.value eq "{group["id"]}"'):
                rows: list[Row] = [
                    {"group_id": group["id"], "member_id": each["id"], "member_kind": "user"}
                    for each in listing.items
                    if _id(each)
                ]
                yield Page("memberships", rows, len(listing.items), warnings=listing.warnings, gaps=listing.gaps)

    def _listings(self, path: str, text: str | None = None) -> Iterator[Turn]:
        """RFC 7644, 3.4.2.4: 1-based rows. RFC 9865, 2: an empty cursor asks for the first page, the last has no `nextCursor`."""
        only = {"filter": text} if text else {}

        def by_cursor(cursor: str) -> Turn:
            return self._list(path, {"cursor": cursor, "count": self._size(), **only})

        def by_index(start: int) -> Turn:
            turn = self._list(path, {"startIndex": start, "count": self._size(), **only})
            turn.next = None
            return turn

        what = f"/{path}"
        if self._by_cursor():
            return followed("", by_cursor, what=what)
        return counted(by_index, what=what, first=1, id_of=_id, parameter="startIndex")

    def _list(self, path: str, params: Mapping[str, Any]) -> Turn:
        answer = self._http.request("GET", path, params=params, ok=(200, 404))
        if answer.status == 404:
            raise answer.error(remedy=f"`url` must be the address below which /{path} is", object=path)
        body = answer.json()
        resources = body.get("Resources", []) if isinstance(body, dict) else None
        if resources is None and isinstance(body, dict) and body.get("totalResults") == 0:
            resources = []
        if not isinstance(resources, list) or not {"Resources", "totalResults"} & set(body):
            raise TerminalError(
                f"{answer.what} gave no SCIM list",
                object=path,
                remedy=f"`url` must be the address below which /{path} answers as RFC 7644 says",
                **self._place,
            )
        total, cursor = body.get("totalResults"), body.get("nextCursor")
        if isinstance(total, str) and total.isdecimal():
            total = int(total)
        return Turn(
            resources,
            next=cursor if isinstance(cursor, str) and cursor else None,
            total=total if isinstance(total, int) and not isinstance(total, bool) else None,
        )

    def _pagination(self) -> Mapping[str, Any]:
        """What ServiceProviderConfig says of pages (RFC 9865, 4); nothing when there is none."""
        if self._offer is None:
            answer = self._http.request("GET", "ServiceProviderConfig", ok=SILENT)
            body = answer.json() if answer.status == 200 else {}
            offer = body.get("pagination") if isinstance(body, dict) else None
            self._offer = offer if isinstance(offer, dict) else {}
        return self._offer

    def _by_cursor(self) -> bool:
        if self.settings.paging == "auto":
            return self._pagination().get("cursor") is True
        return self.settings.paging == "cursor"

    def _size(self) -> int:
        most = self._pagination().get("maxPageSize") if self.settings.paging == "auto" else None
        wanted = self.settings.page_size
        return min(wanted, most) if isinstance(most, int) and most > 0 else wanted

    def _whole(self, group: dict[str, Any], gaps: list[str]) -> dict[str, Any]:
        """The group asked for alone, with its members."""
        answer = self._http.request("GET", f"Groups/{quote(group['id'], safe='')}", ok=(200, 404))
        body = answer.json() if answer.status == 200 else None
        if not isinstance(body, dict):
            gaps.append(f"group {group['id']} was listed and could not be read alone ({answer.status})")
            return group
        return {**body, "id": group["id"]}


def _id(resource: Any) -> str | None:
    found = resource.get("id") if isinstance(resource, dict) else None
    return found if isinstance(found, str) else None


def _converted(
    name: Object, resources: list[Any], convert: Callable[[dict[str, Any]], Row]
) -> tuple[list[Row], list[Rejected]]:
    rows, rejected = [], []
    for each in resources:
        if not isinstance(each, dict):
            rejected.append(Rejected(name, None, "resource", "is no JSON object", each))
            continue
        try:
            rows.append(convert(each))
        except Odd as odd:
            native_id = each.get("id") if isinstance(each.get("id"), str) else None
            raw = {key: value for key, value in each.items() if key.lower() != "password"}
            rejected.append(Rejected(name, native_id or None, odd.name, odd.problem, raw))
    return rows, rejected


def _page(name: Object, listing: Turn, rows: list[Row], rejected: list[Rejected]) -> Page:
    return Page(
        name,
        rows,
        len(listing.items),
        total=listing.total,
        cursor=listing.next,
        rejected=rejected,
        warnings=listing.warnings,
        gaps=listing.gaps,
    )
