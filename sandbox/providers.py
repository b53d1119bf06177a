"""Stand-ins of identity providers on loopback, each on a port of its own: the demo's company seen through every vendor's eyes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Self

from sandbox.auth0 import Auth0
from sandbox.graph import Graph
from sandbox.jumpcloud import JumpCloud
from sandbox.onelogin import OneLogin
from sandbox.pingone import PingOne
from sandbox.seen import Seen, of_world
from sandbox.vendor import Vendor
from sandbox.wire import Server
from sandbox.world import company


def tenants(seed: int) -> list[Seen]:
    """The two tenants of the demo's company."""
    world = company(seed)
    return [of_world(world, "corp"), of_world(world, "acquired")]


class Providers:
    """Every vendor's stand-in, in threads of this process; everything is forgotten at the end.

    Port 0: any free ones, else the first vendor gets it and the others the next ones. Fault rules name a vendor by its kind.
    """

    def __init__(
        self, seen: Iterable[Seen], faults: Iterable[Mapping[str, Any]] = (), port: int = 0, **more: Any
    ) -> None:
        """`more` goes to the vendors: `graph={"quirks": …, "units": …}`."""
        rules, known = list(faults), list(seen)
        self.graph = Graph(known, faults=rules, **more.get("graph", {}))
        self.all: dict[str, Vendor] = {"graph": self.graph}
        for other in (OneLogin, JumpCloud, PingOne, Auth0):
            self.all[other.kind] = other(known, faults=rules, **more.get(other.kind, {}))
        self._port = port
        self._servers: list[Server] = []

    def __enter__(self) -> Self:
        """Listens; from now on each has a `url` and answers."""
        for place, vendor in enumerate(self.all.values()):
            server = Server(vendor.answer, self._port + place if self._port else 0)
            vendor.url = f"http://127.0.0.1:{server.port}"
            server.start()
            self._servers.append(server)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each in self._servers:
            each.stop()
        self._servers.clear()

    def announcement(self) -> dict[str, dict[str, Any]]:
        """`{"graph": {"kind": "entra", "url", "login_url", "tenants": {name: …}}}`."""
        return {name: each.announcement() for name, each in self.all.items()}
