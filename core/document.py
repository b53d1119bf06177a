"""YAML as data plus the line of every path, so that an error or a hold can name the line that caused it. No validation here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml

from core.errors import ConfigError, Problem

MERGE_KEY = "tag:yaml.org,2002:merge"


@dataclass(frozen=True, slots=True)
class Document:
    """Parsed YAML: `data` as plain values, `lines` from dotted path (`groups.0.to`) to 1-based line."""

    data: dict[str, object]
    lines: dict[str, int] = field(default_factory=dict)

    def line(self, path: str) -> int | None:
        """The line of that path, or of the nearest parent that has one."""
        while path:
            if path in self.lines:
                return self.lines[path]
            path = path.rpartition(".")[0]
        return None


def _walk(node: yaml.Node, path: str, lines: dict[str, int], problems: list[Problem]) -> Iterator[None]:
    if path:
        lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            child = f"{path}.{name}" if path else name
            if name in seen:
                problems.append(
                    Problem(child, "stands twice", "Keep one of the two", key.start_mark.line + 1),
                )
            seen.add(name)
            lines.setdefault(child, key.start_mark.line + 1)
            yield from _walk(value, child, lines, problems)
    elif isinstance(node, yaml.SequenceNode):
        for place, value in enumerate(node.value):
            yield from _walk(value, f"{path}.{place}", lines, problems)


def read(text: str, *, name: str = "onefold.yaml") -> Document:
    """Parses YAML text. ConfigError on a syntax error, a key that stands twice, or a top level that is no mapping."""
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        data = loader.construct_document(node) if node is not None else None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or str(error)
        line = mark.line + 1 if mark is not None else None
        raise ConfigError([Problem(name, f"is not YAML: {what}", "Mend the syntax at that line", line)]) from error
    finally:
        loader.dispose()
    if not isinstance(data, dict) or node is None:
        raise ConfigError([Problem(name, "holds no settings", "Start from `onefold init`", 1)])
    lines: dict[str, int] = {}
    problems: list[Problem] = []
    for _ in _walk(node, "", lines, problems):
        pass
    if problems:
        raise ConfigError(problems)
    return Document(data, lines)
