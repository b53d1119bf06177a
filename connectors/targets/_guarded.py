"""What both Data Center targets must never get wrong: whom nobody may touch, whose fault a refusal is, which answer is no verdict."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from connectors.answer import Answer
from connectors.datacenter import DataCenter, DataCenterSettings
from connectors.source import Finding
from connectors.target import RemoteGroup, RemotePage, TargetContext
from core.errors import RefusedError, TerminalError, TransientError
from core.names import fold

NO_LICENCE = 402  # Confluence's word for "no seat left"; nothing that takes a seat will pass until a human acts
OWN_ACCOUNT = "Onefold's own account"


class Guarded(DataCenter):
    """A connection that knows its administrators. Used by several threads at once."""

    def __init__(self, settings: DataCenterSettings, context: TargetContext, *, base: str) -> None:
        super().__init__(settings, context, base=base)
        self._admin_lock = threading.Lock()
        self._admins: frozenset[str] | None = None

    # --- what each product fills in

    def admin_groups(self) -> Iterable[RemoteGroup]:
        """The groups that grant administration, as far as they exist."""
        raise NotImplementedError(self.product)

    def members(self, group: RemoteGroup) -> Iterator[RemotePage]:
        """Remote ids of the members."""
        raise NotImplementedError(self.product)

    def prove(self) -> None:
        """One read that only an administrator may do. RefusedError when we are none."""
        raise NotImplementedError(self.product)

    # --- what they share

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
        """One request; `about` names the object it is about, in every error.

        403 about one object is that object's error (its directory is read-only) while we are administrators, and
        RefusedError when we are none any more: else a revoked right would quarantine everybody. 402 is RefusedError. A web
        page with 4xx is a proxy's, so it is TransientError and never "there is no such user".
        """
        allowed = (*ok, NO_LICENCE) if about else ok
        try:
            answer = super().ask(method, path, ok=allowed, params=params, json=json, safe=safe, about=about)
        except TerminalError as error:
            if about and error.status == 403:
                self.prove()
            if about and error.object is None:
                raise TerminalError(
                    error.problem, status=error.status, object=about, remedy=error.remedy, **self.place
                ) from error
            raise
        if answer.status == NO_LICENCE and NO_LICENCE not in ok:
            raise RefusedError(
                f"the licence has no seat left: {answer.message}",
                object=about,
                remedy="Free or buy seats",
                **self.place,
            )
        if answer.html:
            raise TransientError(
                f"{answer.what} gave a web page ({answer.status}): {answer.message}",
                object=about,
                remedy="A proxy or a login page answered; check url and proxy, and try again",
                **self.place,
            )
        return answer

    def text(self, row: Mapping[str, Any], name: str, what: str) -> str:
        """A text that every row must have. TransientError when it is missing: a row that cannot be told is not left out."""
        value = row.get(name)
        if not isinstance(value, str) or not value:
            raise TransientError(
                f"{what} gave a row without {name}", field=name, remedy="Read it again later", **self.place
            )
        return value

    def administrators(self) -> frozenset[str]:
        """Remote ids of the members of groups that grant administration, read once.

        The other threads wait for the reading: a set that is still being filled would show an administrator as anybody.
        """
        with self._admin_lock:
            if self._admins is None:
                pages = (page for group in self.admin_groups() for page in self.members(group))
                self._admins = frozenset(key for page in pages for key in page.members)
            return self._admins

    def protection(self, remote_id: str, user_name: str, own_account: str) -> str | None:
        """Why nobody may touch that user, or None."""
        if fold(user_name) == fold(own_account):
            return OWN_ACCOUNT
        return "administrator" if remote_id in self.administrators() else None

    def holds_us(self, names: Iterable[str], own_account: str, what: str) -> None:
        """RefusedError when a listing of everybody lacks the account that asked for it: then it lacks others too."""
        if fold(own_account) not in {fold(name) for name in names}:
            raise RefusedError(
                f"{what} does not show {own_account}, who asked for it: it is not whole",
                field="users",
                remedy=f"Check {self.product}'s user directories; nothing is concluded from this listing",
                **self.place,
            )

    def blind(self, own_account: str) -> Iterator[Finding]:
        """A warning when our own rights come from a group we do not know: its other members would not be protected."""
        me = self.user(user_name=own_account)
        if me is not None and me.remote_id not in self.administrators():
            yield Finding(
                "warning",
                str(self.place["target"]),
                f"{own_account} is an administrator by none of the groups in admin_groups",
                "Add the group that makes administrators to `admin_groups`: only members of these are protected",
            )
