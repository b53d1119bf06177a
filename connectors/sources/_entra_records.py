"""Users, groups and members of Microsoft Graph as canonical columns: pure conversions. How they came is not known here.

A property that was never set is left out of a delta and null in a listing; left out is *absent*, null is *null*. Values
that can never be empty (`NEVER_NULL`) and are null all the same were withheld: the credential may not see them.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import polars as pl

from connectors.source import Page, Rejected, Row
from core.frames import LANDED_MEMBERSHIP

PLAIN = {
    "userPrincipalName": "user_name",
    "mail": "email",
    "displayName": "display_name",
    "givenName": "given_name",
    "surname": "family_name",
    "employeeId": "employee_number",
    "department": "department",
    "jobTitle": "title",
    "companyName": "company",
    "preferredLanguage": "locale",
    "createdDateTime": "created_at",
    "employeeHireDate": "starts_on",
}
USER_SELECT = (
    "id",
    "accountEnabled",
    "isResourceAccount",
    "userType",
    "creationType",
    "externalUserState",
    "identities",
    "proxyAddresses",
    "otherMails",
    "onPremisesImmutableId",
    "officeLocation",
    "city",
    "businessPhones",
    "mobilePhone",
    *PLAIN,
)
GROUP_SELECT = (
    "id",
    "displayName",
    "description",
    "groupTypes",
    "mailEnabled",
    "securityEnabled",
    "isAssignableToRole",
    "members",
)
NEVER_NULL = ("userPrincipalName", "accountEnabled")
MEMBER_KINDS = {"#microsoft.graph.user": "user", "#microsoft.graph.group": "group"}  # devices, contacts, apps: nobody's
EXTERNAL = "#EXT#"
FOREIGN_ISSUERS = frozenset({"ExternalAzureAD", "MicrosoftAccount", "mail", "google.com", "facebook.com"})


class Odd(ValueError):  # noqa: N818 - one field of one record is odd; the record is set aside
    """A value that cannot be read: which field, and what is wrong with it."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name} {problem}")
        self.name, self.problem = name, problem


def to_account(user: Mapping[str, Any]) -> dict[str, object]:
    """A user (learn.microsoft.com/graph/api/resources/user) as canonical columns. Raises Odd on impossible values.

    A guest signs in elsewhere; so does an external member, whom `userType` calls a member. Their `home_email` is what their
    home knows them by.
    """
    row: dict[str, object] = {
        "native_id": user["id"],
        "deleted_at": None,
    }  # who is told of is not, or no longer, deleted
    for name, column in PLAIN.items():
        if name in user:
            row[column] = user[name]
    if "accountEnabled" in user:
        enabled = user["accountEnabled"]
        row["active"] = enabled
        row["status"] = (user.get("externalUserState") or "Enabled") if enabled else "Disabled"
    if user.get("isResourceAccount") is True:
        row["status"] = "Resource"  # a room or a calling queue: its class is told by this word (`core/classify.py`)
    if "proxyAddresses" in user:
        row["aliases"] = _aliases(user["proxyAddresses"], user.get("mail"))
    if "otherMails" in user:
        others = [each for each in _texts(user, "otherMails") if each != user.get("mail")]
        row["private_email"] = others[0] if others else None
    if "onPremisesImmutableId" in user:
        row["immutable_id"] = _immutable(user["onPremisesImmutableId"])
    for column, names in (("location", ("officeLocation", "city")), ("phone", ("businessPhones", "mobilePhone"))):
        if any(name in user for name in names):
            row[column] = _first(user, names)
    outside = _signs_in_elsewhere(user)
    if "userType" in user or outside:
        row["user_type"] = "guest" if user.get("userType") == "Guest" else "external" if outside else "member"
    if outside:
        row["home_email"] = _home_email(user)
    return row


def to_group(group: Mapping[str, Any]) -> dict[str, object]:
    """A group (learn.microsoft.com/graph/api/resources/group) as canonical columns, without its members."""
    row: dict[str, object] = {"native_id": group["id"]}
    for name, column in (("displayName", "name"), ("description", "description")):
        if name in group:
            row[column] = group[name]
    types = group.get("groupTypes") or []
    if "securityEnabled" in group or types:
        kind = "microsoft365" if "Unified" in types else "security" if group.get("securityEnabled") else "distribution"
        row["kind"] = f"{kind}, dynamic" if "DynamicMembership" in types else kind
    return row


def withheld(user: Mapping[str, Any]) -> bool:
    """Whether values of this user were kept from us: what is never empty is null, or nothing but the id came."""
    return any(name in user and user[name] is None for name in NEVER_NULL) or "userPrincipalName" not in user


def account_page(items: list[Any], *, total: int | None = None, gaps: list[str], warnings: list[str]) -> Page:
    """Users of one answer. Removed ones are tombstones, whether they lie in the bin (`changed`) or are gone for good (`deleted`)."""
    rows: list[Row] = []
    rejected: list[Rejected] = []
    kept = 0
    for user in items:
        native_id = user.get("id") if isinstance(user, dict) else None
        if not isinstance(native_id, str) or not native_id:
            rejected.append(Rejected("accounts", None, "id", "is missing", user))
        elif "@removed" in user:
            rows.append({"native_id": native_id, "tombstone": True})
        elif withheld(user):
            kept += 1
            rejected.append(Rejected("accounts", native_id, "userPrincipalName", "is withheld", user))
        else:
            try:
                rows.append(to_account(user))
            except Odd as odd:
                rejected.append(Rejected("accounts", native_id, odd.name, odd.problem, user))
    if kept:
        gaps = [
            *gaps,
            "values of users are withheld: the credential lacks User.Read.All, and nothing is read as cleared",
        ]
    return Page(
        "accounts", rows, len(items), total=total, total_lags=True, rejected=rejected, gaps=gaps, warnings=warnings
    )


