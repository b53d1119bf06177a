"""Reads a tenant that pushes SCIM to us, from the inbox's own store. The service that it pushes to is in `connectors/inbox`."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, model_validator

from connectors.inbox.database import ADDRESS, holds_password, malformed
from connectors.inbox.reading import Snapshot
from connectors.inbox.records import Record
from connectors.inbox.rules import Marks
from connectors.inbox.schema import ENTERPRISE, SHAPES
from connectors.inbox.stores import beside, is_there, where
from connectors.inbox.tokens import all_tokens, expiring
from connectors.scim_records import USER_TYPES, Odd, to_account, to_group
from connectors.source import Finding, Object, Page, Rejected, Row, SourceContext, source
from core.errors import RefusedError, TerminalError, TransientError
from core.settings import MAY_REFER, Strict

FILLING = "the inbox is filling: its first load may not be over, so it removes nobody until `onefold inbox seal {}`"


def _store(value: str) -> str:
    if ADDRESS.match(value) and malformed(value):
        raise ValueError("is no address of PostgreSQL; write postgresql://user@host/database, a secret as env:NAME")
    if ADDRESS.match(value) and holds_password(value):
        raise ValueError(
            "a literal secret is refused; write env:NAME, file:PATH or prefect:BLOCK and put the address there"
        )
    if "://" in value and not ADDRESS.match(value):
        raise ValueError("is no address of PostgreSQL; write postgresql://user@host/database, or name a file")
    return value


class InboxSettings(Strict):
    """What is special to a tenant that pushes."""

    store: Annotated[str, AfterValidator(_store)] | None = Field(
        default=None,
        description="PostgreSQL by reference (env:, file:, prefect:) or by an address without a password; or a file, relative to the config; default: a file in the state folder",
        json_schema_extra=MAY_REFER,
    )
    shared: bool = Field(default=False, description="several providers use this one credential; tell them apart below")
    tenants: dict[str, Marks] = Field(
        default_factory=dict,
        description="with shared: names of other tenants of kind inbox, and how their requests are recognised",
    )
    external_id: Literal["ignore", "immutable_id", "employee_number"] = Field(
        default="ignore", description="what externalId is here; unless ignored it joins accounts across tenants"
    )
    user_types: dict[str, Literal["member", "guest", "external"]] = Field(
        default_factory=dict, description="meaning of userType, beside the usual words"
    )

    @model_validator(mode="after")
    def _shared_with_somebody(self) -> Self:
        if self.shared and not self.tenants:
            raise ValueError(
                "shared needs tenants; name the tenants of kind inbox behind this credential, and their marks"
            )
        if self.tenants and not self.shared:
            raise ValueError("tenants are only for a shared credential; write shared: true")
        return self


@source
class Inbox:
    """What was pushed, at one consistent moment. Deleted records and removed edges are read as explicit evidence."""

    Settings: ClassVar[type[BaseModel]] = InboxSettings
    knows_all: ClassVar[bool] = False  # it was told of some; whom it was never told of is not absent
    needs: ClassVar[tuple[str, ...]] = (
        "a token by `onefold token new TENANT` in the provider's provisioning settings",
    )

    def __init__(self, settings: InboxSettings, context: SourceContext) -> None:
        self.settings = settings
        self._tenant = context.tenant
        self._now = context.now
        state = context.state or context.base / ".onefold"
        self._place = where(settings.store, context.secrets.get("store"), base=context.base, state=state)
        self._kinds = {**USER_TYPES, **{word.lower(): kind for word, kind in settings.user_types.items()}}
        self._snapshot: Snapshot | None = None
        self._doubt: str | None = None

    def accounts(self) -> Iterator[Page]:
        """Every user. The three listings are of one moment."""
        snapshot = self._open()
        doubts = [FILLING.format(self._tenant)] if snapshot.standing.sealed_at is None else []
        doubts += [self._doubt] if self._doubt else []
        yield Page("accounts", [], 0, warnings=doubts)
        yield from self._resources("accounts", 0, snapshot.standing.users)

    def groups(self) -> Iterator[Page]:
        """Every group."""
        yield from self._resources("groups", 0, self._open().standing.groups)

    def memberships(self) -> Iterator[Page]:
        """Every edge, removed ones too; the last page says where the next read starts."""
        yield from self._members(0)

    def one(self, native_id: str) -> Iterator[Page]:
        """The user as it was pushed last, or its tombstone."""
        with self._readable():
            for records in self._open().resources("User"):
                for each in records:
                    if each.id == native_id:
                        row = self._row("accounts", each)
                        if isinstance(row, Rejected):
                            yield Page("accounts", [], 1, rejected=[row])
                        else:
                            yield Page("accounts", [row], 1)

    def delta(self, cursor: str) -> Iterator[Page]:
        """What moved since. RefusedError for another store's number, one that is ahead of ours, or one whose tombstones are forgotten."""
        snapshot = self._open()
        store_id, _, number = cursor.rpartition(":")
        standing = snapshot.standing
        after = int(number) if number.isdecimal() else -1
        if store_id != snapshot.store_id or after > standing.seq or after < 0:
            self._doubt = (
                "the inbox store is not the one that was read before, or an older copy of it: nobody is absent by it"
            )
            raise self._refused("the cursor is not one of this store", "Nothing to do: everything is read")
        if after < standing.pruned_seq:
            raise self._refused("tombstones since the last read are forgotten", "Nothing to do: everything is read")
        if standing.sealed_at is None:
            yield Page("accounts", [], 0, warnings=[FILLING.format(self._tenant)])
        yield from self._resources("accounts", after, None)
        yield from self._resources("groups", after, None)
        yield from self._members(after)

    def close(self) -> None:
        """Lets go of the store."""
        if self._snapshot is not None:
            self._snapshot.close()
            self._snapshot = None

    def check(self) -> Iterator[Finding]:
        """Whether it was pushed to, whether it is filling, external ids that repeat, records that two providers want, tokens that end."""
        with self._readable():
            snapshot = self._open()
            standing = snapshot.standing
            yield Finding("ok", "store", f"{standing.users} users, {standing.groups} groups, event {standing.seq}")
            if standing.sealed_at is None:
                yield Finding(
                    "warning", "store", "is filling", f"Run `onefold inbox seal {self._tenant}` after the first load"
                )
            if repeated := snapshot.duplicates():
                many, sample = len(repeated), repeated[0][0]
                text = (
                    f"{many}{'+' if many == 20 else ''} externalId values are borne by several users, such as {sample}"
                )
                yield Finding("warning", "externalId", text, "Map externalId to an immutable id of the provider")
            users, groups = snapshot.contested()
            if users or groups:
                text = f"two providers want {users} users and {groups} groups; what one takes away changes its own view only"
                yield Finding("warning", "shared", text, "Give each a segment, header, flag or network of its own")
            yield from self._tokens()

    def _tokens(self) -> Iterator[Finding]:
        with beside(self._place, frozen=True) as store:
            now = self._now.replace(tzinfo=UTC)
            tokens = store.do(all_tokens(self._tenant))
        for each in expiring(tokens, now):
            level: Literal["warning", "error"] = "error" if each.last and each.stage <= 1 else "warning"
            remedy = f"Run `onefold token rotate {self._tenant}`" if each.last else ""
            yield Finding(level, "token", f"{each.token_id} {each.words}", remedy)

    def _resources(self, name: Object, after: int, claimed: int | None) -> Iterator[Page]:
        live = 0
        with self._readable():
            for records in self._open().resources("User" if name == "accounts" else "Group", after):
                live += sum(each.deleted_at is None for each in records)
                made = [self._row(name, each) for each in records]
                rejected = [each for each in made if isinstance(each, Rejected)]
                rows = [each for each in made if not isinstance(each, Rejected)]
                yield Page(name, rows, len(records), rejected=rejected)
        if claimed is not None and live != claimed:
            remedy = f"`onefold inbox rebuild {self._tenant}` says what is wrong"
            yield Page(name, [], 0, gaps=[f"the store counts {claimed} {name} and holds {live}: {remedy}"])

    def _row(self, name: Object, stored: Record) -> Row | Rejected:
        content = stored.content()
        if not stored.id:
            return Rejected(name, None, "id", "is empty", content)
        if stored.deleted_at is not None:
            return {"native_id": stored.id, "tombstone": True}
        try:
            if name == "groups":
                return to_group({"id": stored.id, **content})
            return self._account(stored, content)
        except Odd as odd:
            return Rejected(name, stored.id, odd.name, odd.problem, content)

    def _account(self, stored: Record, content: dict[str, Any]) -> Row:
        cleared = stored.cleared_names()
        user = spoken(content, cleared)
        meta = {"created": stored.created_at, "lastModified": stored.changed_at}
        whole = {"id": stored.id, **user, "meta": meta}
        row = to_account(whole, user_types=self._kinds, external_id=self.settings.external_id)
        for column, part in (("given_name", "givenName"), ("family_name", "familyName")):
            if part not in user.get("name", {}):
                row.pop(column, None)  # `name` was spoken of, this part of it never
        return row

    def _members(self, after: int) -> Iterator[Page]:
        snapshot = self._open()
        with self._readable():
            for edges in snapshot.members(after):
                rows: list[Row] = [
                    {"group_id": group, "member_id": member, "member_kind": kind, "removed": bool(removed)}
                    for group, member, kind, removed in edges
                    if after or not removed
                ]
                yield Page("memberships", rows, len(rows))
        yield Page("memberships", [], 0, cursor_after=f"{snapshot.store_id}:{snapshot.standing.seq}")

    def _open(self) -> Snapshot:
        if self._snapshot is None:
            with self._readable():
                if not is_there(self._place):
                    raise self._refused("nothing was pushed yet: there is no inbox store", "Start `onefold serve`")
                try:
                    self._snapshot = Snapshot(self._place, self._tenant)
                except KeyError as error:
                    raise self._refused("nothing was pushed to this tenant yet", "Start `onefold serve`") from error
        return self._snapshot

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise TerminalError(
                f"the inbox store cannot be read: {error}", tenant=self._tenant, remedy="Restore it from a backup"
            ) from error
        except TransientError as error:
            if error.tenant is not None:
                raise
            raise TransientError(error.problem, tenant=self._tenant, remedy=error.remedy) from error

    def _refused(self, problem: str, remedy: str) -> RefusedError:
        return RefusedError(problem, tenant=self._tenant, remedy=remedy)


def spoken(content: dict[str, Any], cleared: set[str]) -> dict[str, Any]:
    """The user with an explicit null for everything that was cleared, so that *null* and *absent* stay apart."""
    made = dict(content)
    extension = dict(content.get(ENTERPRISE, {}))
    for key in cleared:
        name, _, part = key.partition(".")
        if name.lower() in SHAPES["User"].extension:
            extension.setdefault(name, None)
        elif part:
            made[name] = {part: None, **made.get(name, {})}
        else:
            made.setdefault(name, None)
    return {**made, ENTERPRISE: extension} if extension else made
