"""What clients really send in place of the RFC's shapes: one small named function per deviation, applied in the order of the tables.

Each takes a PATCH operation and gives it back in the RFC's words; what it does not recognise passes unchanged. Where
the client is known its name stands in the docstring, with the shape it sends. Coercions of single values ("True" for
true, a number for a text, bare strings for entries) are in `draft`, since they belong to the type and not to a client.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from connectors.inbox.schema import Kind
from connectors.inbox.wire import Doc, Limits, invalid

MANAGER = "manager"


@dataclass(frozen=True, slots=True)
class Operation:
    """One PATCH operation: `stated` tells a null value from none."""

    op: str
    path: str | None
    value: Any
    stated: bool


def operations(body: Doc, limits: Limits) -> list[Operation]:
    """The operations of a PATCH body, with or without `schemas`, keys in any case, one object in place of a list. ScimError 400 otherwise."""
    given = next((value for name, value in body.items() if name.lower() == "operations"), None)
    if isinstance(given, dict):
        given = [given]
    if not isinstance(given, list) or not given:
        raise invalid("Operations must be a list that is not empty", "invalidSyntax")
    if len(given) > limits.operations:
        raise invalid(f"more than {limits.operations} operations in one request")
    return [_operation(each) for each in given]


def _operation(raw: Any) -> Operation:
    if not isinstance(raw, dict):
        raise invalid("an operation must be an object", "invalidSyntax")
    entry = {name.lower(): value for name, value in raw.items()}
    op, path = entry.get("op"), entry.get("path")
    if not isinstance(op, str) or op.lower() not in {"add", "replace", "remove"}:
        raise invalid("op must be add, replace or remove", "invalidSyntax")
    if path is not None and not isinstance(path, str):
        raise invalid("path must be a string", "invalidPath")
    return Operation(op.lower(), path or None, entry.get("value"), "value" in entry)


def _is_manager(operation: Operation) -> bool:
    return operation.path is not None and operation.path.lower().rpartition(":")[2] in {MANAGER, "manager.value"}


def manager_in_a_list(kind: Kind, operation: Operation) -> Operation:
    """Entra without the flag: `{"op": "Add", "path": "manager", "value": [{"$ref": …, "value": id}]}`."""
    if kind == "User" and _is_manager(operation) and isinstance(operation.value, list):
        return replace(operation, value=operation.value[0] if operation.value else None)
    return operation


def manager_as_text(kind: Kind, operation: Operation) -> Operation:
    """Entra: `{"op": "Add", "path": "urn:…:User:manager", "value": "id"}`."""
    if kind == "User" and _is_manager(operation) and isinstance(operation.value, str):
        path = (operation.path or "").removesuffix(".value")
        return replace(operation, path=path, value={"value": operation.value})
    return operation


def manager_emptied(kind: Kind, operation: Operation) -> Operation:
    """Entra and Microsoft's validator: a manager is removed by replacing it with "" or with a value of null or ""."""
    if kind == "User" and _is_manager(operation) and operation.op != "remove":
        value = operation.value
        if value is None or (
            isinstance(value, dict) and not _lower(value).get("value") and not _lower(value).get("$ref")
        ):
            return Operation("remove", (operation.path or "").removesuffix(".value"), None, stated=False)
    return operation


def remove_without_path(_kind: Kind, operation: Operation) -> Operation:
    """Some listeners: `{"op": "remove", "value": {"members": [{"value": id}]}}`, or {"title": null}. One attribute at a time is meant."""
    if operation.op == "remove" and operation.path is None and isinstance(operation.value, dict):
        names = [name for name in operation.value if name.lower() not in {"schemas", "id"}]
        if len(names) == 1:
            return replace(operation, path=names[0], value=operation.value[names[0]])
    return operation


def empty_removal_of_members(kind: Kind, operation: Operation) -> Operation:
    """`{"op": "Remove", "path": "members", "value": []}` removes nobody: read as the RFC says it would empty the group."""
    return replace(operation, stated=True) if kind == "Group" and operation.value == [] else operation


OPERATION_DIALECTS: tuple[Callable[[Kind, Operation], Operation], ...] = (
    remove_without_path,
    manager_in_a_list,
    manager_as_text,
    manager_emptied,
    empty_removal_of_members,
)


def to_standard(kind: Kind, operation: Operation) -> Operation:
    """The operation in the RFC's words."""
    for dialect in OPERATION_DIALECTS:
        operation = dialect(kind, operation)
    return operation


# --- whole resources


def manager_shapes_in_body(kind: Kind, body: Doc) -> Doc:
    """The same manager shapes in a path-less value or a whole resource: a list, a bare id, or nothing at all."""
    if kind != "User":
        return body
    return {name: _manager_value(name, value) for name, value in body.items()}


def _manager_value(name: str, value: Any) -> Any:
    if name.lower().startswith("urn:") and isinstance(value, dict) and not name.lower().endswith(f":{MANAGER}"):
        return {inner: _manager_value(inner, each) for inner, each in value.items()}
    if name.lower().rpartition(":")[2] != MANAGER:
        return value
    one = value[0] if isinstance(value, list) and value else value
    if isinstance(one, str):
        one = {"value": one}
    if not isinstance(one, dict):
        return None if one in (None, []) else one
    return one if _lower(one).get("value") or _lower(one).get("$ref") else None


def echoed_groups(kind: Kind, body: Doc) -> Doc:
    """Okta: `groups: []` in every POST and PUT. Read-only, so that it never clears a membership."""
    return {name: value for name, value in body.items() if name.lower() != "groups"} if kind == "User" else body


BODY_DIALECTS: tuple[Callable[[Kind, Doc], Doc], ...] = (manager_shapes_in_body, echoed_groups)


def to_standard_body(kind: Kind, body: Doc) -> Doc:
    """The resource in the RFC's words."""
    for dialect in BODY_DIALECTS:
        body = dialect(kind, body)
    return body


def _lower(value: Doc) -> Doc:
    return {name.lower(): each for name, each in value.items()}


# --- requests


def stated_parameters(parameters: dict[str, str]) -> dict[str, str]:
    """Query parameters that say something. Entra's flag `?aadOptscim062020` rides on every call without a value; some clients send an empty `attributes=`. An empty cursor does say something: begin."""
    return {name.lower(): value for name, value in parameters.items() if value != "" or name.lower() == "cursor"}
