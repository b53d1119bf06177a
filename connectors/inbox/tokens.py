"""Bearer tokens: shown once, stored hashed, several valid at a time for one tenant. Who may use one, from where and until when."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from connectors.inbox import statements as sql
from connectors.inbox.asking import Operation
from connectors.inbox.clock import moment, stamp
from connectors.inbox.wire import dumps_text, loads

PREFIX = "ofi"  # so that a scanner of repositories and logs can know one
WARN_DAYS = (30, 14, 7, 1)
OVERLAP = timedelta(days=7)
Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Minted:
    """A token at the one moment when its text is known."""

    token_id: str
    tenant: str
    text: str
    expires_at: str | None


@dataclass(frozen=True, slots=True)
class Token:
    """What is kept of a token. Times are ISO 8601 in UTC."""

    token_id: str
    tenant: str
    networks: tuple[str, ...]
    note: str
    created_at: str
    expires_at: str | None
    revoked_at: str | None
    used_at: str | None

    def state(self, now: str) -> str:
        """valid, expired or revoked."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "valid"


@dataclass(frozen=True, slots=True)
class Expiring:
    """A token that ends soon, or has ended with no other in its place: `stage` is the smallest of 30, 14, 7, 1 days that it is within, 0 when it has ended; `last` when no other token of the tenant lives longer."""

    token_id: str
    tenant: str
    expires_at: str
    days: int
    stage: int
    last: bool

    @property
    def words(self) -> str:
        """When it ends, or that it has."""
        if self.stage:
            return f"ends on {self.expires_at[:10]}, in {self.days} days"
        return f"has ended on {self.expires_at[:10]} and no other is valid: this provider can push nothing"


def _hash(text: str) -> str:
    """sha256: 256 random bits need no slow hash, and every request pays for this one."""
    return hashlib.sha256(text.encode()).hexdigest()


def _split(text: str) -> str | None:
    """The part by which a token is looked up; None when it has not the form of one."""
    parts = text.split("_")
    return parts[1] if len(parts) == 3 and parts[0] == PREFIX and parts[1].isalnum() else None


def mint(
    tenant: str,
    *,
    now: datetime,
    expires: timedelta | None = None,
    networks: Sequence[str] = (),
    note: str = "",
) -> Operation[Minted]:
    """Makes a token. ValueError when a network is none."""
    lookup, secret = secrets.token_hex(6), secrets.token_hex(32)
    text = f"{PREFIX}_{lookup}_{secret}"
    named = [str(ip_network(each.strip(), strict=False)) for each in networks]
    token_id, until = f"t{uuid.uuid4().hex[:11]}", stamp(now + expires) if expires is not None else None
    row = (token_id, tenant, lookup, _hash(text), dumps_text(named), note, stamp(now), until)
    yield sql.TOKEN_ADD, row
    return Minted(token_id, tenant, text, until)


def all_tokens(tenant: str | None = None) -> Operation[list[Token]]:
    """Every token ever made, of one tenant or of all; never the text nor its hash."""
    rows = yield sql.TOKENS, ()
    made = [Token(row[0], row[1], tuple(loads(row[2])), *row[3:]) for row in rows]
    return [each for each in made if tenant is None or each.tenant == tenant]


def rotate(
    tenant: str,
    *,
    now: datetime,
    overlap: timedelta = OVERLAP,
    expires: timedelta | None = None,
    networks: Sequence[str] | None = None,
    note: str = "",
) -> Operation[tuple[Minted, list[str]]]:
    """A fresh token; those valid until now end after the overlap. Networks are taken over from the newest unless given."""
    at = stamp(now)
    held = [each for each in (yield from all_tokens(tenant)) if each.state(at) == "valid"]
    inherited = held[-1].networks if held else ()
    chosen = inherited if networks is None else networks
    made = yield from mint(tenant, now=now, expires=expires, networks=chosen, note=note)
    until = stamp(now + overlap)
    for each in held:
        yield sql.TOKEN_EXPIRE, (until, each.token_id, until)
    return made, [each.token_id for each in held]


