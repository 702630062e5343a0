"""A spec as plain data that remembers where each value was written.

Data and places are kept apart: the data is what every later step sees, the places are looked up only for a message.
A document made of several texts (a spec, its presets, overrides) is a stack of layers; the last layer that knows a
path tells its place. Knows nothing of YAML syntax rules or of the language.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, NamedTuple

from yaml import MappingNode, Node, ScalarNode, SequenceNode

from .diagnostics import Diagnostic, Span, error, warning

if TYPE_CHECKING:
    from yaml import Mark


Step = str | int

Path = tuple[Step, ...]
"""Steps from the outermost mapping to a value."""

LATIN = {"α": "alpha", "γ": "gamma"}
"""Greek spellings of keys in files; everywhere else the names are Latin."""

_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")


def dotted(path: Sequence[Step]) -> str:
    """A path as people write it: 'arms.scaling.alpha'."""
    return ".".join(map(str, path))


def value_at(value: object, path: Sequence[Step]) -> object:
    """The value at a path; None where there is none."""
    for step in path:
        if isinstance(value, list) and isinstance(step, int):
            value = value[step]
        else:
            value = value.get(str(step)) if isinstance(value, dict) else None
    return value


def merged(old: object, new: object) -> object:
    """Mappings are merged key by key; everything else is replaced."""
    if isinstance(old, dict) and isinstance(new, dict):
        return {**old, **{key: merged(old.get(key), value) for key, value in new.items()}}
    return new


def leaves(path: Path, value: object) -> Iterator[Path]:
    """The paths of the values at and below `path`: of a mapping, each of its values."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from leaves((*path, key), item)
    else:
        yield path


def walk(value: object, path: Path = ()) -> Iterator[tuple[Path, object]]:
    """A value and every value in it, at any depth, with their paths; outer ones first."""
    yield path, value
    if isinstance(value, dict):
        for key, item in value.items():
            yield from walk(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from walk(item, (*path, index))


class SourceText:
    """The text of one file, cut into lines as YAML counts them."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self._text = text

    @cached_property
    def lines(self) -> list[str]:
        """Every line without its end; at least one."""
        return _LINE_BREAK.split(self._text)

    def span(self, line: int, column: int, length: int) -> Span:
        """The place at a line and column counted from 0; the length stays within the line."""
        text = self.lines[line] if line < len(self.lines) else ""
        shown = max(1, min(length, len(text) - column))
        return Span(self.file, line + 1, column + 1, shown, text)

    def between(self, start: Mark, end: Mark) -> Span:
        """The place from one mark to another, cut at the end of the first line."""
        if end.line == start.line:
            return self.span(start.line, start.column, end.column - start.column)
        whole = len(self.lines[start.line].rstrip()) if start.line < len(self.lines) else 0
        return self.span(start.line, start.column, whole - start.column)


class Place(NamedTuple):
    """How much of a path a layer knows, and where that part is written."""

    depth: int
    key: Span | None
    value: Span | None


@dataclass(frozen=True)
class NodeLayer:
    """A YAML tree whose root stands at `prefix` of the document."""

    source: SourceText
    root: Node
    prefix: Path = ()

    def find(self, path: Sequence[Step]) -> Place | None:
        """The place of the longest part of `path` that stands in the tree; None when it lies elsewhere."""
        if tuple(path[: len(self.prefix)]) != self.prefix:
            return None
        key: Node | None = None
        node, depth = self.root, len(self.prefix)
        for step in path[depth:]:
            entry = child(node, step)
            if entry is None:
                break
            key, node = entry
            depth += 1
        return Place(depth, self._span(key) if key else None, self._span(node))

    def _span(self, node: Node) -> Span:
        return self.source.between(node.start_mark, node.end_mark)


@dataclass(frozen=True)
class OverrideLayer:
    """One override of the command line: it wrote everything at and below its path."""

    path: Path
    key: Span
    value: Span

    def find(self, path: Sequence[Step]) -> Place | None:
        """The key and the value inside the override as it was typed."""
        if tuple(path[: len(self.path)]) != self.path:
            return None
        return Place(len(path), self.key, self.value)


def child(node: Node, step: Step) -> tuple[Node | None, Node] | None:
    """The key node (None in a sequence) and the value node one step below `node`, or None."""
    if isinstance(node, MappingNode) and isinstance(step, str):
        for key, value in node.value:
            if isinstance(key, ScalarNode) and LATIN.get(key.value, key.value) == step:
                return key, value
    elif isinstance(node, SequenceNode) and isinstance(step, int) and 0 <= step < len(node.value):
        return None, node.value[step]
    return None


Layer = NodeLayer | OverrideLayer
"""One text that contributed to a document."""


@dataclass
class Document:
    """Plain data (dict, list, str, int, Decimal, bool, None) with the places where it was written."""

    data: dict[str, object]
    file: FilePath
    layers: tuple[Layer, ...] = field(default=(), repr=False)
    referred: frozenset[str] = field(default=frozenset(), repr=False)
    """Keys of the outermost mapping whose values `${...}` took to another place."""

    def key_span(self, path: Sequence[Step]) -> Span | None:
        """Where the key of `path` stands; in a sequence its element; the nearest enclosing place when unknown."""
        place = self._find(path)
        return place and (place.key or place.value)

    def value_span(self, path: Sequence[Step]) -> Span | None:
        """Where the value of `path` stands; the key of the nearest enclosing place when unknown."""
        place = self._find(path)
        if place is None:
            return None
        return place.value if place.depth == len(path) else place.key or place.value

    def error(
        self, code: str, what: str, path: Sequence[Step], hint: str | None = None, *, at_key: bool = False
    ) -> Diagnostic:
        """A fault of the value at `path`, or of its key."""
        return error(code, what, self.key_span(path) if at_key else self.value_span(path), dotted(path), hint)

    def warning(self, code: str, what: str, path: Sequence[Step], hint: str | None = None) -> Diagnostic:
        """What the user should read about the value at `path`."""
        return warning(code, what, self.value_span(path), dotted(path), hint)

    def _find(self, path: Sequence[Step]) -> Place | None:
        places = filter(None, (layer.find(path) for layer in reversed(self.layers)))
        return max(places, key=lambda place: place.depth, default=None)
