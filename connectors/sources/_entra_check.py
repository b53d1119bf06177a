"""What `onefold check --live` says of an Entra tenant: permissions, expiry, and what a full read will cost. Reads little, changes nothing."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from connectors.source import Finding
from core.errors import OnefoldError

if TYPE_CHECKING:
    from connectors.sources._entra_graph import GraphClient
    from connectors.sources.entra import EntraSettings

# Which permissions do what; the first of each is the least one.
USERS = ("User.Read.All", "User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All")
GROUPS = (
    "GroupMember.Read.All",
    "Group.Read.All",
    "GroupMember.ReadWrite.All",
    "Group.ReadWrite.All",
    "Directory.Read.All",
    "Directory.ReadWrite.All",
)
APPS = ("Application.Read.All", "Application.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All")
HARMLESS = frozenset({"Member.Read.Hidden", "Organization.Read.All"})
SOON_DAYS = 30
WINDOW_SECONDS = 10
SMALL, MEDIUM = (50, 3_500), (500, 5_000)  # users below which a tenant has so many units in 10 s
LARGE = 8_000
EXPIRY_UNKNOWN = "the app may not read its own registration, so the end of its secret is not known"


def findings(
    graph: GraphClient, settings: EntraSettings, now: datetime, *, select: Mapping[str, str]
) -> Iterator[Finding]:
    """Everything that can be said. An error of one question does not keep the others from being asked."""
    try:
        claims = graph.grant.claims()
    except OnefoldError as error:
        yield Finding("error", "login", error.problem, error.remedy or "")
        return
    roles = {str(each) for each in claims.get("roles", ())}
    yield from _permissions(roles, settings)
    yield from _expiry(graph, settings, roles, now)
    yield from _cost(graph, select)


def _permissions(roles: set[str], settings: EntraSettings) -> Iterator[Finding]:
    """What the token may, lacks and has too much of, by its `roles` claim."""
    wanted = {"users": USERS, "groups and members": GROUPS, **({"app assignments": APPS} if settings.app else {})}
    used: set[str] = set()
    for what, enough in wanted.items():
        held = [each for each in enough if each in roles]
        used |= set(held[:1])
        if held:
            yield Finding("ok", "permission", f"{held[0]}: {what}")
        else:
            remedy = f"Grant the application permission {enough[0]} of Microsoft Graph, with admin consent"
            yield Finding("error", "permission", f"{enough[0]} is missing: {what} cannot be read", remedy)
    if "Member.Read.Hidden" not in roles:
        text = "Member.Read.Hidden is not granted: groups with hidden membership look empty"
        yield Finding("ok", "permission", text)
    least = {each[0] for each in wanted.values()} | HARMLESS | {APPS[0]}
    for role in sorted(roles - least):
        instead = ", ".join(sorted(least & _instead(role)))
        why = f"{instead} is enough" if role in used else "nothing here needs it"
        yield Finding("warning", "permission", f"{role} is more than is needed", f"Remove {role}: {why}")


def _instead(role: str) -> set[str]:
    """The least permissions that do what this one was used for."""
    return {each[0] for each in (USERS, GROUPS, APPS) if role in each}


def _expiry(graph: GraphClient, settings: EntraSettings, roles: set[str], now: datetime) -> Iterator[Finding]:
    """When certificate or secret ends. The certificate says so itself, the secret only in the app's registration."""
    if graph.signer is not None:
        if graph.signer.ends_at is None:
            yield Finding(
                "warning", "certificate", "there is no certificate beside the key: Entra needs its thumbprint"
            )
        else:
            yield _ends("certificate", graph.signer.ends_at, now)
        return
    if not roles & set(APPS):
        yield Finding("ok", "client_secret", EXPIRY_UNKNOWN, "See Certificates & secrets of the app registration")
        return
    path = f"applications(appId='{settings.client_id}')?$select=passwordCredentials"
    try:
        found = graph.one(path).json().get("passwordCredentials", [])
    except OnefoldError as error:
        yield Finding("ok", "client_secret", f"its end is not known: {error.problem}")
        return
    ends = sorted(filter(None, (_moment(each.get("endDateTime")) for each in found)))
    if not ends:
        yield Finding("ok", "client_secret", "its end is not known: the registration lists no secret")
        return
    later = [each for each in ends if each > now]
    many = f", {len(ends)} secrets are registered" if len(ends) > 1 else ""
    yield _ends(f"client_secret{many}", later[0] if later else ends[-1], now)


def _ends(what: str, at: datetime, now: datetime) -> Finding:
    days = (at - now).days
    text = f"ends on {at:%Y-%m-%d}, in {days} days"
    if days < 0:
        return Finding("error", what, f"ended on {at:%Y-%m-%d}", "Create another one and change the config")
    if days <= SOON_DAYS:
        return Finding("warning", what, text, "Create another one now; both work until then")
    return Finding("ok", what, text)


def _cost(graph: GraphClient, select: Mapping[str, str]) -> Iterator[Finding]:
    """Requests and minutes of a full read, from one page of each round and the vendor's counts."""
    pages: dict[str, int] = {}
    seconds = 0.0
    counts: dict[str, int] = {}
    for kind in ("users", "groups"):
        try:
            count = counts[kind] = graph.count(kind) or 0
            started = time.monotonic()
            turns = list(islice(graph.round(kind, None, **{"$select": select[kind]}), 2))
            seconds = max(seconds, (time.monotonic() - started) / len(turns))
        except OnefoldError as error:
            yield Finding("error", kind, error.problem, error.remedy or "")
            return
        size = max(len(each.items) for each in turns)
        pages[kind] = len(turns) if turns[-1].body else math.ceil(count / max(1, size))
        yield Finding("ok" if count else "warning", kind, f"{count} by the vendor's count")
    requests = sum(pages.values()) + 4  # login, the bin, two counts
    units = next((most for size, most in (SMALL, MEDIUM) if counts["users"] < size), LARGE)
    paced = requests / units * WINDOW_SECONDS
    minutes = max(max(pages.values()) * seconds, paced) / 60
    text = f"about {requests} requests and {minutes:.1f} minutes, {requests} of {units} resource units in 10 s"
    yield Finding("ok", "full read", f"{text}; large groups need more pages")


def _moment(text: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text)).replace(tzinfo=None)
    except ValueError:
        return None
