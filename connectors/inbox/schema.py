"""The attributes that the inbox knows (RFC 7643 sections 4.1 to 4.3), and the discovery documents made from them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from core.model import JSON

CORE_USER = "urn:ietf:params:scim:schemas:core:2.0:User"
CORE_GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:Schema"
RESOURCE_TYPE = "urn:ietf:params:scim:schemas:core:2.0:ResourceType"
PROVIDER = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"

Kind = Literal["User", "Group"]
Type = Literal["string", "boolean", "complex", "reference", "dateTime", "binary"]


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute with the characteristics of RFC 7643 section 7; `parts` are its sub-attributes."""

    name: str
    type: Type = "string"
    multi: bool = False
    required: bool = False
    case_exact: bool = False
    mutability: Literal["readWrite", "readOnly", "writeOnly", "immutable"] = "readWrite"
    returned: Literal["default", "always", "never"] = "default"
    uniqueness: Literal["none", "server"] = "none"
    parts: tuple[Attribute, ...] = ()
    references: tuple[str, ...] = ()
    canonical: tuple[str, ...] = ()
    by_name: dict[str, Attribute] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {part.name.lower(): part for part in self.parts})

    def part(self, name: str) -> Attribute | None:
        """The sub-attribute of that name in any case (RFC 7643 section 2.1), or None."""
        return self.by_name.get(name.lower())

    def document(self) -> dict[str, JSON]:
        """The attribute as `/Schemas` shows it."""
        shown: dict[str, JSON] = {
            "name": self.name,
            "type": self.type,
            "multiValued": self.multi,
            "description": f"RFC 7643: {self.name}",
            "required": self.required,
            "mutability": self.mutability,
            "returned": self.returned,
        }
        if self.type in {"string", "reference", "binary", "dateTime"}:
            shown["caseExact"] = self.case_exact
            shown["uniqueness"] = self.uniqueness
        if self.canonical:
            shown["canonicalValues"] = list(self.canonical)
        if self.references:
            shown["referenceTypes"] = list(self.references)
        if self.parts:
            shown["subAttributes"] = [part.document() for part in self.parts]
        return shown


def _plural(name: str, *, value: Type = "string", case_exact: bool = False) -> Attribute:
    """A multi-valued attribute with the usual parts: value, display, type, primary."""
    return Attribute(
        name,
        "complex",
        multi=True,
        parts=(
            Attribute("value", value, case_exact=case_exact, references=("external",) if value == "reference" else ()),
            Attribute("display"),
            Attribute("type"),
            Attribute("primary", "boolean"),
        ),
    )


def _texts(*names: str) -> tuple[Attribute, ...]:
    return tuple(Attribute(name) for name in names)


