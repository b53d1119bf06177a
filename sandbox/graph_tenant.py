"""One Entra tenant inside the Graph stand-in: users, groups, direct members, the bin, and what changed when. No HTTP here."""

from __future__ import annotations

import base64
import uuid
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sandbox.seen import Seen, SeenUser, guid

Kind = Literal["users", "groups"]
CREATED = "2024-03-01T08:00:00Z"
BASIC = ("displayName", "givenName", "surname", "mail", "userPrincipalName", "id")  # what User.ReadBasic.All shows


@dataclass
class GraphTenant:
    """`version` counts every change. `changed` says when an object changed last, `gone` when and why it went.

    `members`: group id → member id → type. `edges`: when a membership last came (False) or went (True). Objects that were
    there from the start have version 0.
    """

    tenant_id: str
    name: str
    domain: str
    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    groups: dict[str, dict[str, Any]] = field(default_factory=dict)
    members: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    bin: dict[str, tuple[Kind, dict[str, Any]]] = field(default_factory=dict)
    apps: dict[str, dict[str, Any]] = field(default_factory=dict)  # service principals with `assigned` principals
    version: int = 0
    changed: dict[str, int] = field(default_factory=dict)
    gone: dict[str, tuple[Kind, int, str]] = field(default_factory=dict)
    edges: dict[tuple[str, str], tuple[int, str, bool]] = field(default_factory=dict)
    reset: bool = False  # the service has lost its change log: the next delta answers 410

    def objects(self, kind: Kind) -> dict[str, dict[str, Any]]:
        """Users or groups by id."""
        return self.users if kind == "users" else self.groups

    def put(self, kind: Kind, values: Mapping[str, Any]) -> str:
        """Makes an object, or changes some of its properties; returns its id. None empties a property, it stays known."""
        native_id = str(values.get("id") or uuid.uuid4())
        self.version += 1
        self.objects(kind).setdefault(native_id, {"id": native_id, "createdDateTime": CREATED}).update(values)
        self.changed[native_id] = self.version
        return native_id

    def bind(self, group: str, member: str, *, type_: str | None = None) -> None:
        """Makes a direct membership."""
        self.version += 1
        kind = type_ or ("group" if member in self.groups else "user")
        self.members[group][member] = kind
        self.edges[group, member] = (self.version, kind, False)

    def unbind(self, group: str, member: str) -> None:
        """Ends a direct membership."""
        self.version += 1
        self.edges[group, member] = (self.version, self.members[group].pop(member), True)

    def delete(self, kind: Kind, native_id: str, *, at: str = "2026-11-24T08:00:00Z") -> None:
        """Puts an object into the bin: its memberships go, its names get its id as a prefix."""
        for group in [each for each, inside in self.members.items() if native_id in inside]:
            self.unbind(group, native_id)
        self.version += 1
        found = self.objects(kind).pop(native_id)
        if kind == "users":
            found["userPrincipalName"] = f"{native_id.replace('-', '')}{found['userPrincipalName']}"
        self.members.pop(native_id, None)
        self.bin[native_id] = (kind, {**found, "deletedDateTime": at})
        self.gone[native_id] = (kind, self.version, "changed")

    def restore(self, native_id: str) -> None:
        """Takes an object out of the bin; its memberships do not come back by themselves."""
        kind, found = self.bin.pop(native_id)
        del self.gone[native_id]
        if kind == "users":
            found["userPrincipalName"] = found["userPrincipalName"].removeprefix(native_id.replace("-", ""))
        self.put(kind, {each: value for each, value in found.items() if each != "deletedDateTime"})

    def purge(self, native_id: str) -> None:
        """Deletes an object of the bin for good."""
        kind, _ = self.bin.pop(native_id)
        self.version += 1
        self.gone[native_id] = (kind, self.version, "deleted")

    def assigned(self, app: str) -> list[dict[str, Any]]:
        """Assignments of users and groups to an app, as `appRoleAssignedTo` lists them."""
        found = self.apps[app]
        kinds = {each: "Group" if each in self.groups else "User" for each in found["assigned"]}
        return [
            {
                "id": guid(app, each),
                "appRoleId": "00000000-0000-0000-0000-000000000000",
                "createdDateTime": CREATED,
                "principalDisplayName": (self.groups.get(each) or self.users.get(each) or {}).get("displayName"),
                "principalId": each,
                "principalType": kind,
                "resourceDisplayName": found["displayName"],
                "resourceId": app,
            }
            for each, kind in kinds.items()
        ]

    def state(self) -> dict[str, Any]:
        """Everything, in an order that depends on nothing but itself."""
        return {
            "users": [self.users[each] for each in sorted(self.users)],
            "groups": [self.groups[each] for each in sorted(self.groups)],
            "edges": sorted([group, member] for group, inside in self.members.items() for member in inside),
            "bin": sorted(self.bin),
        }


