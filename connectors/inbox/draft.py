"""One resource while it is being changed: values are coerced to their types, assigned and removed by place.

Three states are kept apart: a value, *cleared* (stated to be none: explicit null, removal, left out of a full replace)
and never spoken of. Members of groups are not in the document: they become edits of a table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from connectors.inbox.filters import Some, Within, entry_matches
from connectors.inbox.places import Place, entry_of, locate
from connectors.inbox.schema import ENTERPRISE, SHAPES, Attribute, Kind
from connectors.inbox.wire import Doc, Limits, ScimError, invalid

EditMode = Literal["add", "remove", "replace"]
TRUE = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Member:
    """One member as written; `kind` is None when the request did not say whether it is a user or a group."""

    id: str
    kind: Literal["user", "group"] | None = None


@dataclass(frozen=True, slots=True)
class Edit:
    """One change to a group's members, in the order of the request."""

    mode: EditMode
    members: tuple[Member, ...]


@dataclass
class Draft:
    """A document under change, what is cleared in it, the edits of members, and the names that were ignored."""

    kind: Kind
    limits: Limits
    doc: Doc = field(default_factory=dict)
    cleared: set[str] = field(default_factory=set)
    edits: list[Edit] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)

    def assign_all(self, body: Doc, *, add: bool) -> None:
        """Every key of an object: attribute names, dotted and URN-qualified paths, whole extensions. Unknown ones are ignored."""
        for name, value in body.items():
            place = self._place_of(name)
            if place is None:
                if name.lower() not in {"schemas", "id", "meta"}:
                    self.ignored.append(name)
                continue
            self.assign(place, value, add=add)

    def _place_of(self, name: str) -> Place | None:
        """Where a key points to; a key that is no path at all is somebody's own attribute, not a fault."""
        try:
            return locate(self.kind, name, self.limits) if _readable(name) else None
        except ScimError:
            return None

    def assign(self, place: Place, value: Any, *, add: bool) -> None:
        """Adds to, or replaces, what the place holds."""
        if place.attribute is None:
            self._assign_whole(place, value, add=add)
            return
        attribute = place.attribute
        if attribute.mutability in {"readOnly", "writeOnly"} or (place.part and place.part.mutability == "readOnly"):
            return
        if attribute.name == "members":
            self._edit(place, value, "add" if add or place.where else "replace")
            return
        if value is None:
            self.remove(place)
            return
        holder = self._holder(place)
        if attribute.multi:
            self._assign_multi(holder, place, value, add=add)
        elif place.part:
            holder.setdefault(attribute.name, {})[place.part.name] = _simple(place.part, value)
        elif attribute.parts:
            self._assign_complex(holder, place, value)
        else:
            holder[attribute.name] = _simple(attribute, value)
        self._settle(place)

    def remove(self, place: Place, value: Any = None) -> None:
        """Removes what the place holds; with a value only the entries with that value (Entra's `Remove` with a value)."""
        attribute = place.attribute
        if attribute is None:
            for name in tuple(SHAPES[self.kind].extension.values()) if place.extension else ():
                self.remove(Place(extension=True, attribute=name))
            return
        if attribute.mutability in {"readOnly", "writeOnly"}:
            return
        if attribute.name == "members":
            self._remove_members(place, value)
            return
        if attribute.required:
            raise invalid(f"{attribute.name} is required and cannot be removed", "mutability")
        holder = self._holder(place)
        if attribute.name in holder:
            if attribute.multi and (place.where or place.part or value is not None):
                self._remove_entries(holder, place, value)
            elif place.part and attribute.name != "manager":
                holder[attribute.name].pop(place.part.name, None)
            else:
                del holder[attribute.name]
            if holder.get(attribute.name) in ({}, []):
                del holder[attribute.name]
        self._settle(place)

    def _assign_whole(self, place: Place, value: Any, *, add: bool) -> None:
        if value is None and place.extension:
            self.remove(place)
            return
        if not isinstance(value, dict):
            raise invalid("an object is expected here")
        prefix = f"{ENTERPRISE}:" if place.extension else ""
        self.assign_all({f"{prefix}{name}": each for name, each in value.items() if name}, add=add)

    def _holder(self, place: Place) -> Doc:
        if not place.extension:
            return self.doc
        made: Doc = self.doc.setdefault(ENTERPRISE, {})
        return made

    def _assign_complex(self, holder: Doc, place: Place, value: Any) -> None:
        attribute = place.attribute
        assert attribute is not None  # noqa: S101 - the caller has looked
        if not isinstance(value, dict):
            raise invalid(f"{attribute.name} must be an object")
        if attribute.name == "manager":  # a reference is one value: its parts do not survive one another
            holder.pop(attribute.name, None)
        for name, each in value.items():
            part = attribute.part(name)
            if part is None or part.mutability == "readOnly":
                self.ignored.append(f"{attribute.name}.{name}")
            elif each is None:
                holder.get(attribute.name, {}).pop(part.name, None)
                self._note(Place(place.extension, attribute, part))
            else:
                holder.setdefault(attribute.name, {})[part.name] = _simple(part, each)
                self._note(Place(place.extension, attribute, part))
        if holder.get(attribute.name) == {}:
            del holder[attribute.name]

    def _assign_multi(self, holder: Doc, place: Place, value: Any, *, add: bool) -> None:
        attribute = place.attribute
        assert attribute is not None  # noqa: S101 - the caller has looked
        entries: list[Doc] = list(holder.get(attribute.name, []))
        if place.where or place.part:
            entries = _assign_selected(entries, place, value)
        else:
            given = [_entry(attribute, each) for each in (value if isinstance(value, list) else [value])]
            entries = _united(entries if add else [], [each for each in given if each])
        if len(entries) > self.limits.values:
            raise invalid(f"{attribute.name} holds more than {self.limits.values} values")
        if entries:
            holder[attribute.name] = entries
        else:
            holder.pop(attribute.name, None)

    def _remove_entries(self, holder: Doc, place: Place, value: Any) -> None:
        attribute = place.attribute
        assert attribute is not None  # noqa: S101 - the caller has looked
        named = None
        if value is not None:
            named = [_entry(attribute, each) for each in (value if isinstance(value, list) else [value])]
        chosen = _chooser(attribute, place.where, named)
        if place.part:
            part = place.part.name
            changed = [{k: v for k, v in e.items() if k != part} if chosen(e) else e for e in holder[attribute.name]]
            holder[attribute.name] = [entry for entry in changed if entry.keys() - {"type", "primary"}]
        else:
            holder[attribute.name] = [entry for entry in holder[attribute.name] if not chosen(entry)]

    def _edit(self, place: Place, value: Any, mode: EditMode) -> None:
        if place.part and place.part.name != "value":
            return
        members = read_members(value, self.limits)
        self.edits.append(Edit(mode, members))

    def _remove_members(self, place: Place, value: Any) -> None:
        if place.where:
            self.edits.append(Edit("remove", _named_members(place.where)))
        elif value is None:
            self.edits.append(Edit("replace", ()))
        else:
            self.edits.append(Edit("remove", read_members(value, self.limits)))

    def _note(self, place: Place) -> None:
        """Keeps `cleared` in step with the document for one place."""
        attribute, key = place.attribute, place.key
        if attribute is None:
            return
        held = (self.doc.get(ENTERPRISE, {}) if place.extension else self.doc).get(attribute.name)
        if "." in key and place.part:
            held = held.get(place.part.name) if held else None
        if held in (None, [], {}):
            self.cleared.add(key)
        else:
            self.cleared.discard(key)

    def _settle(self, place: Place) -> None:
        """After a change of one place: `cleared` in step, and no extension that holds nothing."""
        self._note(place)
        if self.doc.get(ENTERPRISE) == {}:
            del self.doc[ENTERPRISE]