def revoke(tenant: str, token_id: str | None, *, now: datetime) -> Operation[list[str]]:
    """Ends one token of the tenant, or all; gives the ids that were ended."""
    held = yield from all_tokens(tenant)
    chosen = [each.token_id for each in held if each.revoked_at is None and token_id in {None, each.token_id}]
    for each in chosen:
        yield sql.TOKEN_REVOKE, (stamp(now), each)
    return chosen


@dataclass(frozen=True, slots=True)
class Bearer:
    """A token that was accepted."""

    token_id: str
    tenant: str


def verify(text: str, *, address: str, now: str) -> Operation[Bearer | None]:
    """Whose token it is, or None: unknown, wrong, revoked, expired or from another network, which nobody is told apart."""
    lookup = _split(text)
    rows = [] if lookup is None else (yield sql.TOKEN_FIND, (lookup,))
    given = _hash(text)
    found = None
    for token_id, tenant, kept, networks, expires_at, revoked_at in rows:
        right = hmac.compare_digest(kept, given)
        usable = revoked_at is None and (expires_at is None or expires_at > now)
        if right and usable and allowed(networks, address):
            found = Bearer(token_id, tenant)
    return found


def allowed(networks: str, address: str) -> bool:
    """Whether an address lies in one of the networks (a JSON list; an empty one allows every address)."""
    named = _networks(networks)
    if not named:
        return True
    here = to_address(address)
    return here is not None and any(here.version == each.version and here in each for each in named)


@lru_cache(maxsize=256)
def _networks(text: str) -> tuple[Network, ...]:
    return tuple(ip_network(each) for each in loads(text))


def to_address(text: str):  # type: ignore[no-untyped-def]  # noqa: ANN201 - ipaddress has no public name for its union
    """The address, an IPv4 one that came over IPv6 as IPv4; None when it is none (a Unix socket)."""
    try:
        made = ip_address(text)
    except ValueError:
        return None
    return getattr(made, "ipv4_mapped", None) or made


def expiring(tokens: Sequence[Token], now: datetime) -> list[Expiring]:
    """Valid tokens that end within 30 days, and of tenants without any valid one the newest that ended within 30; the soonest first.

    Rotated ones whose successor lives longer are not `last`.
    """
    at = stamp(now)
    valid = [each for each in tokens if each.state(at) == "valid"]
    found = _ended(tokens, {each.tenant for each in valid}, at)
    for each in valid:
        if each.expires_at is None:
            continue
        left = moment(each.expires_at) - moment(at)
        stage = min((days for days in WARN_DAYS if left <= timedelta(days=days)), default=None)
        if stage is not None:
            others = [other.expires_at for other in valid if other.tenant == each.tenant and other is not each]
            last = not any(until is None or until > each.expires_at for until in others)
            found.append(Expiring(each.token_id, each.tenant, each.expires_at, left.days, stage, last))
    return sorted(found, key=lambda each: (each.expires_at, each.token_id))


def _ended(tokens: Sequence[Token], served: set[str], at: str) -> list[Expiring]:
    """Per tenant that no valid token is left to: the one that ended last, unless it was revoked or that is long ago."""
    newest: dict[str, tuple[str, Token]] = {}
    for each in tokens:
        if each.expires_at is not None and each.state(at) == "expired" and each.tenant not in served:
            newest[each.tenant] = max(
                newest.get(each.tenant, ("", each)), (each.expires_at, each), key=lambda pair: pair[0]
            )
    ages = [(moment(at) - moment(until), until, each) for until, each in newest.values()]
    return [
        Expiring(each.token_id, each.tenant, until, -age.days, 0, True)
        for age, until, each in ages
        if age <= timedelta(days=WARN_DAYS[0])
    ]