EXTERNAL_ID = Attribute("externalId", case_exact=True)
USER_ATTRIBUTES = (
    EXTERNAL_ID,
    Attribute("userName", required=True, uniqueness="server"),
    Attribute(
        "name",
        "complex",
        parts=_texts("formatted", "familyName", "givenName", "middleName", "honorificPrefix", "honorificSuffix"),
    ),
    *_texts("displayName", "nickName"),
    Attribute("profileUrl", "reference", case_exact=True, references=("external",)),
    *_texts("title", "userType", "preferredLanguage", "locale", "timezone"),
    Attribute("active", "boolean"),
    Attribute("password", mutability="writeOnly", returned="never", case_exact=True),
    _plural("emails"),
    _plural("phoneNumbers"),
    _plural("ims"),
    _plural("photos", value="reference", case_exact=True),
    Attribute(
        "addresses",
        "complex",
        multi=True,
        parts=(
            *_texts("formatted", "streetAddress", "locality", "region", "postalCode", "country", "type"),
            Attribute("primary", "boolean"),
        ),
    ),
    Attribute(
        "groups",
        "complex",
        multi=True,
        mutability="readOnly",
        parts=(
            Attribute("value", mutability="readOnly", case_exact=True),
            Attribute("$ref", "reference", mutability="readOnly", case_exact=True, references=("Group",)),
            Attribute("display", mutability="readOnly"),
            Attribute("type", mutability="readOnly"),
        ),
    ),
    _plural("entitlements"),
    _plural("roles"),
    _plural("x509Certificates", value="binary", case_exact=True),
)
ENTERPRISE_ATTRIBUTES = (
    *_texts("employeeNumber", "costCenter", "organization", "division", "department"),
    Attribute(
        "manager",
        "complex",
        parts=(
            Attribute("value", case_exact=True),
            Attribute("$ref", "reference", case_exact=True, references=("User",)),
            Attribute("displayName", mutability="readOnly"),
        ),
    ),
)
GROUP_ATTRIBUTES = (
    EXTERNAL_ID,
    Attribute("displayName", required=True, uniqueness="server"),
    Attribute(
        "members",
        "complex",
        multi=True,
        parts=(
            Attribute("value", mutability="immutable", case_exact=True),
            Attribute("type", mutability="immutable", canonical=("User", "Group")),
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Shape:
    """All that a resource type may hold; `core` and `extension` map lower-case names to attributes."""

    kind: Kind
    urn: str
    endpoint: str
    core: dict[str, Attribute]
    extension: dict[str, Attribute]

    def attributes(self) -> Iterator[Attribute]:
        """Core attributes in the order of the RFC."""
        yield from self.core.values()


def _named(attributes: tuple[Attribute, ...]) -> dict[str, Attribute]:
    return {each.name.lower(): each for each in attributes}


SHAPES: dict[Kind, Shape] = {
    "User": Shape("User", CORE_USER, "/Users", _named(USER_ATTRIBUTES), _named(ENTERPRISE_ATTRIBUTES)),
    "Group": Shape("Group", CORE_GROUP, "/Groups", _named(GROUP_ATTRIBUTES), {}),
}


def schemas(base: str) -> list[dict[str, JSON]]:
    """The `/Schemas` resources. `externalId` is common to all resources and stands in no schema (RFC 7643 section 3.1)."""
    return [
        {
            "schemas": [SCHEMA],
            "id": urn,
            "name": name,
            "description": text,
            "attributes": [each.document() for each in attributes if each is not EXTERNAL_ID],
            "meta": {"resourceType": "Schema", "location": f"{base}/Schemas/{urn}"},
        }
        for urn, name, text, attributes in (
            (CORE_USER, "User", "User Account", USER_ATTRIBUTES),
            (ENTERPRISE, "EnterpriseUser", "Enterprise User", ENTERPRISE_ATTRIBUTES),
            (CORE_GROUP, "Group", "Group", GROUP_ATTRIBUTES),
        )
    ]


def resource_types(base: str) -> list[dict[str, JSON]]:
    """The `/ResourceTypes` resources."""
    user: dict[str, JSON] = {
        "schemas": [RESOURCE_TYPE],
        "id": "User",
        "name": "User",
        "endpoint": "/Users",
        "description": "User Account",
        "schema": CORE_USER,
        "schemaExtensions": [{"schema": ENTERPRISE, "required": False}],
        "meta": {"resourceType": "ResourceType", "location": f"{base}/ResourceTypes/User"},
    }
    group: dict[str, JSON] = {
        "schemas": [RESOURCE_TYPE],
        "id": "Group",
        "name": "Group",
        "endpoint": "/Groups",
        "description": "Group",
        "schema": CORE_GROUP,
        "meta": {"resourceType": "ResourceType", "location": f"{base}/ResourceTypes/Group"},
    }
    return [user, group]


def provider_config(base: str, *, page: int, most: int, cursor_seconds: int) -> dict[str, JSON]:
    """The `/ServiceProviderConfig` document, with the pagination object of RFC 9865 section 4."""
    return {
        "schemas": [PROVIDER],
        "patch": {"supported": True},
        "bulk": {"supported": False, "maxOperations": 0, "maxPayloadSize": 0},
        "filter": {"supported": True, "maxResults": most},
        "changePassword": {"supported": False},
        "sort": {"supported": False},
        "etag": {"supported": True},
        "pagination": {
            "cursor": True,
            "index": True,
            "defaultPaginationMethod": "index",
            "defaultPageSize": page,
            "maxPageSize": most,
            "cursorTimeout": cursor_seconds,
        },
        "authenticationSchemes": [
            {
                "type": "oauthbearertoken",
                "name": "OAuth Bearer Token",
                "description": "One long-lived bearer token per identity provider",
                "specUri": "https://www.rfc-editor.org/info/rfc6750",
                "primary": True,
            }
        ],
        "meta": {"resourceType": "ServiceProviderConfig", "location": f"{base}/ServiceProviderConfig"},
    }
