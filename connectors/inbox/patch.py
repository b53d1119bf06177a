"""Bodies of POST, PUT and PATCH applied to a draft (RFC 7644 sections 3.3, 3.5.1, 3.5.2), and passwords taken out of them."""

from __future__ import annotations

import json
from typing import Any

from connectors.inbox.dialects import Operation, manager_shapes_in_body, operations, to_standard, to_standard_body
from connectors.inbox.draft import Draft
from connectors.inbox.places import locate
from connectors.inbox.schema import ENTERPRISE, SHAPES, Kind
from connectors.inbox.wire import Doc, Limits, invalid


def from_body(kind: Kind, body: Doc, limits: Limits) -> Draft:
    """A new resource. ScimError 400 when a required attribute is missing or a value has the wrong type."""
    draft = Draft(kind, limits)
    draft.assign_all(to_standard_body(kind, body), add=True)
    _require(draft)
    if kind == "User":
        draft.doc.setdefault("active", True)
    return draft


def replaced(kind: Kind, before: Draft, body: Doc, limits: Limits) -> Draft:
    """A full replace: what the body leaves out counts as cleared, but `active` stays as it was, and members stay when the body does not speak of them."""
    draft = Draft(kind, limits)
    draft.assign_all(to_standard_body(kind, body), add=True)
    _require(draft)
    if "active" in before.doc:
        draft.doc.setdefault("active", before.doc["active"])
        draft.cleared.discard("active")
    draft.cleared |= (spoken(before.doc) | before.cleared) - spoken(draft.doc)
    if draft.edits:
        first, *rest = draft.edits
        draft.edits = [type(first)("replace", first.members), *rest]
    return draft


def spoken(doc: Doc) -> set[str]:
    """Keys of everything that has a value: `title`, `name.givenName`, `manager`."""
    flat = {**doc, **doc.get(ENTERPRISE, {})}
    flat.pop(ENTERPRISE, None)
    name = flat.pop("name", {})
    return {*flat, *(f"name.{part}" for part in name)}


def apply_operations(draft: Draft, body: Doc) -> None:
    """PATCH: the operations in their order; all or nothing, since the caller stores the draft only afterwards."""
    for raw in operations(body, draft.limits):
        _apply(draft, to_standard(draft.kind, raw))
    _require(draft)


def _apply(draft: Draft, operation: Operation) -> None:
    if operation.path is None:
        if operation.op == "remove":
            raise invalid("remove needs a path", "noTarget")
        if not isinstance(operation.value, dict):
            raise invalid("an operation without a path needs an object as its value")
        draft.assign_all(manager_shapes_in_body(draft.kind, operation.value), add=operation.op == "add")
        return
    place = locate(draft.kind, operation.path, draft.limits)
    if place is None:
        draft.ignored.append(operation.path)
    elif place.attribute and place.attribute.mutability == "writeOnly":
        return  # passwords are never kept, and the log holds such an operation without its value
    elif operation.op == "remove":
        draft.remove(place, operation.value if operation.stated else None)
    elif not operation.stated:
        raise invalid(f"{operation.op} needs a value")
    else:
        draft.assign(place, operation.value, add=operation.op == "add")


def _require(draft: Draft) -> None:
    for attribute in SHAPES[draft.kind].core.values():
        value = draft.doc.get(attribute.name)
        if attribute.required and (value is None or not value.strip()):
            raise invalid(f"{attribute.name} is required")
        if attribute.required and value is not None and len(value) > 1024:
            raise invalid(f"{attribute.name} is longer than 1024 characters")
        if attribute.required or attribute.name == "externalId":
            _fits(draft, attribute.name, value)
    for entry in draft.doc.get("emails", ()):
        _fits(draft, "emails", entry.get("value"))


def _fits(draft: Draft, name: str, value: Any) -> None:
    """Whether an index can hold it, folded as it is looked up."""
    if isinstance(value, str) and len(value.casefold().encode()) > draft.limits.key_bytes:
        raise invalid(f"{name} is longer than {draft.limits.key_bytes} bytes")


def without_passwords(value: Any) -> Any:
    """The body as the log keeps it: no password attribute at any level, and no value of an operation whose path is one."""
    if isinstance(value, list):
        return [without_passwords(each) for each in value]
    if not isinstance(value, dict):
        return value
    secret = any(isinstance(each, str) and _is_password(each) for name, each in value.items() if name.lower() == "path")
    return {
        name: without_passwords(each)
        for name, each in value.items()
        if not _is_password(name) and not (secret and name.lower() == "value")
    }


def _is_password(name: str) -> bool:
    return name.strip().lower().rpartition(":")[2].rpartition(".")[2] == "password"


def logged(body: Doc, raw: bytes) -> str:
    """The body as the log keeps it: the very text that came, unless it may hold a password, which a name with an escape may do too."""
    if b"\\u" in raw or b"password" in raw.lower():
        return json.dumps(without_passwords(body), ensure_ascii=False, separators=(",", ":"))
    return raw.decode("utf-8-sig")
