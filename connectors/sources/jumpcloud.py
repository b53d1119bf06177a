"""Reads one JumpCloud organisation: system users (API v1), user groups and their direct members (API v2). Counting and judging are the runner's."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar
from urllib.parse import quote, urlencode

from pydantic import BaseModel, Field

from connectors.answer import Answer
from connectors.auth import api_key
from connectors.http import Http
from connectors.pacing import number
from connectors.paging import Turn, begun, counted
from connectors.records import edges_of, page_of
from connectors.source import Finding, Page, SourceContext, source
from connectors.sources._jumpcloud_records import FIELDS, to_account, to_group, to_member
from connectors.throttling import Throttling, by_status
from core.errors import OnefoldError, TerminalError
from core.settings import SecretRef, Strict

PAGE = 100  # the most that `limit` may be
FIRST_SECONDS = 2.0  # JumpCloud does not say when to come back


class JumpCloudSettings(Strict):
    """What is special to a JumpCloud organisation."""

    url: str = Field(
        default="https://console.jumpcloud.com", description="the console's address; EU: console.eu.jumpcloud.com"
    )
    api_key: SecretRef = Field(description="API key of an administrator with the role `Read Only`")
    org_id: str | None = Field(default=None, description="organisation id, for keys of multi-tenant administrators")
    proxy: str | None = None
    ca_bundle: str | None = None
    rate: float | None = Field(default=None, gt=0, description="requests per second; default: as fast as it answers")


@source
class JumpCloud:
    """One organisation. Pages are turned by rows to skip, in order of ids, so that what is written meanwhile shows."""

    Settings: ClassVar[type[BaseModel]] = JumpCloudSettings
    needs: ClassVar[tuple[str, ...]] = ("API key of an administrator with the role `Read Only`",)

    def __init__(self, settings: JumpCloudSettings, context: SourceContext) -> None:
        self.settings = settings
        self._place: dict[str, Any] = {"tenant": context.tenant}
        key = context.secrets["api_key"]
        self._http = Http(
            settings.url,
            place=self._place,
            credential=api_key(key),
            headers={"x-org-id": settings.org_id} if settings.org_id else {},
            secrets=[key],
            throttling=Throttling(classify=by_status(429), first_seconds=FIRST_SECONDS),
            ca_bundle=settings.ca_bundle,
            proxy=settings.proxy,
            transport=context.transport,
            rate=settings.rate,
        )

    def accounts(self) -> Iterator[Page]:
        """Every user, staged and suspended ones too."""
        fields = {"sort": "_id", "fields": " ".join(FIELDS)}
        for turn in self._counted("api/systemusers", "_id", fields):
            yield page_of("accounts", turn, to_account, key="_id")

    def groups(self) -> Iterator[Page]:
        """Every user group, each page followed by the direct members of its groups."""
        for turn in self._counted("api/v2/usergroups", "id", {"sort": "id"}, needs_total=False):
            page = page_of("groups", turn, to_group)
            yield page
            groups = [str(row["native_id"]) for row in page.rows if isinstance(row, Mapping)]
            for group, turns in begun(groups, self._members):
                for each in turns:
                    yield edges_of(group, each, to_member)

    def memberships(self) -> Iterator[Page]:
        """Nothing: groups bring their members along."""
        yield from ()

    def one(self, native_id: str) -> Iterator[Page]:
        """The user as they are now. Not found proves nothing."""
        query = urlencode({"fields": " ".join(FIELDS)})
        answer = self._http.request("GET", f"api/systemusers/{quote(native_id, safe='')}?{query}", ok=(200, 400, 404))
        if answer.status == 200:
            yield page_of("accounts", Turn([answer.json()]), to_account, key="_id")

    def check(self) -> Iterator[Finding]:
        """Whether users and groups may be read, and what a full read will cost."""
        counts: dict[str, int] = {}
        for what, path in (("users", "api/systemusers"), ("groups", "api/v2/usergroups")):
            try:
                answer = self._http.request("GET", f"{path}?limit=1&skip=0")
                rows, total = _rows(answer, self._place)
            except OnefoldError as error:
                yield Finding("error", what, error.problem, error.remedy or "")
                continue
            counts[what] = total if total is not None else len(rows)
            many = "some" if total is None and rows else f"{counts[what]}"
            yield Finding("ok" if counts[what] else "warning", what, f"{many} may be read")
        text = (
            "a JumpCloud key may do what its administrator may; the role `Read Only` is enough, any other is too much"
        )
        yield Finding("ok", "permission", text)
        requests = math.ceil(counts.get("users", 0) / PAGE) + math.ceil(counts.get("groups", 0) / PAGE)
        yield Finding("ok", "cost", f"a full read takes at least {requests + counts.get('groups', 0)} requests")

    def close(self) -> None:
        """Lets go of connections."""
        self._http.close()

    def _members(self, group: str) -> Iterator[Turn]:
        path = f"api/v2/usergroups/{quote(group, safe='')}/members"
        return self._counted(path, None, {}, needs_total=False)

    def _counted(
        self, path: str, key: str | None, query: Mapping[str, str], *, needs_total: bool = True
    ) -> Iterator[Turn]:
        def fetch(start: int) -> Turn:
            given = urlencode({"limit": PAGE, "skip": start, **query})
            rows, total = _rows(self._http.request("GET", f"{path}?{given}"), self._place)
            return Turn(rows, total=total)

        def id_of(row: Any) -> str | None:
            found = row.get(key) if key else (row.get("to") or {}).get("id")
            return found if isinstance(found, str) else None

        return counted(fetch, what=f"/{path}", id_of=id_of, parameter="skip", needs_total=needs_total, size=PAGE)


def _rows(answer: Answer, place: Mapping[str, Any]) -> tuple[list[Any], int | None]:
    """Rows and count of a listing: an envelope in version 1, a bare list with a header in version 2."""
    body = answer.json()
    total = number(answer.headers.get("x-total-count"))
    rows = body
    if isinstance(body, dict):
        rows, said = body.get("results"), body.get("totalCount")
        total = float(said) if isinstance(said, int) and not isinstance(said, bool) else None
    if not isinstance(rows, list):
        raise TerminalError(
            f"{answer.what} gave no list", remedy="`url` must be the console's address, such as the default", **place
        )
    return rows, None if total is None else int(total)
