"""Reads a strict part of YAML: mappings, lists and plain texts, each once and with its line. Nothing else is YAML here.

No anchors, aliases, tags, directives or second documents: what a reviewer sees in a file is what it says. Every scalar
is a text, so that `no` is no boolean and 0x1BB no number.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml
from yaml import events

DEPTH_MAX = 4
NODES_MAX = 60_000
TEXT_MAX = 2_000
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # a PyYAML without libyaml is slower and says the same


class YamlFault(ValueError):
    """What cannot be taken, and on which line, from 1."""

    def __init__(self, line: int, detail: str) -> None:
        super().__init__(f"line {line}: {detail}")
        self.line = line
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Node:
    """`value`: a text, a list of nodes, or a mapping from key to node."""

    value: "str | list[Node] | dict[str, Node]"
    line: int


def read_yaml(text: str) -> Node:
    """Raises: YamlFault."""
    try:
        return _Reader(yaml.parse(text, Loader=_LOADER)).document()
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        raise YamlFault(mark.line + 1 if mark else 1, problem.problem or "this is no YAML") from None
    except yaml.reader.ReaderError as problem:
        line = text.count("\n", 0, problem.position) + 1
        character = problem.character if isinstance(problem.character, int) else ord(problem.character)
        raise YamlFault(line, f"the character U+{character:04X} may not stand in YAML") from None


class _Reader:
    """Takes parse events one by one, so that nothing is built of what is refused."""

    def __init__(self, found: Iterator[Any]) -> None:
        self._events = found
        self._nodes = 0

    def document(self) -> Node:
        self._next()  # the stream begins
        start = self._next()
        if isinstance(start, events.StreamEndEvent):
            raise YamlFault(1, "the file is empty")
        if start.version or start.tags:
            raise YamlFault(_line(start), "directives are not taken")
        node = self._node(self._next(), depth=0)
        self._next()  # the document ends
        if not isinstance(more := self._next(), events.StreamEndEvent):
            raise YamlFault(_line(more), "one document a file")
        return node

    def _next(self) -> Any:
        return next(self._events)

    def _node(self, event: Any, depth: int) -> Node:
        line = _line(event)
        _check(event, line)
        self._nodes += 1
        if depth > DEPTH_MAX or self._nodes > NODES_MAX:
            raise YamlFault(line, "nested too deeply" if depth > DEPTH_MAX else "too much for one file")
        if isinstance(event, events.ScalarEvent):
            return Node(event.value, line)
        if isinstance(event, events.SequenceStartEvent):
            return Node(list(self._items(depth)), line)
        return Node(self._mapping(depth), line)

    def _items(self, depth: int) -> Iterator[Node]:
        while not isinstance(event := self._next(), events.SequenceEndEvent):
            yield self._node(event, depth + 1)

    def _mapping(self, depth: int) -> dict[str, Node]:
        found: dict[str, Node] = {}
        while not isinstance(event := self._next(), events.MappingEndEvent):
            key = self._node(event, depth + 1)
            if not isinstance(key.value, str):
                raise YamlFault(key.line, "a key is a plain text")
            if key.value in found:
                raise YamlFault(key.line, f"{key.value!r} stands twice")
            found[key.value] = self._node(self._next(), depth + 1)
        return found


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _check(event: Any, line: int) -> None:
    """Raises: YamlFault for what would make a file say other things than it shows."""
    if isinstance(event, events.AliasEvent):
        raise YamlFault(line, f"aliases are not taken: write out what *{event.anchor} stands for")
    if event.anchor:
        raise YamlFault(line, f"anchors are not taken: &{event.anchor}")
    if event.tag is not None:
        raise YamlFault(line, f"tags are not taken: {event.tag}")
    if isinstance(event, events.ScalarEvent) and len(event.value) > TEXT_MAX:
        raise YamlFault(line, f"a text of more than {TEXT_MAX:,} characters")
