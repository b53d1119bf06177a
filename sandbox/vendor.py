"""What stand-ins of identity providers have in common: the way of a request from the door to the audit. Routes and words are the vendors' own."""

from __future__ import annotations

import json
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from sandbox.audit import Audit
from sandbox.faults import Faults, Rule, spoiled
from sandbox.wire import Answer, Request, Route, Router


class Refusal(Exception):  # noqa: N818 - an answer that is raised
    """An error answer that ends the handling of a request."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(str(answer.status))
        self.answer = answer


class Vendor(ABC):
    """A provider on loopback with any number of tenants under one base URL. Fault rules name it by `kind`."""

    kind = ""

    def __init__(self, faults: Iterable[Mapping[str, Any]] = ()) -> None:
        self.url = ""
        self.audit = Audit()
        self.faults = Faults(self.kind, faults)
        self.lock = threading.RLock()
        self._earlier: dict[str, Answer] = {}
        self._router = Router(self.routes())

    @abstractmethod
    def routes(self) -> list[Route]:
        """Every route, below the base URL, in the form that `spelled` gives."""

    @abstractmethod
    def error(self, status: int, message: str) -> Answer:
        """The vendor's error envelope."""

    @abstractmethod
    def announcement(self) -> dict[str, Any]:
        """What a config needs: URLs, tenants and credentials."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """Everything the vendor holds, by tenant."""

    def spelled(self, path: str) -> str:
        """A path as the routes write it, where a vendor has several spellings."""
        return path

    def admitted(self, request: Request, route: Route) -> tuple[str, Answer | None]:
        """Who asks, and a refusal if they may not."""
        del request, route
        return "", None

    def finished(self, request: Request, answer: Answer) -> Answer:
        """The last word on every answer: headers that all of them carry."""
        del request
        return answer

    def answer(self, request: Request) -> Answer:
        """Answers a request, and writes down that it came."""
        if request.path.startswith("/_onefold/"):
            return self._control(request)
        picked = self.faults.pick(request.method, request.path)
        early = picked and picked.when == "before"
        answer = spoiled(picked, None, error=self.error, earlier=None) if picked and early else None
        route, params, status = self._router.find(request.method, self.spelled(request.path))
        if answer is None:
            answer = self.dispatched(request, route, params, status)
            if picked and (not early or picked.fault in {"truncate", "repeat_page"}):
                answer = spoiled(picked, answer, error=self.error, earlier=self._earlier.get(request.path)) or answer
            elif not picked and self.faults.any and request.method == "GET":
                self._earlier[request.path] = answer
        self._noted(request, route, answer, picked)
        return answer

    def dispatched(self, request: Request, route: Route | None, params: Mapping[str, str], status: int) -> Answer:
        """The answer of a route, or why there is none."""
        if route is None:
            return self.finished(request, self.error(status, "Resource not found for the segment."))
        with self.lock:
            caller, refused = self.admitted(request, route)
            request = replace(request, caller=caller, params=params)
            try:
                return self.finished(request, refused or route.handler(request))
            except Refusal as refusal:
                return self.finished(request, refusal.answer)
            except (json.JSONDecodeError, UnicodeDecodeError) as error:
                return self.finished(request, self.error(400, f"Unable to read JSON request payload: {error}"))

    def inner(self, request: Request) -> Answer:
        """A request inside another one (a batch)."""
        route, params, status = self._router.find(request.method, self.spelled(request.path))
        return self.dispatched(request, route, params, status)

    def _noted(self, request: Request, route: Route | None, answer: Answer, picked: Rule | None) -> None:
        self.audit.note(
            method=request.method,
            path=request.path,
            route=route.path if route else request.path,
            status=0 if answer.broken == "reset" else answer.status,
            wrote=False,
            effect=False,
            fault=picked.fault if picked else "",
            cookie="cookie" in request.headers,
        )

    def _control(self, request: Request) -> Answer:
        match request.method, request.path.removeprefix("/_onefold/"):
            case "GET", "audit":
                return Answer(200, self.audit.report())
            case "GET", "state":
                with self.lock:
                    return Answer(200, self.state())
            case "POST", "reset-audit":
                self.audit.reset()
                return Answer(204)
            case "POST", "faults":
                try:
                    self.faults.replace(request.json() or [])
                except (TypeError, ValueError) as error:
                    return Answer(400, {"error": str(error)})
                return Answer(204)
            case method, path:
                return Answer(404, {"error": f"no {method} {path} here"})