def _readable(name: str) -> bool:
    """Unknown keys may have any spelling; only what looks like a path is parsed as one."""
    return name.isascii() and all(sign.isalnum() or sign in "$_-:.[]\" ()'@+/" for sign in name) and _is_path(name)


def _is_path(name: str) -> bool:
    head = name.rpartition(":")[2] if name.lower().startswith("urn:") else name
    return (
        bool(head)
        and (head[0].isalpha() or head[0] == "$")
        and (("[" in name) or head.replace(".", "", 1).replace("-", "").replace("_", "").replace("$", "").isalnum())
    )


def _simple(attribute: Attribute, value: Any) -> Any:
    """A simple value of the attribute's type: "True" is true (Entra), a number for a text is its digits. ScimError 400 otherwise."""
    if attribute.type == "boolean":
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.strip().lower() in TRUE:
            return TRUE[value.strip().lower()]
        raise invalid(f"{attribute.name} must be true or false")
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**18:
        return str(value)
    raise invalid(f"{attribute.name} must be a string")


def _entry(attribute: Attribute, value: Any) -> Doc:
    """One entry of a multi-valued attribute; a bare string is its `value`; unknown and null parts are left out."""
    if not isinstance(value, dict):
        part = attribute.part("value")
        if part is None or value is None:
            raise invalid(f"an entry of {attribute.name} must be an object")
        return {"value": _simple(part, value)}
    made: Doc = {}
    for name, each in value.items():
        part = attribute.part(name)
        if part is not None and each is not None:
            made[part.name] = _simple(part, each)
    return made


