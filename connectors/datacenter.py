"""What Jira and Confluence Data Center share on the wire: bearer tokens, who answered, pages that must not repeat."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from typing import Any, ClassVar

from connectors.answer import Answer
from connectors.http import Http
from connectors.target import RemoteUser, TargetContext
from core.errors import RefusedError, TerminalError, TransientError
from core.settings import SecretRef, Strict

ANONYMOUS = "anonymous"
WHO = "x-ausername"  # names the user a request was served as; a wrong token is served as anonymous, with 200


class DataCenterSettings(Strict):
    """What both products need."""

    url: str
    token: SecretRef
    page_size: int = 200
    proxy: str | None = None
    ca_bundle: str | None = None
    rate: float | None = None


class DataCenter(ABC):
    """The connection to one product. `base` is the path of its REST API below `url`."""

    # Requests a second that a node serves without being felt; where its limiter is on, its headers slow us to what it refills
    # (a public sample: a bucket of 70, 5 a second; confluence.atlassian.com/conf87, rate limiting headers).
    rate: ClassVar[float] = 20.0
    product: ClassVar[str] = ""

    def __init__(self, settings: DataCenterSettings, context: TargetContext, *, base: str) -> None:
        self.place: dict[str, Any] = {"target": context.target}
        self.page_size = settings.page_size
        self._http = Http(
            settings.url.rstrip("/") + base,
            place=self.place,
            headers={"Authorization": f"Bearer {context.secrets['token']}", "X-ExperimentalApi": "opt-in"},
            ca_bundle=settings.ca_bundle,
            proxy=settings.proxy,
            transport=context.transport,
            rate=settings.rate or self.rate,
        )

    @property
    def requests(self) -> int:
        """Requests sent so far."""
        return self._http.requests

    def close(self) -> None:
        """Lets go of connections."""
        self._http.close()

    def ask(
        self,
        method: str,
        path: str,
        *,
        ok: Collection[int] = (200,),
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        safe: bool | None = None,
        about: str | None = None,
    ) -> Answer:
        """One request. A 403 about one object is that object's error: rights as a whole were proven by `capabilities`."""
        answer = self._http.request(method, path, params=params, json=json, ok=(*ok, 403) if about else ok, safe=safe)
        if answer.headers.get(WHO, "").lower() == ANONYMOUS:
            raise RefusedError(
                f"{answer.what} was answered to nobody (X-AUSERNAME: anonymous)",
                field="token",
                remedy="The token is wrong, expired or revoked; make a new one",
                **self.place,
            )
        if answer.status == 403 and 403 not in ok:
            raise TerminalError(
                f"{answer.what} answered 403: {answer.message}",
                status=403,
                object=about,
                remedy="Its directory is read-only, or it belongs to a system administrator: change it where it lives",
                **self.place,
            )
        return answer

    @abstractmethod
    def user(self, *, remote_id: str | None = None, user_name: str | None = None) -> RemoteUser | None:
        """One user; each product has its own words for it."""

    def thing(self, answer: Answer) -> dict[str, Any]:
        """The object in an answer. TransientError when it is none."""
        body = answer.json()
        if not isinstance(body, dict):
            raise TransientError(
                f"{answer.what} gave no object", remedy=f"Check url: is it {self.product}'s?", **self.place
            )
        return body

    def name_of(self, user: RemoteUser) -> str:
        """The user name, asked for where it is not known. TerminalError when the user is gone."""
        if name := user.values.get("user_name"):
            return name
        found = self.user(remote_id=user.remote_id)
        if found is None or not found.values.get("user_name"):
            raise TerminalError("is gone", object=user.remote_id, remedy="Run `onefold reconcile`", **self.place)
        return str(found.values["user_name"])

    def rejected(self, answer: Answer, label: str) -> TerminalError:
        """What to raise for an object that the product will never take."""
        return TerminalError(
            f"{answer.what} answered {answer.status}: {answer.message}",
            status=answer.status,
            object=label,
            remedy=f"Read {self.product}'s words; mend the map, or the user where it lives",
            **self.place,
        )

    def listed(self, value: object, what: str) -> list[dict[str, Any]]:
        """A list of objects out of an answer. TransientError when it is none."""
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            raise TransientError(f"{what} gave no list", remedy="Try again later", **self.place)
        return value

    def fresh(self, ids: Iterable[str], seen: set[str], what: str) -> None:
        """Adds ids to `seen`. TransientError when one came before: pages overlap or run in a circle, so others are missing."""
        for each in ids:
            if each in seen:
                raise TransientError(
                    f"{what} gave {each} twice: its pages overlap, so some are missing",
                    remedy="Read it again when nobody changes users there",
                    **self.place,
                )
            seen.add(each)

    def short(self, what: str, received: int, total: int) -> TransientError:
        """What to raise for a listing that ended before its total."""
        return TransientError(
            f"{what} ended after {received} of {total}",
            remedy="Read it again; nothing is concluded from it",
            **self.place,
        )