def group_page(items: list[Any], *, total: int | None = None, gaps: list[str], warnings: list[str]) -> Page:
    """Groups of one answer. A group that only brings another slice of its members is no row: it was told of before."""
    rows: list[Row] = []
    rejected: list[Rejected] = []
    slices = 0
    for group in items:
        native_id = group.get("id") if isinstance(group, dict) else None
        if not isinstance(native_id, str) or not native_id:
            rejected.append(Rejected("groups", None, "id", "is missing", group))
        elif "@removed" in group:
            rows.append({"native_id": native_id, "tombstone": True})
        elif "displayName" in group:
            rows.append(to_group(group))
        else:
            slices += 1
    received = len(items) - slices
    return Page("groups", rows, received, total=total, total_lags=True, rejected=rejected, gaps=gaps, warnings=warnings)


def edge_page(items: list[Any]) -> Page:
    """The slices of members of one answer, as a frame (LANDED_MEMBERSHIP): a slice adds to what came before, or removes."""
    groups: list[str] = []
    members: list[Any] = []
    kinds: list[Any] = []
    removed: list[bool] = []
    rejected: list[Rejected] = []
    for group in items:
        inside = group.get("members@delta") if isinstance(group, dict) else None
        if not inside:
            continue
        sound = [each for each in inside if isinstance(each, dict) and isinstance(each.get("id"), str)]
        if len(sound) < len(inside):
            odd = [each for each in inside if not isinstance(each, dict) or not isinstance(each.get("id"), str)]
            rejected += [Rejected("memberships", group.get("id"), "id", "is missing", each) for each in odd]
        members += [each["id"] for each in sound]
        kinds += [each.get("@odata.type") for each in sound]
        removed += ["@removed" in each for each in sound]
        groups += [group["id"]] * len(sound)
    frame = pl.DataFrame(
        {"group_id": groups, "member_id": members, "member_kind": kinds, "removed": removed}, schema=LANDED_MEMBERSHIP
    )
    kind = pl.col("member_kind")
    ours = frame.filter(kind.is_in(list(MEMBER_KINDS))).with_columns(
        member_kind=kind.replace_strict(MEMBER_KINDS, default=None)
    )
    # A removed member without its type may have been a user or a group: either edge ends.
    untold = frame.filter(kind.is_null() & pl.col("removed"))
    either = [untold.with_columns(member_kind=pl.lit(word)) for word in ("user", "group")] if untold.height else []
    frame = pl.concat([ours, *either, frame.filter(kind.is_null() & ~pl.col("removed"))])
    return Page("memberships", frame, frame.height + len(rejected), rejected=rejected)


def _signs_in_elsewhere(user: Mapping[str, Any]) -> bool:
    """Whether another directory, a social account or a code by mail opens the door: then the record is not the person's home."""
    if EXTERNAL in str(user.get("userPrincipalName") or ""):
        return True
    if user.get("externalUserState") or user.get("creationType") == "Invitation":
        return True
    identities = user.get("identities")
    issuers = (
        [each.get("issuer") for each in identities if isinstance(each, dict)] if isinstance(identities, list) else []
    )
    return any(each in FOREIGN_ISSUERS for each in issuers)


def _home_email(user: Mapping[str, Any]) -> str | None:
    """The address at home: a mail identity, else what the user name is made of, else the address they were invited by.

    `alias_home.example#EXT#@host…`: the last underscore stands for the @, as no domain has one.
    """
    for each in user.get("identities") or []:
        if isinstance(each, dict) and each.get("issuer") == "mail" and each.get("issuerAssignedId"):
            return str(each["issuerAssignedId"])
    mail = user.get("mail")
    if isinstance(mail, str) and mail:
        return mail
    local, mark, _ = str(user.get("userPrincipalName") or "").partition(EXTERNAL)
    alias, underscore, domain = local.rpartition("_")
    return f"{alias}@{domain}" if mark and underscore and "." in domain else None


def _aliases(addresses: Any, mail: Any) -> list[str]:
    """SMTP addresses without their prefix and without the primary one; other kinds (X500, SIP) are no addresses of people."""
    if addresses is None:
        return []
    if not isinstance(addresses, list):
        raise Odd("proxyAddresses", "is no list")
    found = [each[5:] for each in addresses if isinstance(each, str) and each[:5].lower() == "smtp:"]
    return [each for each in dict.fromkeys(found) if each != mail]


def _immutable(value: Any) -> str | None:
    """`onPremisesImmutableId` where it is the base64 of 16 bytes; of cloud-only users it may be any text, which joins nobody."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise Odd("onPremisesImmutableId", "is no text")
    try:
        return value if len(base64.b64decode(value, validate=True)) == 16 else None
    except (binascii.Error, ValueError):
        return None


def _texts(user: Mapping[str, Any], name: str) -> list[str]:
    given = user[name]
    if given is None:
        return []
    if not isinstance(given, list):
        raise Odd(name, "is no list")
    return [each for each in given if isinstance(each, str)]


def _first(user: Mapping[str, Any], names: tuple[str, ...]) -> object:
    """The first value that there is; of a list its first entry."""
    for name in names:
        value = user.get(name)
        if isinstance(value, list):
            value = value[0] if value else None
        if value is not None:
            return value
    return None