def planted(seen: Seen) -> GraphTenant:
    """The tenant as Entra holds it. Ids are GUIDs made of tenant and key."""
    tenant = GraphTenant(guid(seen.tenant, "tenant"), seen.tenant, seen.domain)
    for each in seen.users:
        native_id = guid(seen.tenant, each.key)
        tenant.users[native_id] = user(each, native_id, seen.domain)
    for group in seen.groups:
        native_id = guid(seen.tenant, "group", group.key)
        tenant.groups[native_id] = {
            "id": native_id,
            "displayName": group.name,
            "description": f"Members of {group.name}",
            "groupTypes": [],
            "mailEnabled": False,
            "securityEnabled": True,
            "createdDateTime": CREATED,
        }
        inside = tenant.members[native_id]
        inside.update((guid(seen.tenant, each), "user") for each in group.users)
        inside.update((guid(seen.tenant, "group", each), "group") for each in group.groups)
    for each in seen.deleted:
        native_id = guid(seen.tenant, each.key)
        tenant.users[native_id] = user(each, native_id, seen.domain)
        tenant.delete("users", native_id)
    return tenant


def user(seen: SeenUser, native_id: str, domain: str) -> dict[str, Any]:
    """A user's properties; what was never set is not there."""
    addresses = [f"SMTP:{seen.email}"] if seen.email else []
    addresses += [f"smtp:{each}" for each in seen.aliases]
    guest = seen.kind == "guest"
    outside = seen.kind != "member" and "#EXT#" in seen.user_name
    identity = {
        "signInType": "federated" if outside else "userPrincipalName",
        "issuer": "ExternalAzureAD" if outside else domain,
        "issuerAssignedId": None if outside else seen.user_name,
    }
    found: dict[str, Any] = {
        "id": native_id,
        "accountEnabled": seen.enabled,
        "businessPhones": [],
        "createdDateTime": CREATED,
        "creationType": "Invitation" if outside else None,
        "externalUserState": "Accepted" if outside else None,
        "displayName": seen.display_name,
        "employeeId": seen.employee_number,
        "givenName": seen.given_name,
        "identities": [identity],
        "jobTitle": seen.title,
        "department": seen.department,
        "companyName": seen.company,
        "mail": seen.email,
        "onPremisesImmutableId": seen.immutable_id,
        "onPremisesSyncEnabled": True if seen.immutable_id else None,
        "otherMails": [seen.private_email] if seen.private_email else [],
        "proxyAddresses": addresses,
        "surname": seen.family_name,
        "userPrincipalName": seen.user_name,
        "userType": "Guest" if guest else "Member",
    }
    return {name: value for name, value in found.items() if value is not None}


def immutable(text: str) -> str:
    """Sixteen bytes that are the same for the same text, as `onPremisesImmutableId` spells them."""
    return base64.b64encode(uuid.UUID(guid("ad", text)).bytes_le).decode()
