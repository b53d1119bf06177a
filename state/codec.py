"""Frozen values of `core.model` as JSON text and back, by their type hints. Nothing is guessed: an unknown type is an error."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Mapping
from datetime import date, datetime
from enum import Enum
from functools import cache
from typing import Any, TypeVar

from core.errors import TerminalError

T = TypeVar("T")


def dump(value: object) -> str:
    """JSON text of a dataclass: keys sorted, enums by value, times in ISO 8601, tuples and sets as lists."""
    return json.dumps(_plain(value), ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def load(kind: type[T], text: str) -> T:
    """The value that `dump` wrote. TerminalError when the text is not one of that kind."""
    try:
        value = _typed(kind, json.loads(text))
    except (KeyError, ValueError, TypeError) as error:
        raise TerminalError(f"no {kind.__name__}: {error}", remedy="Restore a backup") from error
    return typing.cast("T", value)


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: _plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(_plain(key)): _plain(each) for key, each in value.items()}
    if isinstance(value, frozenset | set):
        return sorted((_plain(each) for each in value), key=str)
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise TypeError(f"{type(value).__name__} has no JSON form here")


@cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _typed(kind: Any, value: Any) -> object:
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in {types.UnionType, typing.Union}:
        if value is None and type(None) in inner:
            return None
        (chosen,) = [each for each in inner if each is not type(None)]
        return _typed(chosen, value)
    if origin is tuple:
        return tuple(_typed(inner[0], each) for each in _listed(value))
    if origin in {list, frozenset}:
        return origin(_typed(inner[0], each) for each in _listed(value))
    if origin in {dict, Mapping}:
        return {_typed(inner[0], key): _typed(inner[1], each) for key, each in _mapped(value).items()}
    if dataclasses.is_dataclass(kind):
        hints = _hints(typing.cast("type", kind))
        return typing.cast("type", kind)(**{name: _typed(hints[name], each) for name, each in _mapped(value).items()})
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(value)
    if kind in {datetime, date}:
        return kind.fromisoformat(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind):
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value


def _mapped(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"{value!r} is no object")
    return value


def _listed(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is no list")
    return value