def _united(existing: list[Doc], given: list[Doc]) -> list[Doc]:
    """Entries with the given ones added: equal value and type is the same entry (RFC 7643 section 2.4); at most one stays primary."""
    made = [dict(entry) for entry in existing]
    for entry in given:
        same = next(
            (
                e
                for e in made
                if (e.get("value"), e.get("type")) == (entry.get("value"), entry.get("type"))
                and ("value" in e or e == entry)
            ),
            None,
        )
        if entry.get("primary") is True:
            for other in made:
                if other.get("primary") is True:
                    other["primary"] = False
        if same is not None:
            same.update(entry)
        else:
            made.append(dict(entry))
    return made


def _assign_selected(entries: list[Doc], place: Place, value: Any) -> list[Doc]:
    attribute = place.attribute
    assert attribute is not None  # noqa: S101 - the caller has looked
    one = value[0] if isinstance(value, list) and value else value
    given = {place.part.name: _simple(place.part, one)} if place.part else _entry(attribute, one)
    chosen = _chooser(attribute, place.where, None)
    if not any(chosen(entry) for entry in entries):
        start = _entry(attribute, entry_of(attribute, place.where.inner)) if place.where else {}
        return _united(entries, [{**start, **given}])
    made = [{**entry, **given} if chosen(entry) else dict(entry) for entry in entries]
    if given.get("primary") is True:
        for entry, before in zip(made, entries, strict=True):
            if not chosen(before) and entry.get("primary") is True:
                entry["primary"] = False
    return made


def _chooser(attribute: Attribute, where: Within | None, named: list[Doc] | None) -> Callable[[Doc], bool]:
    def chosen(entry: Doc) -> bool:
        if where is not None and not entry_matches(attribute, entry, where):
            return False
        return named is None or any(one.items() <= entry.items() for one in named)

    return chosen


def read_members(value: Any, limits: Limits) -> tuple[Member, ...]:
    """Members in any shape that clients send: a list or one of objects with `value` (or only `$ref`), or bare ids; `$ref: null` says nothing."""
    if value is None:
        return ()
    entries = value if isinstance(value, list) else [value]
    if len(entries) > limits.members:
        raise invalid(f"more than {limits.members} members in one request; send them in parts")
    made = {member.id: member for each in entries if (member := _member(each))}
    return tuple(made.values())


def _member(value: Any) -> Member | None:
    if isinstance(value, str):
        return Member(_member_id(value)) if value else None
    if not isinstance(value, dict):
        raise invalid("a member must be an object with value")
    entry = {name.lower(): each for name, each in value.items()}
    reference = entry.get("$ref") or ""
    written = entry.get("value") or (reference.rpartition("/")[2] if isinstance(reference, str) else "")
    if not isinstance(written, str) or not written:
        raise invalid("a member must be an object with value")
    stated = str(entry.get("type") or "").lower()
    if stated in {"user", "group"}:
        return Member(_member_id(written), "user" if stated == "user" else "group")
    return Member(_member_id(written), "group" if isinstance(reference, str) and "/Groups/" in reference else None)


def _member_id(text: str) -> str:
    if len(text) > 256:
        raise invalid("the id of a member is longer than 256 characters")
    return text


def _named_members(where: Within) -> tuple[Member, ...]:
    """`members[value eq "a" or value eq "b"]` as members. ScimError 400 for any other filter."""
    terms = where.inner.nodes if isinstance(where.inner, Some) else (where.inner,)
    made = []
    for each in terms:
        literal = getattr(each, "literal", None)
        if getattr(each, "operator", None) != "eq" or each.path.name != "value" or not isinstance(literal, str):  # type: ignore[union-attr] # getattr above has shown that it is a Compare
            raise invalid("members can be chosen by value eq only", "invalidFilter")
        made.append(Member(literal))
    return tuple(made)
