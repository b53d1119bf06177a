"""Addresses of the inbox: `/scim/v2`, `/scim/v2/{tenant}` and the alias of a marketplace app, and what is below them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from connectors.inbox.exchange import Request
from connectors.inbox.schema import Kind
from core.settings import NAME_PATTERN

PREFIXES = ("/scim/v2", "/plugins/servlet/usersync/scim")
RESOURCES: dict[str, Kind] = {"Users": "User", "Groups": "Group"}
DISCOVERY = ("ServiceProviderConfig", "ResourceTypes", "Schemas")
OTHERS = ("Bulk", "Me", ".search")
SPEAKING = frozenset({*RESOURCES, ".search"})  # endpoints whose bodies mean something
SEGMENT = re.compile(NAME_PATTERN)
HOST = re.compile(r"[A-Za-z0-9.\-:\[\]]{1,255}")


@dataclass(frozen=True, slots=True)
class Route:
    """`prefix` and `segment` as asked; `name` Users, Groups, a discovery document or another endpoint; `rest` what follows, None for the collection."""

    prefix: str
    segment: str | None
    name: str
    rest: str | None

    @property
    def template(self) -> str:
        """The route without ids, for the access log."""
        if self.rest is None or self.rest == ".search":
            return f"/{self.name}" + (f"/{self.rest}" if self.rest else "")
        return f"/{self.name}/{{id}}"


def route(path: str) -> Route | None:
    """The route of a path, or None."""
    for prefix in PREFIXES:
        if path.startswith(prefix + "/"):
            return _below(prefix, path[len(prefix) + 1 :].rstrip("/").split("/"))
    return None


def _below(prefix: str, parts: list[str]) -> Route | None:
    segment = None
    if parts and parts[0] not in {*RESOURCES, *DISCOVERY, *OTHERS}:
        if len(parts) < 2 or not SEGMENT.match(parts[0]):
            return None
        segment, *parts = parts
    if len(parts) > 2 or not parts or parts[0] not in {*RESOURCES, *DISCOVERY, *OTHERS}:
        return None
    rest = parts[1] if len(parts) == 2 and parts[1] else None
    return Route(prefix, segment, parts[0], rest)


def base_url(request: Request, where: Route, public_url: str | None) -> str:
    """What stands before `/Users` in the addresses that we give out: as the client has asked, or as the config says."""
    path = where.prefix + (f"/{where.segment}" if where.segment else "")
    if public_url is not None:
        return public_url.rstrip("/") + path
    host = request.headers.get("host", "")
    return f"{request.scheme}://{host if HOST.fullmatch(host) else 'localhost'}{path}"
