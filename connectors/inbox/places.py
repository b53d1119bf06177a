"""Where a written attribute path points to: attribute, sub-attribute and value filter of one resource type."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from connectors.inbox.filters import Compare, Every, Node, Within, parse, to_path
from connectors.inbox.schema import ENTERPRISE, SHAPES, Attribute, Kind
from connectors.inbox.wire import Doc, Limits, invalid

SELECTED = re.compile(r"(?P<head>[^\[\]]+)\[(?P<filter>.*)\](?:\.(?P<tail>[\w$-]+))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Place:
    """`attribute` None is the whole extension, or with `extension` false the whole resource; `where` selects entries of a multi-valued attribute."""

    extension: bool
    attribute: Attribute | None
    part: Attribute | None = None
    where: Within | None = None

    @property
    def key(self) -> str:
        """The name under which it counts as cleared: `title`, `name.givenName`, `emails`, `manager`."""
        if self.attribute is None:
            return ""
        if self.part and not self.attribute.multi and self.attribute.name != "manager":
            return f"{self.attribute.name}.{self.part.name}"
        return self.attribute.name


@lru_cache(maxsize=2048)
def _plain(kind: Kind, text: str) -> Place | None:
    shape = SHAPES[kind]
    if text.lower() == ENTERPRISE.lower():
        return Place(extension=True, attribute=None) if shape.extension else None
    if text.lower() == shape.urn.lower():
        return Place(extension=False, attribute=None)
    path = to_path(text)
    if path.urn not in {None, shape.urn.lower(), ENTERPRISE.lower()}:
        return None
    core = shape.core.get(path.name) if path.urn != ENTERPRISE.lower() else None
    attribute = core or (shape.extension.get(path.name) if path.urn != shape.urn.lower() else None)
    if attribute is None:
        return None
    part = attribute.part(path.part) if path.part else None
    if path.part and part is None:
        return None
    return Place(extension=core is None, attribute=attribute, part=part)


def locate(kind: Kind, text: str, limits: Limits) -> Place | None:
    """The place that a path names; None for schemas and attributes that we do not know. ScimError 400 when it is no path."""
    if len(text) > limits.filter_characters:
        raise invalid("the path is too long", "invalidPath")
    if "[" not in text:
        return _plain(kind, text.strip())
    found = SELECTED.fullmatch(text.strip())
    if not found:
        raise invalid(f"{text[:80]!r} is no attribute path", "invalidPath")
    head = _plain(kind, found["head"])
    if head is None or head.attribute is None:
        return None
    if not head.attribute.multi or head.part:
        raise invalid(f"{head.attribute.name} takes no value filter", "invalidPath")
    tail = head.attribute.part(found["tail"]) if found["tail"] else None
    if found["tail"] and tail is None:
        return None
    inner = parse(found["filter"], limits)
    return Place(head.extension, head.attribute, tail, Within(to_path(head.attribute.name), inner))


def entry_of(attribute: Attribute, node: Node) -> Doc:
    """The entry that a value filter describes, so that a value-path that matches nothing can create it (Entra). ScimError 400 `noTarget` when it describes none."""
    terms = node.nodes if isinstance(node, Every) else (node,)
    made: Doc = {}
    for each in terms:
        part = attribute.part(each.path.part or each.path.name) if isinstance(each, Compare) else None
        if part is None or not isinstance(each, Compare) or each.operator != "eq" or each.literal is None:
            raise invalid("the value filter matches nothing and describes no entry to create", "noTarget")
        made[part.name] = each.literal
    return made
